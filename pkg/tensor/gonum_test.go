package tensor

import (
	"math"
	"testing"

	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/blas64"

	"github.com/lockstep-ml/lockstep/internal/philox"
)

// Products are those of another library in float64, up to the error of a chain of
// k roundings: k·u/(1-k·u) times the sum of the absolute products (Higham 2002,
// lemma 3.1), with u = 2^-24.
func TestProductsAreThoseOfGonum(t *testing.T) {
	const u = 0x1p-24
	for _, e := range engines(t, 2) {
		for _, g := range []Gemm{{M: 1, N: 33, K: 70}, {M: 33, N: 10, K: 512}, {M: 64, N: 65, K: 130}, {M: 200, N: 130, K: 1100}} {
			for form := range 4 {
				g.TransA, g.TransB = form&1 != 0, form&2 != 0
				a, b, c := around0(1, g.M*g.K), around0(2, g.K*g.N), make([]float32, g.M*g.N)
				e.Gemm(c, a, b, g)
				want, size := gonumProduct(g, a, b, false), gonumProduct(g, a, b, true)
				bound := float64(g.K) * u / (1 - float64(g.K)*u)
				for i, x := range c {
					if d := math.Abs(float64(x) - want[i]); !(d <= bound*size[i]) {
						t.Fatalf("%s %+v: element %d is %v, want %v within %v", e.ISA(), g, i, x, want[i], bound*size[i])
					}
				}
			}
		}
	}
}

// around0 draws n numbers from -1 to 1.
func around0(seed uint32, n int) []float32 {
	x := make([]float32, n)
	for i := range x {
		words := philox.Block([2]uint32{seed}, [4]uint32{uint32(i)})
		x[i] = float32(int32(words[0])) * 0x1p-31
	}
	return x
}

// gonumProduct multiplies in float64, the absolute values if absolute.
func gonumProduct(g Gemm, a, b []float32, absolute bool) []float64 {
	operand := func(x []float32, trans bool, rows, cols int) (blas.Transpose, blas64.General) {
		form := blas.NoTrans
		if trans {
			form, rows, cols = blas.Trans, cols, rows
		}
		m := blas64.General{Rows: rows, Cols: cols, Stride: cols, Data: make([]float64, len(x))}
		for i, v := range x {
			m.Data[i] = float64(v)
			if absolute {
				m.Data[i] = math.Abs(m.Data[i])
			}
		}
		return form, m
	}
	formA, wideA := operand(a, g.TransA, g.M, g.K)
	formB, wideB := operand(b, g.TransB, g.K, g.N)
	c := blas64.General{Rows: g.M, Cols: g.N, Stride: g.N, Data: make([]float64, g.M*g.N)}
	blas64.Gemm(formA, formB, 1, wideA, wideB, 0, c)
	return c.Data
}
