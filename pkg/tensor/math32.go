package tensor

import "math"

// The functions of this file are the definition that every instruction set
// follows step by step: the same polynomials, the same fused multiply-adds.

const (
	log2e  = 1.44269504088896341
	ln2Hi  = 0.693359375 // 9 bits: n*ln2Hi is exact
	ln2Lo  = -2.12194440054690583e-4
	magic  = 12582912 // 1.5*2^23: adding it rounds to an integer
	expMin = -104     // exp is 0 below
	expMax = 89       // exp is Inf above
)

var (
	inf32 = float32(math.Inf(1))
	nan32 = float32(math.NaN())
)

// max32 is a if a > b, else b: b also if one of them is NaN.
func max32(a, b float32) float32 {
	if a > b {
		return a
	}
	return b
}

// min32 is a if a < b, else b: b also if one of them is NaN.
func min32(a, b float32) float32 {
	if a < b {
		return a
	}
	return b
}

func abs32(x float32) float32 {
	return math.Float32frombits(math.Float32bits(x) &^ (1 << 31))
}

func copysign32(x, sign float32) float32 {
	return math.Float32frombits(math.Float32bits(x)&^(1<<31) | math.Float32bits(sign)&(1<<31))
}

// pow2 is 2^n for -126 <= n <= 127.
func pow2(n int32) float32 { return math.Float32frombits(uint32(n+127) << 23) }

// expParts splits x into n*ln2 + r and returns n, r and (exp(r)-1-r)/r².
func expParts(x float32) (n int32, r, q float32) {
	t := fma32(x, log2e, magic)
	f := t - magic
	r = fma32(f, -ln2Lo, fma32(f, -ln2Hi, x))
	q = fma32(r, 1.0/5040, 1.0/720)
	q = fma32(q, r, 1.0/120)
	q = fma32(q, r, 1.0/24)
	q = fma32(q, r, 1.0/6)
	q = fma32(q, r, 0.5)
	return int32(math.Float32bits(t) - math.Float32bits(magic)), r, q
}

// exp32 is e^x. n is split so that results below 2^-126 are rounded once.
func exp32(x float32) float32 {
	n, r, q := expParts(max32(expMin, min32(expMax, x)))
	p := fma32(q, r*r, r) + 1
	h := n >> 1
	return p * pow2(h) * pow2(n-h)
}

// expm1Pos is e^x - 1 for 0 <= x <= 40.
func expm1Pos(x float32) float32 {
	n, r, q := expParts(x)
	s := pow2(n)
	return fma32(s, fma32(q, r*r, r), s-1)
}

// log32 is the natural logarithm: x = m * 2^e with m about 1, and
// log m = f - (f²/2 - s*(f²/2 + R(s²))), with f = m-1, s = f/(2+f).
func log32(x float32) float32 {
	var e float32
	v := x
	if v < 0x1p-126 {
		v, e = v*0x1p23, -23
	}
	b := math.Float32bits(v) + (0x3f800000 - 0x3f3504f3)
	e += float32(int32(b>>23) - 127)
	f := math.Float32frombits(b&0x7fffff+0x3f3504f3) - 1
	s := f / (f + 2)
	z := s * s
	r := fma32(z, 2.0/9, 2.0/7)
	r = fma32(r, z, 2.0/5)
	r = fma32(r, z, 2.0/3)
	r = float32(r * z)
	h := float32(float32(0.5*f) * f)
	y := fma32(e, ln2Lo, float32(s*float32(h+r)))
	y = fma32(e, ln2Hi, f-float32(h-y))
	switch {
	case x != x || x == inf32:
		return x
	case x == 0:
		return -inf32
	case x < 0:
		return nan32
	}
	return y
}

// tanh32 is em/(em+2), with em = exp(2|x|) - 1.
func tanh32(x float32) float32 {
	em := expm1Pos(min32(20, 2*abs32(x)))
	return copysign32(em/(em+2), x)
}

// sigmoid32 is 1/(1+exp(-x)), computed from exp(-|x|).
func sigmoid32(x float32) float32 {
	z := exp32(-abs32(x))
	num := z
	if x >= 0 {
		num = 1
	}
	return num / (1 + z)
}

// softplus32 is log(1+exp(x)) = max(x, 0) + log(1+exp(-|x|)).
func softplus32(x float32) float32 {
	z := exp32(-abs32(x))
	u := 1 + z
	l := log32(u) + float32((z-(u-1))/u)
	return max32(0, x) + l
}

// normal32 is the distribution function of the normal distribution, from
// erfc(z) = t*P(t)*exp(-z²) with t = 1/(1+cz) (Abramowitz and Stegun 7.1.26).
func normal32(x float32) float32 {
	z := abs32(x) * float32(math.Sqrt2/2)
	t := 1 / fma32(z, 0.3275911, 1)
	p := fma32(t, 1.061405429, -1.453152027)
	p = fma32(p, t, 1.421413741)
	p = fma32(p, t, -0.284496736)
	p = fma32(p, t, 0.254829592)
	h := float32(0.5 * (p * t * exp32(-(z * z))))
	if x >= 0 {
		return 1 - h
	}
	return h
}

// density32 is the density of the normal distribution.
func density32(x float32) float32 {
	return float32(0.5/math.SqrtPi*math.Sqrt2) * exp32(-0.5*(x*x))
}
