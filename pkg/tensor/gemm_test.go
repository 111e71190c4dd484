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

// TestNarrowKernelsFindTheirRows is for kernels that may become wider.
func TestNarrowKernelsFindTheirRows(t *testing.T) {
	for _, k := range available() {
		for r, cols := range k.narrow {
			if most := len(new(worker).narrowAt); len(cols) > most {
				t.Errorf("%s: a kernel of %d rows has %d columns, a worker at most %d", k.name, r+1, len(cols), most)
			}
		}
	}
}

// TestNothingIsLeftOfAnEmptyProduct is for what a product with no rows was told.
func TestNothingIsLeftOfAnEmptyProduct(t *testing.T) {
	for _, e := range engines(t, 1) {
		var p Packed
		e.Pack(&p, []float32{5, 6, 7, 8}, Gemm{N: 2, K: 2})
		e.GemmPacked(nil, nil, &p, Gemm{Act: ActReLU})
		c := make([]float32, 2)
		e.Gemm(c, []float32{1, 2}, []float32{1, 0, -1, -1}, Gemm{M: 1, N: 2, K: 2})
		if c[0] != -1 || c[1] != -2 {
			t.Errorf("%s: %v, want -1 and -2", e.ISA(), c)
		}
	}
}
