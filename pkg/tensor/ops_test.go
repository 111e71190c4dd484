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

// strided is the sum that all reductions of a row follow.
func strided(n int, add func(p float32, i int) float32) float32 {
	var p [sums]float32
	for i := range n {
		p[i%sums] = add(p[i%sums], i)
	}
	return tree(&p)
}

func TestPackedWeights(t *testing.T) {
	eachEngine(t, func(t *testing.T, e *Engine, r *rand.Rand) {
		var packed Packed
		for range 40 {
			g := randomGemm(r)
			g.M, g.N, g.K = max(g.M, 1), max(g.N, 1), max(g.K, 1)
			g.Lda, g.Ldb, g.Ldc = 0, 0, 0
			g = g.dense()
			a, b, c := usual(r, g.M*g.K), usual(r, g.K*g.N), usual(r, g.M*g.N)
			want := append([]float32(nil), c...)
			gemmLoop(want, a, b, g)
			e.Pack(&packed, b, g)
			e.GemmPacked(c, a, &packed, g)
			mustEqual(t, fmt.Sprintf("%+v", g), c, want)
		}
	})
}

func TestGemmBatch(t *testing.T) {
	eachEngine(t, func(t *testing.T, e *Engine, r *rand.Rand) {
		g := Gemm{M: 5, N: 7, K: 9, TransB: true, Lda: 20, Ldc: 15}
		a, b, c := usual(r, 300), usual(r, 300), make([]float32, 300)
		want := make([]float32, 300)
		for i := range 3 {
			gemmLoop(want[i*100:], a[i*100:], b[i*63:], g.dense())
		}
		e.GemmBatch(c, a, b, g, 3, 100, 100, 63)
		mustEqual(t, "batch", c, want)
	})
}

func TestReductions(t *testing.T) {
	eachEngine(t, func(t *testing.T, e *Engine, r *rand.Rand) {
		for n := range 70 {
			x, y := usual(r, n), usual(r, n)
			var s, q [sums]float64
			top := float32(0)
			for i, v := range x {
				s[i%sums] += float64(v)
				q[i%sums] += float64(v) * float64(v)
				top = max(top, abs32(v))
			}
			if e.Sum(x) != tree64(&s) || e.SumSquares(x) != tree64(&q) {
				t.Fatalf("n=%d: float64 sums differ", n)
			}
			dot := strided(n, func(p float32, i int) float32 { return fma32(x[i], y[i], p) })
			rows := make([]float32, 1)
			e.RowSums(rows, x, 1, n)
			mustEqual(t, "reductions", []float32{e.Dot(x, y), e.MaxAbs(x), rows[0]},
				[]float32{dot, top, strided(n, func(p float32, i int) float32 { return p + x[i] })})
			if n > 0 {
				x[r.IntN(n)] = nan32
				if got := e.MaxAbs(x); got == got {
					t.Fatalf("MaxAbs hides a NaN: %g", got)
				}
			}
		}
	})
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

func TestShapesAreChecked(t *testing.T) {
	e := engines(t, 1)[0]
	for name, f := range map[string]func(){
		"Gemm": func() { e.Gemm(make([]float32, 3), make([]float32, 4), make([]float32, 4), Gemm{M: 2, N: 2, K: 2}) },
		"Add":  func() { e.Add(make([]float32, 3), make([]float32, 2), make([]float32, 3)) },
		"ConvForward": func() {
			e.ConvForward(nil, nil, nil, nil, Conv{N: 1, InC: 1, H: 3, W: 3, OutC: 1, KH: 1, KW: 1}, ActNone)
		},
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s takes slices that are too short", name)
				}
			}()
			f()
		}()
	}
}
