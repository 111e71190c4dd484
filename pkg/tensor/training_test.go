package tensor

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/lockstep-ml/lockstep/internal/philox"
)

func TestRandomNumbersAreThoseOfTheStream(t *testing.T) {
	eachEngine(t, func(t *testing.T, e *Engine, r *rand.Rand) {
		for _, base := range []uint64{0, 3, 1<<34 - 20, 5 << 33} {
			s := philox.New(r.Uint64(), philox.Noise, 1, 2, 3)
			n := 1 + r.IntN(5000)
			mask, u, normal := make([]float32, n), make([]float32, n), make([]float32, n)
			e.DropoutMask(mask, 0.3, s, base)
			e.Uniform(u, -1, 2, s, base)
			e.Normal(normal, 0, 1, s, base)
			var mean, square float64
			for i := range mask {
				w := s.Float32(base + uint64(i))
				keep := float32(0)
				if w < 0.3 {
					keep = 1 / float32(0.3)
				}
				mustEqual(t, "draws", []float32{mask[i], u[i]}, []float32{keep, fma32(w, 3, -1)})
				mean += float64(normal[i])
				square += float64(normal[i]) * float64(normal[i])
			}
			// Five standard deviations of the mean and of the mean square.
			if bound := 5 / math.Sqrt(float64(n)); math.Abs(mean/float64(n)) > bound || math.Abs(square/float64(n)-1) > bound*math.Sqrt2 {
				t.Errorf("mean %g, mean square %g of %d normal numbers", mean/float64(n), square/float64(n), n)
			}
		}
	})
}

func TestEmbedding(t *testing.T) {
	eachEngine(t, func(t *testing.T, e *Engine, r *rand.Rand) {
		const dim, words = 9, 5
		ids, rows := []int32{4, 0, 4, 1, 4, 0}, []int{0, 2, 6}
		table, dy, out := usual(r, dim*words), usual(r, dim*len(ids)), make([]float32, dim*len(ids))
		e.Gather(out, table, ids, dim)
		got, want := grads(r, dim*words, 2)
		for lane := range 2 {
			g := make([]float32, dim*words)
			for i := rows[lane]; i < rows[lane+1]; i++ {
				for j := range dim {
					mustEqual(t, "gather", out[i*dim+j:][:1], table[int(ids[i])*dim+j:][:1])
					g[int(ids[i])*dim+j] += dy[i*dim+j]
				}
			}
			want.addLane(lane, g)
		}
		e.ScatterAddLanes(got, dy, ids, dim, dim*words, rows)
		mustEqualGrad(t, "scatter", got, want)
	})
}

func TestColumnsAndPlanesOfLanes(t *testing.T) {
	eachEngine(t, func(t *testing.T, e *Engine, r *rand.Rand) {
		const n = 19
		rows := randomLanes(r)
		lanes := len(rows) - 1
		x := usual(r, rows[lanes]*n)
		c := Conv{OutC: 1, InC: 1, H: 1, W: n, KH: 1, KW: 1}
		cols, wantCols := grads(r, n, lanes)
		bias, wantBias := grads(r, 1, lanes)
		for lane := range lanes {
			g, b := make([]float32, n), make([]float32, 1)
			for i := rows[lane]; i < rows[lane+1]; i++ {
				for j := range g {
					g[j] += x[i*n+j]
				}
				b[0] += strided(n, func(p float32, j int) float32 { return p + x[i*n+j] })
			}
			wantCols.addLane(lane, g)
			wantBias.addLane(lane, b)
		}
		e.ColSumLanes(cols, x, n, rows)
		e.ConvBiasLanes(bias, x, c, rows)
		mustEqualGrad(t, "columns", cols, wantCols)
		mustEqualGrad(t, "planes", bias, wantBias)
	})
}

func TestOptimisers(t *testing.T) {
	eachEngine(t, func(t *testing.T, e *Engine, r *rand.Rand) {
		const n = 37
		f := func(x float32) float32 { return float32(x) } // rounds
		for _, s := range []SGDStep{{LR: 0.1, Decay: 0.01}, {LR: 0.1, Momentum: 0.9, Decay: 0.01}, {LR: 0.1, Momentum: 0.9, Nesterov: true}} {
			w, v, g := usual(r, n), usual(r, n), usual(r, n)
			for i := range n {
				d := g[i] + f(s.Decay*w[i])
				m := d
				if s.Momentum != 0 {
					m = f(s.Momentum*v[i]) + d
				}
				step := m
				if s.Nesterov {
					step = d + f(s.Momentum*m)
				}
				wi, vi := w[i:i+1], v[i:i+1]
				want := w[i] - f(s.LR*step)
				e.SGD(wi, vi, g[i:i+1], s)
				mustEqual(t, fmt.Sprintf("%+v", s), wi, []float32{want})
				if s.Momentum != 0 {
					mustEqual(t, "momentum", vi, []float32{m})
				}
			}
		}
		a := AdamStep{Decay: 0.01, Beta1: 0.9, Rest1: 0.1, Beta2: 0.99, Rest2: 0.01, Shrink: 0.999, Step: 0.1, Root: 1.5, Epsilon: 1e-6}
		w, m, v, g := usual(r, n), usual(r, n), usual(r, n), usual(r, n)
		for i := range v {
			v[i] *= v[i]
		}
		want := make([][3]float32, n)
		for i := range want {
			d := g[i] + f(a.Decay*w[i])
			m1 := f(a.Beta1*m[i]) + f(a.Rest1*d)
			v1 := f(a.Beta2*v[i]) + f(a.Rest2*f(d*d))
			want[i] = [3]float32{f(a.Shrink*w[i]) - f(a.Step*m1)/(f(sqrt32(v1)*a.Root)+a.Epsilon), m1, v1}
		}
		e.Adam(w, m, v, g, a)
		for i := range want {
			mustEqual(t, "adam", []float32{w[i], m[i], v[i]}, want[i][:])
		}
	})
}
