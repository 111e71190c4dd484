package tensor

import (
	"math"

	"github.com/lockstep-ml/lockstep/internal/philox"
)

// DropoutMask sets dst[i] to 1/keep if word base+i of the stream, as a number in
// [0, 1) of 24 bits, is below keep, and to 0 if not.
func (e *Engine) DropoutMask(dst []float32, keep float32, s philox.Stream, base uint64) {
	inv := 1 / keep
	words(len(dst), s, base, func(i int, w uint32) {
		dst[i] = 0
		if unit(w) < keep {
			dst[i] = inv
		}
	})
}

// Uniform sets dst[i] to lo + (hi-lo)*u, u in [0, 1) from word base+i.
func (e *Engine) Uniform(dst []float32, lo, hi float32, s philox.Stream, base uint64) {
	words(len(dst), s, base, func(i int, w uint32) {
		dst[i] = fma32(unit(w), hi-lo, lo)
	})
}

// Normal sets dst to draws of the normal distribution, by Box and Muller. Word
// base+2j gives the radius and word base+2j+1 the angle of elements 2j and 2j+1.
func (e *Engine) Normal(dst []float32, mean, deviation float32, s philox.Stream, base uint64) {
	var radius float32
	words(len(dst)+len(dst)%2, s, base, func(i int, w uint32) {
		if i%2 == 0 {
			// 1-u lies in (0, 1]: its logarithm is finite.
			radius = float32(math.Sqrt(float64(-2 * log32(1-unit(w)))))
			return
		}
		sin, cos := sincosTurn(unit(w))
		dst[i-1] = fma32(deviation, float32(radius*cos), mean)
		if i < len(dst) {
			dst[i] = fma32(deviation, float32(radius*sin), mean)
		}
	})
}

// unit makes a number in [0, 1) of the 24 high bits.
func unit(w uint32) float32 { return float32(w>>8) * 0x1p-24 }

// words calls f for words base to base+n of the stream.
func words(n int, s philox.Stream, base uint64, f func(i int, w uint32)) {
	for i := 0; i < n; {
		at := base + uint64(i)
		block := s.Block(at / 4)
		for j := int(at % 4); j < 4 && i < n; j++ {
			f(i, block[j])
			i++
		}
	}
}

// sincosTurn is sine and cosine of u full turns, 0 <= u < 1.
func sincosTurn(u float32) (sin, cos float32) {
	q := int(float32(u*4) + 0.5) // the nearest quarter
	x := float32(2*math.Pi) * (u - float32(q)*0.25)
	z := x * x
	sin = fma32(z, 1.0/362880, -1.0/5040)
	sin = fma32(sin, z, 1.0/120)
	sin = fma32(sin, z, -1.0/6)
	sin = fma32(float32(sin*z), x, x)
	cos = fma32(z, 1.0/40320, -1.0/720)
	cos = fma32(cos, z, 1.0/24)
	cos = fma32(cos, z, -0.5)
	cos = fma32(cos, z, 1)
	switch q % 4 {
	case 1:
		return cos, -sin
	case 2:
		return -sin, -cos
	case 3:
		return -cos, sin
	}
	return sin, cos
}
