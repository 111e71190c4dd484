package tensor

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/lockstep-ml/lockstep/internal/philox"
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
		for range 40 {
			g := randomGemm(r)
			g.M, g.N, g.K = max(g.M, 1), max(g.N, 1), max(g.K, 1)
			g.Lda, g.Ldb, g.Ldc = 0, 0, 0
			g = g.dense()
			a, b, c := usual(r, g.M*g.K), usual(r, g.K*g.N), usual(r, g.M*g.N)
			want := append([]float32(nil), c...)
			gemmLoop(want, a, b, g)
			e.GemmPacked(c, a, e.Pack(b, g), g)
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

func TestRowNorm(t *testing.T) {
	eachEngine(t, func(t *testing.T, e *Engine, r *rand.Rand) {
		for _, cols := range []int{1, 5, 16, 37, 128} {
			const rows = 6
			x, w, b, dy := usual(r, rows*cols), usual(r, cols), usual(r, cols), usual(r, rows*cols)
			y, hat, root, dx := make([]float32, rows*cols), make([]float32, rows*cols), make([]float32, rows), make([]float32, rows*cols)
			e.RowNorm(y, hat, root, x, w, b, rows, cols, 1e-5)
			e.RowNormBackward(dx, dy, hat, root, w, rows, cols)
			each := 1 / float32(cols)
			for i := range rows {
				x, y, hat, dy, dx := x[i*cols:][:cols], y[i*cols:][:cols], hat[i*cols:][:cols], dy[i*cols:][:cols], dx[i*cols:][:cols]
				mean := float32(strided(cols, func(p float32, j int) float32 { return p + x[j] }) * each)
				variance := float32(strided(cols, func(p float32, j int) float32 { return fma32(x[j]-mean, x[j]-mean, p) }) * each)
				rt := 1 / sqrt32(variance+1e-5)
				g := func(j int) float32 { return float32(dy[j] * w[j]) }
				shift := float32(strided(cols, func(p float32, j int) float32 { return p + g(j) }) * each)
				slope := float32(strided(cols, func(p float32, j int) float32 { return fma32(g(j), hat[j], p) }) * each)
				for j := range x {
					h := float32((x[j] - mean) * rt)
					mustEqual(t, "row norm", []float32{hat[j], y[j], root[i]}, []float32{h, float32(h*w[j]) + b[j], rt})
					mustEqual(t, "row norm backward", dx[j:j+1], []float32{float32((g(j) - shift - float32(h*slope)) * rt)})
				}
			}
		}
	})
}

func TestChannels(t *testing.T) {
	eachEngine(t, func(t *testing.T, e *Engine, r *rand.Rand) {
		for _, plane := range []int{1, 7, 49} {
			c := Channels{Rows: 4, Count: 11, Plane: plane}
			n := c.size()
			x, dy, y, dx := usual(r, n), usual(r, n), make([]float32, n), make([]float32, n)
			a, b, s := usual(r, c.Count), usual(r, c.Count), usual(r, c.Count)
			total, dots := make([]float32, c.Count), make([]float32, c.Count)
			e.ChannelAffine(y, x, a, s, c)
			e.ChannelCombine(dx, dy, x, a, b, s, c)
			e.ChannelSums(total, x, c)
			e.ChannelDots(dots, x, dy, c)
			wantTotal, wantDots := make([]float32, c.Count), make([]float32, c.Count)
			for i := range x {
				ch := i / plane % c.Count
				mustEqual(t, "affine", y[i:i+1], []float32{float32(x[i]*a[ch]) - s[ch]})
				mustEqual(t, "combine", dx[i:i+1], []float32{float32(float32(a[ch]*dy[i])-float32(b[ch]*x[i])) - s[ch]})
				if i%plane == 0 {
					wantTotal[ch] += strided(plane, func(p float32, j int) float32 { return p + x[i+j] })
					wantDots[ch] += strided(plane, func(p float32, j int) float32 { return fma32(x[i+j], dy[i+j], p) })
				}
			}
			mustEqual(t, "sums", total, wantTotal)
			mustEqual(t, "dots", dots, wantDots)
		}
	})
}

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
		e.LSTMForward(h, c, tanh, gates, x[4*n:5*n])
		e.LSTMBackward(gates, dh2, dc2, x[4*n:5*n], tanh)
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
		e.GRUForward(h, gates, hidden, x[6*n:])
		e.GRUBackward(gates, hidden, dh2, x[6*n:])
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
