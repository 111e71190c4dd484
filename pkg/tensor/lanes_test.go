package tensor

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
)

// randomLanes cuts at most 60 rows into lanes; some lanes may have none.
func randomLanes(r *rand.Rand) []int {
	rows := []int{r.IntN(3)}
	for range 1 + r.IntN(9) {
		rows = append(rows, rows[len(rows)-1]+r.IntN(8))
	}
	return rows
}

// grads returns an exact gradient of n elements for so many lanes, and a copy.
func grads(r *rand.Rand, n, lanes int) (*Grad, *Grad) {
	g := &Grad{Scale: float32(math.Ldexp(1, 15+r.IntN(8))), Int: make([]int32, n), Max: make([]float32, lanes)}
	for i := range g.Int {
		g.Int[i] = int32(r.IntN(2000) - 1000)
	}
	g.Max[0] = 0.25
	return g, &Grad{Scale: g.Scale, Int: append([]int32(nil), g.Int...), Max: append([]float32(nil), g.Max...)}
}

// addLane is the definition of the exact sum.
func (g *Grad) addLane(lane int, x []float32) {
	for i, v := range x {
		g.Int[i] += roundInt(v * g.Scale)
		if a := abs32(v); a > g.Max[lane] || a != a {
			g.Max[lane] = a
		}
	}
}

func mustEqualGrad(t *testing.T, what string, got, want *Grad) {
	t.Helper()
	for i := range want.Int {
		if got.Int[i] != want.Int[i] {
			t.Fatalf("%s: element %d is %d, want %d", what, i, got.Int[i], want.Int[i])
		}
	}
	mustEqual(t, what+" float", got.Float, want.Float)
	mustEqual(t, what+" max", got.Max, want.Max)
}

func TestGemmLanesAddsIntegers(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	for _, e := range append(engines(t, 1), engines(t, 3)...) {
		for range cases(e, 300) {
			rows := randomLanes(r)
			lanes, last := len(rows)-1, rows[len(rows)-1]
			m, n := 1+r.IntN(40), 1+r.IntN(50)
			if r.IntN(10) == 0 {
				m, n = 100+r.IntN(200), 100+r.IntN(100)
			}
			a, aOK := guarded(t, r, last*m)
			b, bOK := guarded(t, r, last*n)
			got, want := grads(r, m*n, lanes)
			g := make([]float32, m*n)
			for i := range lanes {
				shape := Gemm{M: m, N: n, K: rows[i+1] - rows[i], TransA: true}.dense()
				gemmLoop(g, a[rows[i]*m:], b[rows[i]*n:], shape)
				want.addLane(i, g)
			}
			e.GemmLanes(got, a, b, m, n, rows)
			what := fmt.Sprintf("%s %d threads %dx%d rows %v", e.ISA(), e.Threads(), m, n, rows)
			mustEqualGrad(t, what, got, want)
			aOK(what)
			bOK(what)
		}
	}
}
