package tensor

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
)

// A causal softmax is that of what each row sees.
func TestRowSoftmaxCausal(t *testing.T) {
	eachEngine(t, func(t *testing.T, e *Engine, r *rand.Rand) {
		const count, n = 2, 19
		x, dy, y, dx := usual(r, count*n*n), usual(r, count*n*n), make([]float32, count*n*n), make([]float32, count*n*n)
		e.RowSoftmaxCausal(y, x, count, n)
		e.RowSoftmaxCausalBackward(dx, dy, y, count, n)
		for row := range count * n {
			at, sees := row*n, row%n+1
			want, wantDX := make([]float32, n), make([]float32, n)
			e.RowSoftmax(want, x[at:], 1, sees)
			e.RowSoftmaxBackward(wantDX, dy[at:], want, 1, sees)
			mustEqual(t, "causal", y[at:][:n], want)
			mustEqual(t, "causal backward", dx[at:][:n], wantDX)
		}
	})
}

func TestSoftmaxCrossEntropy(t *testing.T) {
	eachEngine(t, func(t *testing.T, e *Engine, r *rand.Rand) {
		for _, cols := range []int{1, 10, 65} {
			const rows = 9
			x, classes := usual(r, rows*cols), make([]int32, rows)
			dx, y, loss, lse := make([]float32, rows*cols), make([]float32, rows*cols), make([]float32, rows), make([]float32, rows)
			for i := range classes {
				classes[i] = int32(r.IntN(cols))
			}
			e.SoftmaxCrossEntropy(dx, loss, x, classes, rows, cols)
			e.RowSoftmax(y, x, rows, cols)
			e.RowLogSumExp(lse, x, rows, cols)
			for i := range rows {
				total := 0.0
				for _, v := range x[i*cols:][:cols] {
					total += math.Exp(float64(v))
				}
				// A few roundings of numbers up to 5.
				if d := float64(loss[i]) - (math.Log(total) - float64(x[i*cols+int(classes[i])])); math.Abs(d) > 2e-6 {
					t.Fatalf("loss is %g off", d)
				}
				if d := float64(lse[i]) - math.Log(total); math.Abs(d) > 2e-6 {
					t.Fatalf("log-sum-exp is %g off", d)
				}
				for j := range cols {
					p := math.Exp(float64(x[i*cols+j])) / total
					if math.Abs(float64(y[i*cols+j])-p) > 3e-7 {
						t.Fatalf("softmax %g, want %g", y[i*cols+j], p)
					}
					if j == int(classes[i]) {
						p--
					}
					if math.Abs(float64(dx[i*cols+j])-p) > 3e-7 {
						t.Fatalf("gradient %g, want %g", dx[i*cols+j], p)
					}
				}
			}
			alone := make([]float32, rows)
			e.SoftmaxCrossEntropy(nil, alone, x, classes, rows, cols)
			mustEqual(t, "loss without gradient", alone, loss)
			// The gradient through softmax of its own logarithm.
			e.RowSoftmaxBackward(dx, y, y, rows, cols)
			for i := range rows {
				dot := strided(cols, func(p float32, j int) float32 { return fma32(y[i*cols+j], y[i*cols+j], p) })
				for j := range cols {
					v := y[i*cols+j]
					mustEqual(t, "softmax backward", dx[i*cols+j:][:1], []float32{v * (v - dot)})
				}
			}
		}
	})
}

func TestPooling(t *testing.T) {
	eachEngine(t, func(t *testing.T, e *Engine, r *rand.Rand) {
		for i := range 60 {
			p := Pool{N: 1 + r.IntN(3), C: 1 + r.IntN(3), H: 2 + r.IntN(20), W: 2 + r.IntN(40), KH: 2, KW: 2, StrideH: 2, StrideW: 2}
			if i%2 == 0 {
				p.KH, p.KW, p.StrideH, p.StrideW, p.PadW = 1+r.IntN(2), 2, 1+r.IntN(3), 1+r.IntN(3), r.IntN(2)
				p.PadH = r.IntN(p.KH)
			}
			out := p.N * p.C * p.OutH() * p.OutW()
			x, xOK := guarded(t, r, p.N*p.C*p.H*p.W)
			y, yOK := guarded(t, r, out)
			dx, dxOK := guarded(t, r, len(x))
			x[r.IntN(len(x))] = nan32
			where := make([]int32, out)
			what := fmt.Sprintf("%+v", p)
			wantY, wantAvg, wantDX, wantAvgDX, wantWhere := poolLoop(x, p)
			e.MaxPoolForward(y, where, x, p)
			mustEqual(t, what+" max", y, wantY)
			for i := range where {
				if where[i] != wantWhere[i] {
					t.Fatalf("%s: place %d, want %d", what, where[i], wantWhere[i])
				}
			}
			e.MaxPoolBackward(dx, y, where, p)
			mustEqual(t, what+" max backward", dx, wantDX)
			e.AvgPoolForward(y, x, p)
			mustEqual(t, what+" average", y, wantAvg)
			e.AvgPoolBackward(dx, y, p)
			mustEqual(t, what+" average backward", dx, wantAvgDX)
			xOK(what)
			yOK(what)
			dxOK(what)
		}
	})
}

// poolLoop is the definition of pooling. The gradients are those of the outputs
// themselves.
func poolLoop(x []float32, p Pool) (y, avg, dx, avgDX []float32, where []int32) {
	dx, avgDX = make([]float32, len(x)), make([]float32, len(x))
	for plane := range p.N * p.C {
		x, dx, avgDX := x[plane*p.H*p.W:][:p.H*p.W], dx[plane*p.H*p.W:][:p.H*p.W], avgDX[plane*p.H*p.W:][:p.H*p.W]
		for i := range p.OutH() * p.OutW() {
			best, at, sum, first := -inf32, 0, float32(0), true
			each := func(f func(k int)) {
				for kh := range p.KH {
					for kw := range p.KW {
						h, w := i/p.OutW()*p.StrideH-p.PadH+kh, i%p.OutW()*p.StrideW-p.PadW+kw
						if h >= 0 && h < p.H && w >= 0 && w < p.W {
							f(h*p.W + w)
						}
					}
				}
			}
			each(func(k int) {
				if first || x[k] > best || x[k] != x[k] && best == best {
					best, at, first = x[k], k, false
				}
				sum += x[k]
			})
			f := 1 / float32(p.KH*p.KW)
			y, avg, where = append(y, best), append(avg, sum*f), append(where, int32(at))
			dx[at] += best
			each(func(k int) { avgDX[k] += float32(float32(sum*f) * f) })
		}
	}
	return y, avg, dx, avgDX, where
}
