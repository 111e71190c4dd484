package tensor

import (
	cmdline "flag"
	"math"
	"testing"
)

var every = cmdline.Bool("every", false, "compare the functions on all float32, not on one in 1021: minutes")

// The greatest errors of functions over all float32, in units of the last place
// of the exact result; doc.go states them. A product of x and a function that may
// be subnormal, GELU or SiLU, has |x| units of the least number instead where those
// are more.
const (
	ulpExp      = 1.1
	ulpLog      = 1
	ulpTanh     = 2.5
	ulpSigmoid  = 2.5
	ulpSoftplus = 2
	ulpNormal   = 7.5
	ulpGELU     = 8
	ulpSiLU     = 3.5
	ulpELU      = 1
)

// function is one of the contract and what it stands for.
type function struct {
	name string
	op   func(*vector)
	want func(x float64) float64
	ulp  float64
	// product is whether the result is x times a function.
	product bool
}

func functions(k *kernels) []function {
	return []function{
		{"exp", k.opExp, math.Exp, ulpExp, false},
		{"log", k.opLog, math.Log, ulpLog, false},
		{"tanh", k.opTanh, math.Tanh, ulpTanh, false},
		{"sigmoid", k.opSigmoid, sigmoid64, ulpSigmoid, false},
		{"softplus", k.opSoftplus, softplus64, ulpSoftplus, false},
		{"normal", k.opNormal, normal64, ulpNormal, false},
		{"gelu", k.opGELU, func(x float64) float64 { return x * normal64(x) }, ulpGELU, true},
		{"silu", k.opSiLU, func(x float64) float64 { return x * sigmoid64(x) }, ulpSiLU, true},
		{"elu", k.opELU, func(x float64) float64 { return bent64(x, math.Expm1(x)) }, ulpELU, false},
	}
}

// TestFunctionsAreAccurate walks over all float32, NaN and Inf among them, and
// compares with float64: a NaN is wanted where that has one, Inf where it has one
// or is beyond the range.
func TestFunctionsAreAccurate(t *testing.T) {
	all := available()
	k := all[len(all)-1]
	step := uint64(1021)
	switch {
	case *every:
		step = 1
	case testing.Short():
		step = 20011
	}
	for _, f := range functions(k) {
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			worst, at := f.worst(k, step)
			t.Logf("%s: at most %.3f ulp, at %g", f.name, worst, at)
			if !(worst <= f.ulp) {
				t.Errorf("%s(%g) is %.3f ulp off, want at most %g", f.name, at, worst, f.ulp)
			}
		})
	}
}

// worst is the greatest error on every step-th float32, and where it is.
func (f function) worst(k *kernels, step uint64) (worst float64, at float32) {
	const chunk = 4096
	x, y := make([]float32, chunk), make([]float32, chunk)
	v := &vector{n: chunk, masks: k.masks, x: start(x), p: start(y), s0: bits(1)}
	for b := uint64(0); b < 1<<32; {
		for i := range x {
			x[i] = math.Float32frombits(uint32(min(b, 1<<32-1)))
			b += step
		}
		f.op(v)
		if step == 1 && constant(y, f.want(float64(x[0])), f.want(float64(x[chunk-1]))) {
			continue
		}
		for i, x := range x {
			least := 0x1p-149
			if f.product {
				least *= max(1, math.Abs(float64(x)))
			}
			if d := ulps(y[i], f.want(float64(x)), least); !(d <= worst) {
				worst, at = d, x
			}
		}
	}
	return worst, at
}

// constant is whether all of y are what the first and the last should be: the
// functions are monotonous from one to the other, or nearly.
func constant(y []float32, first, last float64) bool {
	for _, v := range y {
		if v != float32(first) {
			return false
		}
	}
	return float32(first) == float32(last)
}

// ulps is the distance of got from want in units of the last place of want, or in
// least ones if those are more; NaN if one of them is a NaN and the other not.
func ulps(got float32, want, least float64) float64 {
	if w := float32(want); got == w || got != got && want != want {
		return 0
	}
	exponent := int(math.Float64bits(want)>>52&0x7ff) - 23
	return math.Abs(float64(got)-want) / max(math.Float64frombits(uint64(max(exponent, 1))<<52), least)
}
