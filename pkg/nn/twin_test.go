package nn

import (
	"math"

	"github.com/lockstep-ml/lockstep/pkg/tensor"
)

// twin computes a step of a trainer's networks once more, in float64 and in the
// plainest way, from the definitions of the layers. What is random it takes from
// the same streams. It is what gradients are checked against.
type twin struct {
	tr *Trainer
	b  *Batch
	w  []float64 // all parameters
	// extra is what layers add to the loss, weighted.
	extra float64
}

func newTwin(tr *Trainer, b *Batch) *twin {
	return &twin{tr: tr, b: b, w: doubles(tr.w)}
}

func doubles(x []float32) []float64 {
	y := make([]float64, len(x))
	for i, v := range x {
		y[i] = float64(v)
	}
	return y
}

// layer64 is one layer applied to all records.
type layer64 struct {
	*twin
	n   *node
	nth int
	x   [][]float64 // inputs
	y   []float64   // output, zero at first
	p   [][]float64 // parameters
}

// loss is what network net makes small: the weighted sum over the records.
func (t *twin) loss(net int) float64 {
	t.extra = 0
	x := doubles(t.b.X)
	switch r := t.tr.plan.recipe.Recipe.(type) {
	case autoencoder:
		target := x
		if r != (autoencoder{}) {
			x = doubles(t.tr.step.Keep(0)) // the records with noise
		}
		return t.sum(t.forward(0, x, 0), target)
	case variational:
		return t.sum(t.forward(0, x, 0), x) + t.extra
	case gan:
		made := t.forward(generatorNet, doubles(t.tr.step.Keep(latentKeep)), 0)
		if net == generatorNet {
			return t.sum(t.forward(discriminatorNet, made, 1), t.all(1))
		}
		return t.sum(t.forward(discriminatorNet, x, 0), t.all(float64(r.real))) + t.sum(t.forward(discriminatorNet, made, 1), t.all(0))
	}
	return t.sum(t.forward(0, x, 0), doubles(t.b.Y)) + t.extra
}

// all is a target that is v for every record.
func (t *twin) all(v float64) []float64 {
	y := make([]float64, t.b.Len())
	for i := range y {
		y[i] = v
	}
	return y
}

// forward applies a network and gives what the loss reads, or the next network.
func (t *twin) forward(net int, x []float64, nth int) []float64 {
	p := t.tr.plan
	n := &p.nets[net]
	values := make([][]float64, len(p.values))
	values[n.input] = x
	for i := n.from; i < n.to; i++ {
		node := &p.nodes[i]
		l := &layer64{twin: t, n: node, nth: nth, y: make([]float64, t.b.Len()*p.values[node.out].size)}
		for _, v := range node.in[:len(node.in)-node.extra] { // a sum that it does as well is a node of its own here
			l.x = append(l.x, values[v])
		}
		for _, j := range node.params {
			l.p = append(l.p, t.w[p.params[j].offset:][:p.params[j].Size()])
		}
		l.forward()
		values[node.out] = l.y
	}
	return values[n.logits]
}

// weight is that of record r in the loss.
func (t *twin) weight(r int) float64 {
	if t.b.Weights == nil {
		return 1
	}
	return float64(t.b.Weights[r])
}

// pass gives access to the streams of a layer.
func (l *layer64) pass() *Pass {
	return &Pass{t: l.tr, n: l.n, batch: l.b, rows: l.b.Len(), nth: l.nth}
}

// draws fills a number for each, elements a record, lane by lane.
func (l *layer64) draws(each int, fill func(p *Pass, lane int, to []float32)) []float64 {
	p := l.pass()
	out := make([]float32, l.b.Len()*each)
	for i := range p.LaneCount() {
		from, to := p.Lane(i)
		fill(p, i, out[from*each:to*each])
	}
	return doubles(out)
}

