package nn

import (
	"math"

	"github.com/lockstep-ml/lockstep/pkg/tensor"
)

// attention is multi-head self-attention over a sequence, with
//
//	x, y  (B, T, D)      qkv  (B, T, 3D)      weights  (B, heads, T, T)
//
// and, for each head, y = softmax((q / sqrt(D/heads)) kᵀ) v, between two dense
// layers: in_proj makes q, k and v of x, out_proj mixes the heads.
type attention struct {
	steps, dim, heads int
	causal            bool
	padding           int // token whose positions are not looked at, -1 is none
}

func attentionKind() LayerKind {
	return LayerKind{
		Entry: Entry{Name: "attention", Class: classLayer, Shapes: "(t, n) -> (t, n)", Summary: "every position of a sequence (positions, features) gathers from the others what concerns it",
			Fields: []Field{
				integer("heads", 1, "how many things a position looks for at once; divides the features").min(1).short(),
				boolean("causal", false, "a position sees only itself and those before it"),
				paddingField(),
			}},
		Fit: fitAttention,
	}
}

func fitAttention(s *Site) Fitted {
	in, ok := s.sequence("attention")
	if !ok {
		return Fitted{}
	}
	l := attention{steps: in[0], dim: in[1], heads: s.Int("heads"), causal: s.Bool("causal"), padding: s.padding(in[0])}
	if l.dim%l.heads != 0 {
		s.Fail("heads", "is %d; it must divide the %d features", l.heads, l.dim)
		return Fitted{}
	}
	zeros := Init{Kind: "zeros"}
	n := l.steps * l.dim
	return Fitted{Layer: l, Out: in,
		Params: []Param{
			{Name: "in_proj_weight", Shape: []int{3 * l.dim, l.dim}, Init: Init{Kind: "glorot_uniform", FanIn: l.dim, FanOut: 3 * l.dim}},
			{Name: "in_proj_bias", Shape: []int{3 * l.dim}, Init: zeros},
			{Name: "out_proj.weight", Shape: []int{l.dim, l.dim}, Init: Init{Kind: "uniform_fan_in", FanIn: l.dim, FanOut: l.dim}},
			{Name: "out_proj.bias", Shape: []int{l.dim}, Init: zeros},
		},
		Keep:    []int{3 * n, l.heads * l.steps * l.steps, n}, // qkv, weights, heads side by side
		Scratch: 3*n + n + l.steps*l.steps,                    // dqkv, dheads, dweights of one head
		MACs:    4*n*l.dim + 2*l.steps*n,
	}
}

// width is the number of features of a head.
func (l attention) width() int { return l.dim / l.heads }

func (l attention) Forward(p *Pass) {
	t, d, w := l.steps, l.dim, l.width()
	eng, rows := p.Engine(), p.Rows()
	qkv, weights, heads := p.Keep(0), p.Keep(1), p.Keep(2)
	eng.Gemm(qkv, p.X(0), p.Param(0), tensor.Gemm{M: rows * t, N: 3 * d, K: d, TransB: true, Bias: p.Param(1)})
	l.scaleQueries(eng, qkv)
	all := l.heads * t * t
	for h := range l.heads {
		l.blocks(func(from, to, seen, _ int) {
			scores := tensor.Gemm{M: to - from, N: seen, K: w, TransB: true, Lda: 3 * d, Ldb: 3 * d, Ldc: t}
			eng.GemmBatch(weights[h*t*t+from*t:], qkv[h*w+from*3*d:], qkv[d+h*w:], scores, rows, all, 3*t*d, 3*t*d)
		})
	}
	if l.padding >= 0 {
		l.hidePadding(weights, p.Tokens())
	}
	if l.causal {
		eng.RowSoftmaxCausal(weights, weights, rows*l.heads, t)
	} else {
		eng.RowSoftmax(weights, weights, rows*l.heads*t, t)
	}
	for h := range l.heads {
		l.blocks(func(from, to, seen, _ int) {
			mix := tensor.Gemm{M: to - from, N: w, K: seen, Lda: t, Ldb: 3 * d, Ldc: d}
			eng.GemmBatch(heads[h*w+from*d:], weights[h*t*t+from*t:], qkv[2*d+h*w:], mix, rows, t*d, all, 3*t*d)
		})
	}
	eng.Gemm(p.Y(), heads, p.Param(2), tensor.Gemm{M: rows * t, N: d, K: d, TransB: true, Bias: p.Param(3)})
}

// causalBlock is how many positions are done at once if they do not see what comes later:
// what none of them sees would add zeros to chains, and is left out. That shows only if
// it is NaN or Inf, or if a sum so far is -0, which takes an underflow.
const causalBlock = 64

