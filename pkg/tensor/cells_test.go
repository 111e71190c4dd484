package tensor

import (
	"math"
	"math/rand/v2"
	"testing"
)

// TestCellsHaveTheirDerivatives compares the gradients of a cell with finite
// differences in float64 of its definition.
func TestCellsHaveTheirDerivatives(t *testing.T) {
	sigmoid := func(x float64) float64 { return 1 / (1 + math.Exp(-x)) }
	lstm := func(a []float64) (h, c float64) {
		c = sigmoid(a[1])*a[4] + sigmoid(a[0])*math.Tanh(a[2])
		return sigmoid(a[3]) * math.Tanh(c), c
	}
	gru := func(a []float64) float64 {
		r, z := sigmoid(a[0]+a[3]), sigmoid(a[1]+a[4])
		n := math.Tanh(a[2] + r*a[5])
		return n + z*(a[6]-n)
	}
	slope := func(f func(a []float64) float64, a []float64, i int) float64 {
		const d = 1e-5
		up, down := append([]float64(nil), a...), append([]float64(nil), a...)
		up[i], down[i] = up[i]+d, down[i]-d
		return (f(up) - f(down)) / (2 * d)
	}
	// Both sides are sums of a few products of numbers up to 4.
	near := func(what string, got float32, want float64) {
		t.Helper()
		if math.Abs(float64(got)-want) > 4e-6 {
			t.Fatalf("%s: %g, want %g", what, got, want)
		}
	}
	eachEngine(t, func(t *testing.T, e *Engine, r *rand.Rand) {
		const n = 21
		at := func(x []float32, i, count int) (a []float64) {
			for k := range count {
				a = append(a, float64(x[k*n+i]))
			}
			return a
		}
		x, dh, dc := usual(r, 7*n), usual(r, n), usual(r, n)
		h, c, tanh := make([]float32, n), make([]float32, n), make([]float32, n)
		gates, dh2, dc2 := append([]float32(nil), x[:4*n]...), append([]float32(nil), dh...), append([]float32(nil), dc...)
		one := func(x []float32) Strided { return Strided{X: x} }
		e.LSTMForward(1, n, one(h), one(c), one(tanh), one(gates), one(x[4*n:5*n]))
		e.LSTMBackward(1, n, one(gates), one(dh2), one(dc2), one(x[4*n:5*n]), one(tanh))
		for i := range n {
			a := at(x, i, 5)
			wantH, wantC := lstm(a)
			near("h", h[i], wantH)
			near("c", c[i], wantC)
			loss := func(a []float64) float64 {
				h, c := lstm(a)
				return h*float64(dh[i]) + c*float64(dc[i])
			}
			for k := range 4 {
				near("lstm gate", gates[k*n+i], slope(loss, a, k))
			}
			near("lstm dc", dc2[i], slope(loss, a, 4))
			near("lstm dh", dh2[i], 0)
		}

		gates, hidden, dh2 := append([]float32(nil), x[:3*n]...), append([]float32(nil), x[3*n:6*n]...), append([]float32(nil), dh...)
		e.GRUForward(1, n, one(h), one(gates), one(hidden), one(x[6*n:]))
		e.GRUBackward(1, n, one(gates), one(hidden), one(dh2), one(x[6*n:]))
		for i := range n {
			a := at(x, i, 7)
			near("gru h", h[i], gru(a))
			loss := func(a []float64) float64 { return gru(a) * float64(dh[i]) }
			for k := range 3 {
				near("gru gate", gates[k*n+i], slope(loss, a, k))
				near("gru hidden", hidden[k*n+i], slope(loss, a, 3+k))
			}
			near("gru dh", dh2[i], slope(loss, a, 6))
		}
	})
}
