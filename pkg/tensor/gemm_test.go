package tensor

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
)

// engines returns one engine for each instruction set of this machine.
func engines(t testing.TB, threads int) []*Engine {
	var all []*Engine
	for _, isa := range ISAs() {
		e, err := New(Config{ISA: isa, Threads: threads})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(e.Close)
		all = append(all, e)
	}
	return all
}

// cases is how many of n generated cases are run: fewer in plain Go, which is
// slow, and fewer with -short.
func cases(e *Engine, n int) int {
	if e.ISA() == "portable" {
		n /= 8
	}
	if testing.Short() {
		n /= 20
	}
	return n + 1
}

// guard is a number that nothing computes, put round every slice.
const guard = float32(-12345.678)

// guarded returns a slice of n elements that lies offset elements from the
// beginning of an allocation, and a check that nothing round it has changed.
func guarded(t *testing.T, r *rand.Rand, n int) ([]float32, func(what string)) {
	offset := 16 + r.IntN(16)
	all := make([]float32, offset+n+48)
	for i := range all {
		all[i] = guard
	}
	s := all[offset : offset+n : offset+n]
	for i := range s {
		s[i] = value(r)
	}
	return s, func(what string) {
		t.Helper()
		for i, v := range all {
			if (i < offset || i >= offset+n) && v != guard {
				t.Fatalf("%s: element %d of %d is %g", what, i-offset, n, v)
			}
		}
	}
}

// value is a number about 1, now and then 0, tiny or large.
func value(r *rand.Rand) float32 {
	switch r.IntN(64) {
	case 0:
		return 0
	case 1:
		return float32(r.NormFloat64()) * 0x1p-70
	case 2:
		return float32(r.NormFloat64()) * 0x1p40
	}
	return float32(r.NormFloat64())
}

func same(a, b float32) bool {
	return math.Float32bits(a) == math.Float32bits(b) || a != a && b != b
}

// mustEqual fails unless two results have the same bits.
func mustEqual(t *testing.T, what string, got, want []float32) {
	t.Helper()
	for i := range want {
		if !same(got[i], want[i]) {
			t.Fatalf("%s: element %d is %g (%08x), want %g (%08x)", what, i, got[i], math.Float32bits(got[i]), want[i], math.Float32bits(want[i]))
		}
	}
}

// gemmLoop is the definition of Gemm, without its activation.
func gemmLoop(c, a, b []float32, g Gemm) {
	for i := range g.M {
		for j := range g.N {
			var s float32
			if g.Accumulate {
				s = c[i*g.Ldc+j]
			}
			for k := range g.K {
				var x, y float32
				if g.TransA {
					x = a[k*g.Lda+i]
				} else {
					x = a[i*g.Lda+k]
				}
				if g.TransB {
					y = b[j*g.Ldb+k]
				} else {
					y = b[k*g.Ldb+j]
				}
				s = fma32(x, y, s)
			}
			if g.Bias != nil {
				s += g.Bias[j]
			}
			if g.Act == ActReLU {
				s = max32(0, s)
			}
			c[i*g.Ldc+j] = s
		}
	}
}

func randomGemm(r *rand.Rand) Gemm {
	size := func() int {
		switch r.IntN(8) {
		case 0:
			return r.IntN(3)
		case 1:
			return 1 + r.IntN(130)
		}
		return 1 + r.IntN(40)
	}
	g := Gemm{M: size(), N: size(), K: size(), TransA: r.IntN(2) == 0, TransB: r.IntN(2) == 0, Accumulate: r.IntN(3) == 0}
	if r.IntN(20) == 0 {
		g.K = 380 + r.IntN(500)
	}
	if r.IntN(3) == 0 {
		g.Act = ActReLU
	}
	g = g.dense()
	g.Lda, g.Ldb, g.Ldc = max(g.Lda, 1)+r.IntN(3), max(g.Ldb, 1)+r.IntN(3), max(g.Ldc, 1)+r.IntN(3)
	return g
}

func TestGemmIsOneChain(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for _, e := range append(engines(t, 1), engines(t, 3)...) {
		for range cases(e, 1200) {
			g := randomGemm(r)
			stored := func(trans bool, ld, rows, cols int) int {
				if trans {
					rows, cols = cols, rows
				}
				if rows == 0 || cols == 0 {
					return 0
				}
				return (rows-1)*ld + cols
			}
			a, aOK := guarded(t, r, stored(g.TransA, g.Lda, g.M, g.K))
			b, bOK := guarded(t, r, stored(g.TransB, g.Ldb, g.K, g.N))
			c, cOK := guarded(t, r, stored(false, g.Ldc, g.M, g.N))
			if r.IntN(2) == 0 {
				g.Bias, _ = guarded(t, r, g.N)
			}
			want := append([]float32(nil), c...)
			gemmLoop(want, a, b, g)
			e.Gemm(c, a, b, g)
			what := fmt.Sprintf("%s %d threads %+v", e.ISA(), e.Threads(), g)
			mustEqual(t, what, c, want)
			aOK(what)
			bOK(what)
			cOK(what)
		}
	}
}

func BenchmarkGemm(b *testing.B) {
	for _, s := range []Gemm{
		{M: 256, N: 256, K: 256}, {M: 512, N: 512, K: 512}, {M: 1024, N: 1024, K: 1024}, {M: 2048, N: 2048, K: 2048},
		{M: 32, N: 512, K: 784, TransB: true}, {M: 128, N: 512, K: 784, TransB: true}, {M: 64, N: 10, K: 512, TransB: true},
		{M: 128, N: 784, K: 512}, {M: 512, N: 784, K: 128, TransA: true}, {M: 1, N: 512, K: 784, TransB: true}, {M: 128, N: 512, K: 10},
	} {
		for _, e := range engines(b, 1)[1:] {
			b.Run(fmt.Sprintf("%s/%dx%dx%d/%t%t", e.ISA(), s.M, s.N, s.K, s.TransA, s.TransB), func(b *testing.B) {
				x, y, z := make([]float32, s.M*s.K), make([]float32, s.K*s.N), make([]float32, s.M*s.N)
				for b.Loop() {
					e.Gemm(z, x, y, s)
				}
				b.ReportMetric(2*float64(s.M)*float64(s.N)*float64(s.K)/float64(b.Elapsed().Nanoseconds())*float64(b.N), "GFLOP/s")
			})
		}
	}
}
