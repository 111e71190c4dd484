package main

import "math"

// The functions below are the definition of exp, log, tanh, … on every
// instruction set.

const (
	ln2Hi = 0.693359375 // 9 bits: n*ln2Hi is exact
	ln2Lo = -2.12194440054690583e-4
	magic = 12582912 // 1.5*2^23: adding it rounds to an integer
)

// horner is c[0] + c[1]*x + c[2]*x² + …
func (p *prog) horner(x value, c ...float64) value {
	s := p.f(c[len(c)-1])
	for i := len(c) - 2; i >= 0; i-- {
		s = p.fma(s, x, p.f(c[i]))
	}
	return s
}

// expParts splits x into n*ln2 + r and returns n, r and exp(r)-1.
func (p *prog) expParts(x value) (n, m value) {
	t := p.fma(x, p.f(math.Log2E), p.f(magic))
	f := p.sub(t, p.f(magic))
	r := p.fma(f, p.f(-ln2Lo), p.fma(f, p.f(-ln2Hi), x))
	q := p.horner(r, 1.0/2, 1.0/6, 1.0/24, 1.0/120, 1.0/720, 1.0/5040)
	return p.isub(p.word(t), p.bits(math.Float32bits(magic))), p.fma(q, p.mul(r, r), r)
}

// pow2 is 2^n for -126 <= n <= 127.
func (p *prog) pow2(n value) value {
	return p.float(p.shl(p.iadd(n, p.bits(127)), 23))
}

// exp is e^x: 0 below -104, Inf above 89. 2^n is applied in two halves, so that
// results below 2^-126 are rounded once.
func (p *prog) exp(x value) value {
	n, m := p.expParts(p.max(p.f(-104), p.min(p.f(89), x)))
	h := p.sar(n, 1)
	e := p.mul(p.add(m, p.f(1)), p.pow2(h))
	return p.mul(e, p.pow2(p.isub(n, h)))
}

// expm1 is e^x - 1 for -80 <= x <= 40.
func (p *prog) expm1(x value) value {
	n, m := p.expParts(x)
	s := p.pow2(n)
	return p.fma(s, m, p.sub(s, p.f(1)))
}

// log is the natural logarithm. With x = m * 2^e, m about 1, f = m-1 and
// s = f/(2+f):
//
//	log m = f - (f²/2 - s*(f²/2 + R(s²)))
func (p *prog) log(x value) value {
	const half = 0x3f3504f3 // bits of sqrt(1/2)
	tiny := p.lt(x, p.f(0x1p-126))
	v := p.choose(tiny, p.mul(x, p.f(0x1p23)), x)
	b := p.iadd(p.word(v), p.bits(0x3f800000-half))
	e := p.fromInt(p.isub(p.shr(b, 23), p.bits(127)))
	e = p.choose(tiny, p.sub(e, p.f(23)), e)
	f := p.sub(p.float(p.iadd(p.and(b, p.bits(0x7fffff)), p.bits(half))), p.f(1))
	s := p.div(f, p.add(f, p.f(2)))
	z := p.mul(s, s)
	r := p.mul(p.horner(z, 2.0/3, 2.0/5, 2.0/7, 2.0/9), z)
	h := p.mul(p.mul(f, p.f(0.5)), f)
	y := p.fma(e, p.f(ln2Lo), p.mul(s, p.add(h, r)))
	y = p.fma(e, p.f(ln2Hi), p.sub(f, p.sub(h, y)))
	y = p.choose(p.lt(x, p.f(0)), p.f(math.NaN()), y)
	y = p.choose(p.eq(x, p.f(0)), p.f(math.Inf(-1)), y)
	return p.choose(p.lt(x, p.f(math.Inf(1))), y, p.choose(p.eq(x, p.f(math.Inf(1))), x, p.add(x, x)))
}

// tanh is em/(em+2), with em = exp(2|x|) - 1.
func (p *prog) tanh(x value) value {
	a := p.abs(x)
	em := p.expm1(p.min(p.f(20), p.add(a, a)))
	return p.copysign(p.div(em, p.add(em, p.f(2))), x)
}

// sigmoid is 1/(1+exp(-x)), computed from exp(-|x|).
func (p *prog) sigmoid(x value) value {
	z := p.exp(p.neg(p.abs(x)))
	one := p.f(1)
	return p.div(p.choose(p.ge(x, p.f(0)), one, z), p.add(z, one))
}

// softplus is log(1+exp(x)) = max(x, 0) + log(1+exp(-|x|)); the logarithm is
// corrected for what the addition of 1 loses.
func (p *prog) softplus(x value) value {
	z := p.exp(p.neg(p.abs(x)))
	u := p.add(z, p.f(1))
	l := p.add(p.log(u), p.div(p.sub(z, p.sub(u, p.f(1))), u))
	return p.add(p.max(p.f(0), x), l)
}

// normal is the distribution function of the normal distribution, and bell is
// exp(-x²/2). With z = |x|/sqrt(2) and t = 1/(1+0.35z),
//
//	erfc(z) = t*P(t)*exp(-z²)
//
// with a polynomial P that interpolates at Chebyshev nodes; it is right to 1e-8.
// The rounding error l of x²/2 is carried into the exponential.
func (p *prog) normal(x value) (normal, bell value) {
	a := p.abs(x)
	t := p.div(p.f(1), p.fma(a, p.f(0.35*math.Sqrt2/2), p.f(1)))
	poly := p.horner(t, 0.1974873209861309, 0.19706602347972416, 0.18853173757949954, 0.14812137906542358, 0.15526103511582018,
		0.06922330866592552, -0.005612622523119266, 0.16441028030493554, -0.15148725403156132, 0.03699879604664697)
	a = p.min(p.f(16), a)
	m := p.mul(a, p.f(-0.5))
	h := p.mul(m, a)
	l := p.fma(m, a, p.neg(h))
	e := p.exp(h)
	bell = p.fma(e, l, e)
	tail := p.mul(p.mul(p.mul(t, p.f(0.5)), poly), bell)
	return p.choose(p.ge(x, p.f(0)), p.sub(p.f(1), tail), tail), bell
}
