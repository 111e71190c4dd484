package nn

import (
	"errors"
	"fmt"
	"math"
	"math/bits"
	"slices"
)

// ErrNotFinite means that the loss or a gradient is NaN or infinite. It would
// be so again on any worker: the job must end.
var ErrNotFinite = errors.New("gradient is not finite; lower the learning rate, clip the gradient or check the data")

// lowestExponent is where the exponents of a new trainer start. Gradients below
// 2^-64 are as good as zero.
const lowestExponent = -64

// margin is how many powers of two a gradient may grow from one step to the
// next before the step is repeated.
const margin = 2

// Outcome is what a commit did.
type Outcome struct {
	// Repeat means that a gradient was too large for its exponent. Only
	// exponents changed: compute the gradient of the same batch again.
	Repeat bool
	// Loss is the mean over the records of all lanes, Metrics are in the order
	// of the job; both with the parameters before the update. Metrics is the
	// trainer's and holds until the next call.
	Loss    float64
	Metrics []float64
	// LR is the learning rate of the update of the model.
	LR float64
	// Records is how many records the batch had in all lanes.
	Records int
}

// shift is k+e of parameter i: how many bits a gradient may have, so that the
// sum over all lanes and uses fits an int32.
func (p *Plan) shift(i int) int {
	terms := p.spec.Lanes * max(p.params[i].Uses, 1)
	return 30 - bits.Len(uint(terms-1))
}

// Commit updates the parameters from the buckets and stats, which by now are
// sums over all ranks. Given the same sums every rank does exactly the same. If
// it returns an error or asks to repeat, the parameters are unchanged.
func (t *Trainer) Commit() (Outcome, error) {
	repeat, err := t.checkMaxima()
	if err != nil || repeat {
		return Outcome{Repeat: repeat}, err
	}
	t.combine(t.stats, t.layout.words)
	if err := t.mean(); err != nil {
		return Outcome{}, err
	}
	p := t.plan
	done := int(t.updates[0])
	factor := p.sched.factor(done, p.spec.total()) * t.slowdown()
	for i := range p.nets {
		if t.due(i) {
			t.prepare(&p.nets[i])
		}
	}
	t.update(factor)
	t.followWeights()
	t.commitLayers()
	t.updates[0]++
	t.followMaxima()
	loss, metrics := t.results()
	return Outcome{Loss: loss, Metrics: metrics, LR: p.nets[0].training.lr * factor, Records: int(t.total[0])}, nil
}

// checkMaxima finds gradients that are not finite or do not fit. In the latter
// case it raises their exponents, and the step must be repeated.
func (t *Trainer) checkMaxima() (repeat bool, err error) {
	for lane := range t.plan.spec.Lanes {
		words := t.stats[lane*t.layout.words:]
		for n := range t.plan.nets {
			if loss := getFloat(words, 1+2*n); math.IsNaN(loss) || math.IsInf(loss, 0) {
				return false, fmt.Errorf("epoch %d step %d lane %d: loss is %v: %w", t.cursor[0], t.cursor[1], lane, loss, ErrNotFinite)
			}
		}
	}
	if !t.plan.spec.Exact {
		return false, nil
	}
	for j := range t.exponents {
		largest, lane := t.largest(j)
		if math.IsNaN(float64(largest)) || math.IsInf(float64(largest), 0) {
			return false, fmt.Errorf("epoch %d step %d lane %d: parameter %s: %w", t.cursor[0], t.cursor[1], lane, t.plan.params[j].name, ErrNotFinite)
		}
	}
	for j := range t.exponents {
		if largest, _ := t.largest(j); exponent(largest) > int(t.exponents[j]) {
			t.exponents[j] = int32(exponent(largest) + margin)
			repeat = true
		}
	}
	return repeat, nil
}

// largest is the largest |gradient| of parameter j over all lanes, and the lane
// it is in. The bits of floats that are not negative are ordered as the floats
// are, with infinity and NaN above all.
func (t *Trainer) largest(j int) (value float32, lane int) {
	var most int32
	for l := range t.plan.spec.Lanes {
		if w := t.stats[l*t.layout.words+2*t.layout.tally+j]; w > most {
			most, lane = w, l
		}
	}
	return math.Float32frombits(uint32(most)), lane
}

// exponent is the least e with x < 2^e, for x > 0; the lowest for 0.
func exponent(x float32) int {
	if x == 0 {
		return lowestExponent
	}
	_, e := math.Frexp(float64(x))
	return max(e, lowestExponent)
}

