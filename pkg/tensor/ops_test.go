package tensor

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
)

// eachEngine runs f for every instruction set, with one thread and with three.
func eachEngine(t *testing.T, f func(t *testing.T, e *Engine, r *rand.Rand)) {
	for _, e := range append(engines(t, 1), engines(t, 3)...) {
		t.Run(fmt.Sprintf("%s/%d", e.ISA(), e.Threads()), func(t *testing.T) { f(t, e, rand.New(rand.NewPCG(11, 12))) })
	}
}

// usual returns n numbers about 1.
func usual(r *rand.Rand, n int) []float32 {
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(r.NormFloat64())
	}
	return x
}

// TestHalfPrecision goes through all numbers of 16 bits and the numbers round
// the middle between two of them.
func TestHalfPrecision(t *testing.T) {
	e := engines(t, 1)[0]
	for _, f := range []struct {
		name string
		to   func([]uint16, []float32)
		from func([]float32, []uint16)
		inf  uint16
	}{{"fp16", e.ToFP16, e.FromFP16, 0x7c00}, {"bf16", e.ToBF16, e.FromBF16, 0x7f80}} {
		one := func(h uint16) float32 {
			x := make([]float32, 1)
			f.from(x, []uint16{h})
			return x[0]
		}
		half := func(x float32) uint16 {
			h := make([]uint16, 1)
			f.to(h, []float32{x})
			return h[0]
		}
		for h := range uint16(0x8000) {
			x := one(h)
			if h > f.inf {
				if x == x || one(half(x)) == one(half(x)) {
					t.Fatalf("%s: %04x is no NaN", f.name, h)
				}
				continue
			}
			if half(x) != h || half(-x) != h|0x8000 || !same(one(h|0x8000), -x) {
				t.Fatalf("%s: %04x is %g is %04x", f.name, h, x, half(x))
			}
			if h+1 >= f.inf {
				continue
			}
			mid := float32((float64(x) + float64(one(h+1))) / 2)
			below, above := math.Nextafter32(mid, 0), math.Nextafter32(mid, inf32)
			if got := half(mid); got != h+h&1 || half(below) != h || half(above) != h+1 {
				t.Fatalf("%s: round %g: %04x %04x %04x", f.name, mid, half(below), got, half(above))
			}
		}
		if half(math.MaxFloat32) != f.inf || half(nan32) <= f.inf {
			t.Errorf("%s: beyond the range", f.name)
		}
	}
}

func TestNewRefuses(t *testing.T) {
	for _, c := range []Config{{ISA: "mmx"}, {Threads: -1}} {
		if _, err := New(c); err == nil {
			t.Errorf("%+v is accepted", c)
		}
	}
}
