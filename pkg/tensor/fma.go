package tensor

import "math"

// fma32 is x*y + z with one rounding, as the FMA instruction of a CPU gives it.
func fma32(x, y, z float32) float32 {
	// The product of two float32 is exact in float64.
	return float32(add32(float64(float64(x)*float64(y)), float64(z)))
}

// add32 is p + z rounded to float32, once.
//
// The sum s is rounded to 53 bits; rounding it once more to 24 is wrong only if
// s is a tie between two float32 without being exact, or if the result is
// subnormal. Both are rare and left to addOdd.
func add32(p, z float64) float64 {
	s := p + z
	if b := math.Float64bits(s); b&halfMask != halfBit && b<<1 >= leastNormal {
		return float64(float32(s))
	}
	return addOdd(p, z)
}

const (
	halfMask    = 1<<29 - 1          // the bits of a float64 beyond those of a float32
	halfBit     = 1 << 28            // what they are in a tie
	leastNormal = (1023 - 126) << 53 // bits of 2^-126, without the sign
)

// addOdd rounds the sum to odd before it rounds to float32: the last bit of a
// sum that is not exact is set, so that no false tie can come about. The error
// of the sum follows from Knuth's two-sum.
func addOdd(p, z float64) float64 {
	s := float64(p + z)
	b := math.Float64bits(s)
	if b<<1 == 0 || b>>52&0x7ff == 0x7ff {
		return s
	}
	v := float64(s - p)
	e := float64(p-float64(s-v)) + float64(z-v)
	if e != 0 && b&1 == 0 {
		if (e > 0) == (s > 0) {
			b++
		} else {
			b--
		}
	}
	return float64(float32(math.Float64frombits(b)))
}