// sum is the loss of what the judged network gives, with numbers or the classes of
// the batch as target.
func (t *twin) sum(x, y []float64) float64 {
	loss, total := t.tr.plan.loss, 0.0
	rows := t.b.Len() * loss.Rows()
	cols := len(x) / rows
	for r := range rows {
		row := x[r*cols:][:cols]
		w := t.weight(r / loss.Rows())
		switch l := loss.(type) {
		case crossEntropy:
			total += w * t.crossEntropy(l, row, r)
		case binary:
			for i, v := range row {
				target := 0.0
				switch {
				case !l.class:
					target = y[r*cols+i]
				case t.b.Shares != nil:
					share := float64(t.b.Shares[r])
					target = share*float64(t.b.Classes[r]) + (1-share)*float64(t.b.Others[r])
				default:
					target = float64(t.b.Classes[r])
				}
				total += w * (float64(l.positive)*target*softplus64(-v) + (1-target)*softplus64(v))
			}
		case hinge:
			for i, v := range row {
				if c := int(t.b.Classes[r]); i != c {
					total += w * max(0, float64(l.margin)+v-row[c]) / float64(cols)
				}
			}
		case divergence:
			for i, v := range y[r*cols:][:cols] {
				total += w * v * (math.Log(v) - (row[i] - logSumExp(row)))
			}
		case elementwise:
			for i, v := range row {
				total += w * element64(l.of, v-y[r*cols+i])
			}
		case ctc:
			total += w * ctc64(l, row, t.b.Classes[r*l.length:][:l.length])
		default:
			panic("no twin of the loss")
		}
	}
	return total
}

func (t *twin) crossEntropy(l crossEntropy, row []float64, r int) float64 {
	lse, c, s := logSumExp(row), int(t.b.Classes[r]), float64(l.smoothing)
	if c == l.ignore {
		return 0
	}
	target := make([]float64, len(row))
	share := 1.0
	if t.b.Shares != nil {
		share = float64(t.b.Shares[r/l.rows])
		target[t.b.Others[r]] += (1 - s) * (1 - share)
	}
	target[c] += (1 - s) * share
	sum := 0.0
	for i, v := range row {
		sum += (target[i] + s/float64(len(row))) * (lse - v)
	}
	if l.weights != nil {
		sum *= float64(l.weights[c])
	}
	return sum
}

func element64(of elementLoss, d float64) float64 {
	switch l := of.(type) {
	case squared:
		return d * d
	case absolute:
		return math.Abs(d)
	case huber:
		if delta := float64(l.delta); math.Abs(d) > delta {
			return delta * (math.Abs(d) - delta/2)
		}
		return d * d / 2
	}
	panic("no twin of the loss")
}

// ctc64 goes along the chain of labels with blanks between them, in probabilities.
func ctc64(l ctc, x []float64, labels []int32) float64 {
	n := len(labels)
	for n > 0 && labels[n-1] == l.blank {
		n--
	}
	chain := []int32{l.blank}
	for _, c := range labels[:n] {
		chain = append(chain, c, l.blank)
	}
	at := make([]float64, len(chain))
	at[0] = 1
	for t := range l.steps {
		row := x[t*l.classes:][:l.classes]
		next := make([]float64, len(chain))
		for s, c := range chain {
			in := at[s]
			if s > 0 && (t > 0 || s == 1) {
				in += at[s-1]
			}
			if t > 0 && s > 1 && c != l.blank && c != chain[s-2] {
				in += at[s-2]
			}
			next[s] = in * math.Exp(row[c]-logSumExp(row))
		}
		at = next
	}
	last := at[len(at)-1]
	if len(at) > 1 {
		last += at[len(at)-2]
	}
	return -math.Log(last)
}

func logSumExp(x []float64) float64 {
	top := math.Inf(-1)
	for _, v := range x {
		top = max(top, v)
	}
	sum := 0.0
	for _, v := range x {
		sum += math.Exp(v - top)
	}
	return top + math.Log(sum)
}

func sigmoid64(x float64) float64 { return 1 / (1 + math.Exp(-x)) }

func softplus64(x float64) float64 { return max(x, 0) + math.Log1p(math.Exp(-math.Abs(x))) }

func act64(a activation, x float64) float64 {
	switch a.act {
	case tensor.ActReLU:
		return max(x, 0)
	case tensor.ActSigmoid:
		return sigmoid64(x)
	case tensor.ActTanh:
		return math.Tanh(x)
	case tensor.ActLeakyReLU:
		return max(x, 0) + float64(a.slope)*min(x, 0)
	case tensor.ActELU:
		return max(x, 0) + float64(a.slope)*math.Expm1(min(x, 0))
	case tensor.ActGELU:
		return x * 0.5 * (1 + math.Erf(x/math.Sqrt2))
	case tensor.ActSiLU:
		return x * sigmoid64(x)
	case tensor.ActSoftplus:
		return softplus64(x)
	}
	panic("no twin of the activation")
}
