package nn

import "math"

// The functions of package math differ in their last bits from one processor to
// another. These do not: they use only operations that IEEE 754 rounds alike
// everywhere, and round every product by itself.

// exp64 is e^x for x up to 1, with a relative error below 1e-15; 0 below -700.
func exp64(x float64) float64 {
	if !(x > -700) {
		return 0
	}
	k := math.Floor(x/math.Ln2 + 0.5)
	// ln 2 in two parts: k times the first is exact.
	const high, low = 0x1.62e42feep-1, 0x1.a39ef35793c76p-33
	r := (x - float64(k*high)) - float64(k*low)
	sum, term := 1.0, 1.0
	for n := 1.0; n <= 14; n++ {
		term = float64(term*r) / n
		sum += term
	}
	return math.Ldexp(sum, int(k))
}

// log64 is the natural logarithm of a positive x, with an error below 1e-15 of
// 1 or of the logarithm.
func log64(x float64) float64 {
	m, e := math.Frexp(x)
	if m < math.Sqrt2/2 {
		m, e = 2*m, e-1
	}
	s := (m - 1) / (m + 1) // log m = 2 (s + s³/3 + s⁵/5 + …)
	square, power, sum := float64(s*s), s, 0.0
	for n := 1.0; n <= 23; n += 2 {
		sum += power / n
		power *= square
	}
	return float64(2*sum) + float64(float64(e)*math.Ln2)
}

// never stands for the logarithm of a probability of zero. What is added to it
// does not change it.
const never = -1e300

// logSum is log(e^a + e^b).
func logSum(a, b float64) float64 {
	a, b = max(a, b), min(a, b)
	return a + log64(1+exp64(b-a))
}
