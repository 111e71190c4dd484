package dataset

import (
	"math"
	"testing"
)

// The errors promised in elementary.go, against package math, whose own are below
// one unit in the last place, 2e-16.
func TestElementary(t *testing.T) {
	for i := range 2000 {
		x := math.Ldexp(1+float64(i%97)/97, i%83-41)
		if got, want := log(x), math.Log(x); math.Abs(got-want) > 1e-14*max(1, math.Abs(want)) {
			t.Errorf("log(%g) = %g, want %g", x, got, want)
		}
		y := float64(i-1000) / 31
		if got, want := exp(y), math.Exp(y); math.Abs(got-want) > 1e-14*want {
			t.Errorf("exp(%g) = %g, want %g", y, got, want)
		}
		a := float64(i-1000) / 1000
		sin, cos := sinCosPi(a)
		if math.Abs(sin-math.Sin(math.Pi*a)) > 1e-14 || math.Abs(cos-math.Cos(math.Pi*a)) > 1e-14 {
			t.Errorf("sinCosPi(%g) = %g, %g", a, sin, cos)
		}
	}
	if exp(-800) != 0 || log(1) != 0 {
		t.Error("exp(-800) or log(1) is not 0")
	}
}

// normal is the inverse of the distribution function, to the 7 digits that AS 241
// promises for the draw: the density at z times 1e-6*|z| for the probability.
func TestNormalIsTheInverse(t *testing.T) {
	for i := range 4001 {
		w := uint32(uint64(i) * math.MaxUint32 / 4000)
		z, p := normal(w), (float64(w)+0.5)/(1<<32)
		density := math.Exp(-z*z/2) / math.Sqrt(2*math.Pi)
		if got := math.Erfc(-z/math.Sqrt2) / 2; math.Abs(got-p) > density*1e-6*(0.01+math.Abs(z)) {
			t.Errorf("word %d: %g has probability %g below it, want %g", w, z, got, p)
		}
	}
}
