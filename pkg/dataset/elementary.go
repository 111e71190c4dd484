package dataset

import "math"

// The functions of this file have the same bits on every machine, which those of
// package math do not promise: they consist of exact steps and of additions,
// multiplications and divisions that are each rounded by themselves. Their errors
// are below 1e-14 of the result, or of 1 for sines.

// log is the natural logarithm of x > 0, by the series of the area tangent.
func log(x float64) float64 {
	m, e := math.Frexp(x)
	if m < math.Sqrt2/2 {
		m, e = 2*m, e-1
	}
	s := (m - 1) / (m + 1) // |s| < 0.172
	square := float64(s * s)
	sum := 0.0
	for k := 23; k > 0; k -= 2 {
		sum = float64(sum*square) + 1/float64(k)
	}
	return float64(2*float64(s*sum)) + float64(float64(e)*math.Ln2)
}

// exp is e^x, by the Taylor series about the nearest multiple of ln 2.
func exp(x float64) float64 {
	if x < -700 {
		return 0
	}
	n := math.Floor(x/math.Ln2 + 0.5)
	r := x - float64(n*math.Ln2) // |r| < 0.35
	sum := 1.0
	for k := 14; k > 0; k-- {
		sum = 1 + float64(float64(r/float64(k))*sum)
	}
	return math.Ldexp(sum, int(n))
}

// sinCosPi is sine and cosine of pi*x for -1 <= x <= 1, by the Taylor series about
// the nearest multiple of pi/2.
func sinCosPi(x float64) (sin, cos float64) {
	quarters := math.Floor(float64(2*x) + 0.5)
	a := float64(math.Pi * (x - quarters/2))
	square := float64(a * a) // at most 0.62
	sin, cos = 1, 1
	for k := 16; k > 0; k -= 2 {
		sin = 1 - float64(float64(square/float64(k*(k+1)))*sin)
		cos = 1 - float64(float64(square/float64(k*(k-1)))*cos)
	}
	sin = float64(a * sin)
	switch (int(quarters) + 4) % 4 {
	case 1:
		return cos, -sin
	case 2:
		return -sin, -cos
	case 3:
		return -cos, sin
	}
	return sin, cos
}

// normal turns a random word into a draw of the normal distribution: it is the
// inverse of its distribution function at (w+1/2)/2^32, to 7 digits.
//
// Source: M. Wichura, "Algorithm AS 241: the percentage points of the normal
// distribution", Applied Statistics 37, 1988; the version of 7 digits.
func normal(w uint32) float64 {
	p := (float64(w) + 0.5) * 0x1p-32
	q := p - 0.5
	if math.Abs(q) <= 0.425 {
		r := 0.180625 - float64(q*q)
		return q * polynomial(r, 59.109374720, 159.29113202, 50.434271938, 3.3871327179) /
			polynomial(r, 67.187563600, 78.757757664, 17.895169469, 1)
	}
	r := math.Sqrt(-log(min(p, 1-p))) // at most 4.8: the fit for the far tails is not needed
	r -= 1.6
	x := polynomial(r, 0.17023821103, 1.3067284816, 2.7568153900, 1.4234372777) /
		polynomial(r, 0, 0.12021132975, 0.73700164250, 1)
	return math.Copysign(x, q)
}

// polynomial is ((a*x + b)*x + c)*x + d.
func polynomial(x, a, b, c, d float64) float64 {
	return d + float64(x*(c+float64(x*(b+float64(x*a)))))
}
