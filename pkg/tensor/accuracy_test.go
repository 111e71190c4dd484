package tensor

import (
	"math"
	"testing"
)

// TestFunctionsAreAccurate walks over all float32, from one to another by a step
// that has no factor with 2^32, and compares with float64.
func TestFunctionsAreAccurate(t *testing.T) {
	e := engines(t, 1)
	fast := e[len(e)-1]
	gauss := func(x float64) float64 { return math.Erfc(-x/math.Sqrt2) / 2 }
	for _, f := range []struct {
		name string
		got  func(y, x []float32)
		want func(x float64) float64
		ulp  float64
	}{
		{"exp", fast.Exp, math.Exp, 1.2},
		{"log", fast.Log, math.Log, 1},
		{"tanh", func(y, x []float32) { fast.ActForward(y, x, ActTanh) }, math.Tanh, 2.5},
		{"sigmoid", func(y, x []float32) { fast.ActForward(y, x, ActSigmoid) }, func(x float64) float64 { return 1 / (1 + math.Exp(-x)) }, 3},
		{"softplus", func(y, x []float32) { fast.ActForward(y, x, ActSoftplus) }, func(x float64) float64 {
			return max(x, 0) + math.Log1p(math.Exp(-math.Abs(x)))
		}, 3},
		{"normal", fast.NormalCDF, gauss, 7},
		{"gelu", func(y, x []float32) { fast.ActForward(y, x, ActGELU) }, func(x float64) float64 { return x * gauss(x) }, 8},
	} {
		t.Run(f.name, func(t *testing.T) {
			x, y := make([]float32, 4096), make([]float32, 4096)
			worst, at := 0.0, float32(0)
			bits := uint32(0)
			for range 150 {
				for i := range x {
					x[i] = math.Float32frombits(bits)
					bits += 2_654_435 + 4
				}
				f.got(y, x)
				for i, v := range x {
					if d := ulps(y[i], f.want(float64(v))); !(d <= worst) {
						worst, at = d, v
					}
				}
			}
			t.Logf("%s: at most %.2f ulp, at %g", f.name, worst, at)
			if !(worst <= f.ulp) {
				f.got(y[:1], []float32{at})
				t.Errorf("%s(%g) = %g is %.2f ulp off, want at most %g", f.name, at, y[0], worst, f.ulp)
			}
		})
	}
}

// ulps is the distance of got from want in units of the last place of want.
func ulps(got float32, want float64) float64 {
	w := float32(want)
	if got == w || got != got && want != want {
		return 0
	}
	unit := math.Ldexp(1, max(math.Ilogb(want)-23, -149))
	return math.Abs(float64(got)-want) / unit
}

const (
	ulpExp, ulpLog, ulpTanh, ulpSigmoid = 1.2, 1.0, 2.5, 3.0
	ulpSoftplus, ulpNormal, ulpGELU     = 3.0, 7.0, 8.0
	ulpSiLU, ulpELU                     = 4.0, 1e9
)