// followMaxima lets the exponents follow this step's gradients: up at once, down
// by one a step.
func (t *Trainer) followMaxima() {
	if !t.plan.spec.Exact {
		return
	}
	for j := range t.exponents {
		if largest, _ := t.largest(j); largest > 0 {
			t.exponents[j] = int32(max(exponent(largest)+margin, int(t.exponents[j])-1, lowestExponent))
		}
	}
}

// mean turns the sums into mean gradients, which are divided by the number of terms
// in the loss of their network. In exact arithmetic update does that itself where
// it goes piece by piece.
func (t *Trainer) mean() error {
	for n := range t.plan.nets {
		switch {
		case !t.due(n):
		case !t.plan.spec.Exact:
			if err := t.meanFast(n); err != nil {
				return err
			}
		case t.plan.nets[n].whole():
			for _, j := range t.plan.order {
				if prm := &t.plan.params[j]; t.plan.nodes[prm.node].net == n {
					t.meanExact(t.floats[prm.offset:][:prm.Size()], j, 0)
				}
			}
		}
	}
	return nil
}

func (t *Trainer) meanFast(n int) error {
	each := float32(t.each(n))
	for g := range slices.Chunk(t.trained(t.floats, n), updatePiece*t.eng.Threads()) {
		t.eng.Scale(g, each)
		if s := t.eng.SumSquares(g); math.IsNaN(s) || math.IsInf(s, 0) {
			return fmt.Errorf("epoch %d step %d: %w", t.cursor[0], t.cursor[1], ErrNotFinite)
		}
	}
	return nil
}

// meanExact makes dst the mean gradient by parameter j from an element on.
func (t *Trainer) meanExact(dst []float32, j, from int) {
	prm := &t.plan.params[j]
	scale := float32(math.Ldexp(t.each(t.plan.nodes[prm.node].net), int(t.exponents[j])-t.plan.shift(j)))
	t.eng.Dequantise(dst, t.ints[prm.offset+from:][:len(dst)], scale)
}

// each is what one term counts in the mean of network n.
func (t *Trainer) each(n int) float64 {
	if terms := t.total[2+2*n]; terms > 0 {
		return 1 / terms
	}
	return 0
}

// trained is the trained part of network n in a flat buffer.
func (t *Trainer) trained(flat []float32, n int) []float32 {
	net := &t.plan.nets[n]
	return flat[net.begin:net.end]
}

// updatePiece is the number of elements for every thread whose gradient is made and
// used while it is in the first cache.
const updatePiece = 1 << 13

// update hands every parameter tensor to the optimiser of its network, piece by
// piece if that makes no difference.
func (t *Trainer) update(factor float64) {
	u := &t.tensor
	u.eng = t.eng
	for _, j := range t.plan.order {
		prm := &t.plan.params[j]
		n := t.plan.nodes[prm.node].net
		if !t.due(n) {
			continue
		}
		net := &t.plan.nets[n]
		u.t = t.updatesOf(n) + 1
		u.lr, u.decay = float32(net.training.lr*factor*prm.factor), prm.decay
		piece := prm.Size()
		if !net.whole() {
			piece = updatePiece * t.eng.Threads()
		}
		for from := 0; from < prm.Size(); from += piece {
			size := min(piece, prm.Size()-from)
			at := prm.offset + from
			u.w, u.g = t.w[at:][:size], t.floats[at:][:size]
			if t.plan.spec.Exact && !net.whole() {
				u.g = t.floats[:size] // stays in the cache
				t.meanExact(u.g, j, from)
			}
			for s, slot := range t.slots[n] {
				u.slots[s] = slot[at-net.begin:][:size]
			}
			net.opt.update(u)
		}
		t.limitNorms(t.w[prm.offset:][:prm.Size()], prm.Shape, net.training.maxNorm)
	}
}

// followWeights moves the running mean of the parameters.
func (t *Trainer) followWeights() {
	if t.ema == nil {
		return
	}
	for j := range t.plan.params {
		prm := &t.plan.params[j]
		n := t.plan.nodes[prm.node].net
		if !t.due(n) || prm.factor == 0 { // frozen parameters keep their bits
			continue
		}
		keep := float32(t.plan.nets[n].training.ema)
		rest := 1 - keep
		mean := t.ema[prm.offset:][:prm.Size()]
		for i, w := range t.w[prm.offset:][:prm.Size()] {
			mean[i] = float32(keep*mean[i]) + float32(rest*w)
		}
	}
}

// final are the parameters that count in the end: their running mean if there is
// one.
func (t *Trainer) final() []float32 {
	if t.ema != nil {
		return t.ema
	}
	return t.w
}