// blocks calls f for all positions, from to to at once: they see the first seen
// positions, and are seen by position by and those behind it.
func (l attention) blocks(f func(from, to, seen, by int)) {
	if !l.causal {
		f(0, l.steps, l.steps, 0)
		return
	}
	for from := 0; from < l.steps; from += causalBlock {
		to := min(from+causalBlock, l.steps)
		f(from, to, to, from)
	}
}

// hidePadding takes filling out of the scores; a position always sees itself.
func (l attention) hidePadding(scores []float32, tokens []int32) {
	never, each := float32(math.Inf(-1)), l.steps*l.steps
	for at := 0; at < len(scores); at += each {
		tokens := tokens[at/each/l.heads*l.steps:][:l.steps]
		for i := range l.steps {
			row := scores[at+i*l.steps:][:l.steps]
			for j, token := range tokens {
				if j != i && int(token) == l.padding {
					row[j] = never
				}
			}
		}
	}
}

// scaleQueries scales the first third of every row of qkv or of its gradient.
func (l attention) scaleQueries(eng *tensor.Engine, qkv []float32) {
	scale := float32(1 / math.Sqrt(float64(l.width())))
	eng.ScaleStrided(tensor.Strided{X: qkv, Step: 3 * l.dim}, scale, len(qkv)/(3*l.dim), l.dim)
}

func (attention) keepsDY() bool { return true }

func (l attention) Backward(p *Pass) {
	t, d := l.steps, l.dim
	eng, rows, dy := p.Engine(), p.Rows(), p.DY()
	n := rows * t * d
	dqkv, dheads := p.Scratch()[:3*n], p.Scratch()[3*n:4*n]
	lanes := p.LaneRows(t)
	eng.ColSumLanes(p.Grad(3), dy, d, lanes)
	eng.GemmLanes(p.Grad(2), dy, p.Keep(2), d, d, lanes)
	eng.Gemm(dheads, dy, p.Param(2), tensor.Gemm{M: rows * t, N: d, K: d})
	for h := range l.heads {
		l.backwardHead(p, h, dqkv, dheads, p.Scratch()[4*n:])
	}
	l.scaleQueries(eng, dqkv)
	eng.ColSumLanes(p.Grad(1), dqkv, 3*d, lanes)
	eng.GemmLanes(p.Grad(0), dqkv, p.X(0), 3*d, d, lanes)
	if dx := p.DX(0); dx != nil {
		eng.Gemm(dx, dqkv, p.Param(0), tensor.Gemm{M: rows * t, N: d, K: 3 * d})
	}
}

// backwardHead goes back through the products and the softmax of one head of all
// records. ds holds (rows, T, T).
func (l attention) backwardHead(p *Pass, h int, dqkv, dheads, ds []float32) {
	t, d, w := l.steps, l.dim, l.width()
	eng, rows := p.Engine(), p.Rows()
	qkv, weights := p.Keep(0)[h*w:], p.Keep(1)[h*t*t:]
	dqkv, dheads, ds = dqkv[h*w:], dheads[h*w:], ds[:rows*t*t]
	all, each := l.heads*t*t, t*t
	// dV = Pᵀ dO and dP = dO Vᵀ, then back through the softmax.
	l.blocks(func(from, to, seen, by int) {
		eng.GemmBatch(dqkv[2*d+from*3*d:], weights[by*t+from:], dheads[by*d:], tensor.Gemm{M: to - from, N: w, K: t - by, TransA: true, Lda: t, Ldb: d, Ldc: 3 * d}, rows, 3*t*d, all, t*d)
		eng.GemmBatch(ds[from*t:], dheads[from*d:], qkv[2*d:], tensor.Gemm{M: to - from, N: seen, K: w, TransB: true, Lda: d, Ldb: 3 * d, Ldc: t}, rows, each, t*d, 3*t*d)
	})
	for r := range rows {
		ds, weights := ds[r*each:][:each], weights[r*all:][:each]
		if l.causal {
			eng.RowSoftmaxCausalBackward(ds, ds, weights, 1, t)
		} else {
			eng.RowSoftmaxBackward(ds, ds, weights, t, t)
		}
	}
	// dQ = dS K and dK = dSᵀ Q.
	l.blocks(func(from, to, seen, by int) {
		eng.GemmBatch(dqkv[from*3*d:], ds[from*t:], qkv[d:], tensor.Gemm{M: to - from, N: w, K: seen, Lda: t, Ldb: 3 * d, Ldc: 3 * d}, rows, 3*t*d, each, 3*t*d)
		eng.GemmBatch(dqkv[d+from*3*d:], ds[by*t+from:], qkv[by*3*d:], tensor.Gemm{M: to - from, N: w, K: t - by, TransA: true, Lda: t, Ldb: 3 * d, Ldc: 3 * d}, rows, 3*t*d, each, 3*t*d)
	})
}
