package nn

import (
	"fmt"
	"math"

	"github.com/lockstep-ml/lockstep/pkg/tensor"
)

// Trainer is a network in training: a plan with memory. It is used by one
// goroutine at a time.
type Trainer struct {
	eng               *tensor.Engine
	plan              *Plan
	maxRows, maxLanes int

	// The replicated state.
	w         []float32   // all parameters
	slots     [][]float32 // of the optimiser, like the trained part of w
	ema       []float32   // running mean of w; nil without
	buffers   []float32   // of layers that have a state
	updates   []int32     // one number: updates done
	exponents []int32     // e of each parameter

	// The gradient: sums of integers in exact arithmetic, and floats, which are
	// the sums in fast arithmetic and the mean before an update in both.
	ints    []int32
	floats  []float32
	grads   []tensor.Grad // per parameter: views of ints or floats
	maxima  []float32     // (params, maxLanes)
	buckets []Bucket
	ends    []int // of the buckets in the flat buffer

	// The memory of a batch.
	acts, dacts [][]float32
	units       []unit
	scratch     []float32
	laneRows    []int
	rowLoss     []float32
	rowWeight   []float32
	rowCounts   []float32
	lossScratch []float32
	layerLoss   []float32 // of every record, from layers
	pass        Pass
	commit      CommitPass
	tensor      update
	lossPass    LossPass

	layout  layout
	stats   []int32
	tallies []float64 // (V, layout.tally) of this step
	eval    []float64 // (V, layout.tally) of the evaluation
	evalOut []int32
	total   []float64
	metrics []float64
	metric  metricPass
	cursor  [2]int // epoch, step of the last Gradient
	part    Batch  // the lanes of a batch whose turn it is
}

// bucketSize is the number of elements of a bucket: 1 MiB.
const bucketSize = 1 << 18

// Bucket is a run of the flat gradient that is summed over the ranks at once.
// Exactly one of its slices is set.
type Bucket struct {
	Int   []int32   // exact arithmetic
	Float []float32 // fast arithmetic
}

// NewTrainer allocates a trainer for batches of at most maxLanes lanes, of which
// it computes at most maxRows records at once: no lane may have more. Its
// parameters are zero until Init or SetState.
func NewTrainer(eng *tensor.Engine, plan *Plan, maxRows, maxLanes int) (*Trainer, error) {
	if maxRows < 1 || maxLanes < 1 || maxLanes > plan.spec.Lanes {
		return nil, fmt.Errorf("nn: a trainer for %d rows in %d of %d lanes cannot be", maxRows, maxLanes, plan.spec.Lanes)
	}
	t := &Trainer{eng: eng, plan: plan, maxRows: maxRows, maxLanes: maxLanes}
	t.w = make([]float32, plan.size)
	if plan.training.ema > 0 {
		t.ema = make([]float32, plan.size)
	}
	for range plan.opt.slots() {
		t.slots = append(t.slots, make([]float32, plan.trained))
	}
	t.tensor.slots = make([][]float32, len(t.slots))
	t.buffers = make([]float32, plan.bufferSize)
	t.updates = make([]int32, 1)
	t.exponents = make([]int32, len(plan.params))
	for i := range t.exponents {
		t.exponents[i] = lowestExponent
	}
	t.allocateGradient()
	t.allocate()
	t.layout = plan.newLayout()
	t.stats = make([]int32, plan.spec.Lanes*t.layout.words)
	t.tallies = make([]float64, plan.spec.Lanes*t.layout.tally)
	t.eval = make([]float64, plan.spec.Lanes*t.layout.tally)
	t.evalOut = make([]int32, plan.spec.Lanes*2*t.layout.tally)
	t.total = make([]float64, t.layout.tally)
	t.metrics = make([]float64, len(plan.metrics))
	return t, nil
}

func (t *Trainer) allocateGradient() {
	p := t.plan
	t.floats = make([]float32, p.size)
	if p.spec.Exact {
		t.ints = make([]int32, p.size)
	}
	t.maxima = make([]float32, len(p.params)*t.maxLanes)
	t.grads = make([]tensor.Grad, len(p.params))
	for i, prm := range p.params {
		if p.spec.Exact {
			t.grads[i].Int = t.ints[prm.offset:][:prm.Size()]
		} else {
			t.grads[i].Float = t.floats[prm.offset:][:prm.Size()]
		}
	}
	for from := 0; from < p.trained; from += bucketSize {
		to := min(from+bucketSize, p.trained)
		b := Bucket{}
		if p.spec.Exact {
			b.Int = t.ints[from:to]
		} else {
			b.Float = t.floats[from:to]
		}
		t.buckets = append(t.buckets, b)
		t.ends = append(t.ends, to)
	}
}

// Plan is what the trainer was made for.
func (t *Trainer) Plan() *Plan { return t.plan }

// Buckets are the pieces of the gradient, in the order in which Gradient
// completes them. They are the same slices for the life of the trainer.
func (t *Trainer) Buckets() []Bucket { return t.buckets }

// Stats are the words of this attempt: those of the local lanes are filled in,
// all others are 0. The sum over the ranks is what Commit needs.
func (t *Trainer) Stats() []int32 { return t.stats }

// Gradient computes the gradient of the sum of the loss over the records of b,
// lane by lane. It calls ready(i) when bucket i is final, in order, on this
// goroutine; ready may be nil. Parameters and all other replicated state stay
// as they are, so Gradient may be repeated or abandoned.
//
// A batch of more rows than the trainer was made for is computed in turns of
// some lanes each. That changes no bit: what is reduced over rows is reduced lane
// by lane anyway.
func (t *Trainer) Gradient(b *Batch, ready func(bucket int)) error {
	if err := t.check(b); err != nil {
		return err
	}
	t.cursor = [2]int{b.Epoch, b.Step}
	t.clearGradient()
	clear(t.tallies)
	clear(t.stats)
	done := 0
	for from, to := 0, 0; from < len(b.Lanes); from = to {
		to = t.turn(b, from)
		t.begin(b, from, to, true)
		if t.pass.rows == 0 {
			continue
		}
		t.forward(false)
		t.computeLoss(t.lossGradient())
		for i, lane := range t.part.Lanes {
			t.tally(t.tallies[lane*t.layout.tally:][:t.layout.tally], i)
		}
		if to < len(b.Lanes) {
			t.backward(nil)
		} else {
			done = t.backward(ready)
		}
	}
	for ; done < len(t.buckets); done++ {
		if ready != nil {
			ready(done)
		}
	}
	t.writeStats(b)
	return nil
}

// clearGradient zeroes the sums and sets up the scale of every parameter.
func (t *Trainer) clearGradient() {
	clear(t.maxima)
	if t.plan.spec.Exact {
		clear(t.ints)
	} else {
		clear(t.floats)
	}
	for i := range t.grads {
		if t.plan.spec.Exact {
			t.grads[i].Scale = float32(math.Ldexp(1, t.plan.shift(i)-int(t.exponents[i])))
		}
	}
}

// activation is value v of the batch, rows records of it.
func (t *Trainer) activation(v, rows int) []float32 {
	val := &t.plan.values[v]
	if val.root == 0 {
		return t.pass.batch.X[:rows*val.size]
	}
	return t.acts[val.root][:rows*val.size]
}

// gradient is the gradient by value v, nil if it has none.
func (t *Trainer) gradient(v, rows int) []float32 {
	val := &t.plan.values[v]
	d := t.dacts[val.root]
	if d == nil {
		return nil
	}
	return d[:rows*val.size]
}

// forward runs the layers. A softmax behind the logits is left out unless the
// output is wanted.
func (t *Trainer) forward(output bool) {
	for i := range t.plan.nodes {
		n := &t.plan.nodes[i]
		if n.Alias || !output && n.out == t.plan.output && t.plan.logits != t.plan.output {
			continue
		}
		t.pass.n, t.pass.unit = n, &t.units[i]
		n.Layer.Forward(&t.pass)
	}
}

// backward runs the layers in reverse and announces buckets. It returns how
// many it announced.
func (t *Trainer) backward(ready func(int)) int {
	final, done, next := 0, 0, 0 // elements final, buckets announced, parameters final
	p := t.plan
	for i := len(p.nodes) - 1; i >= 0; i-- {
		if n := &p.nodes[i]; !n.Alias && p.backward(i) {
			t.pass.n, t.pass.unit = n, &t.units[i]
			n.Layer.Backward(&t.pass)
			t.addInputs(n, &t.units[i])
		}
		for next < len(p.order) && p.params[p.order[next]].node >= i {
			final += p.params[p.order[next]].Size()
			next++
		}
		for done < len(t.ends) && t.ends[done] <= final {
			if ready != nil {
				ready(done)
			}
			done++
		}
	}
	return done
}

// addInputs adds gradients that could not be written in place.
func (t *Trainer) addInputs(n *node, u *unit) {
	for j := range u.dx {
		if d := &u.dx[j]; d.sum != nil {
			k := t.pass.rows * t.plan.values[n.in[j]].size
			t.eng.Add(d.sum[:k], d.sum[:k], d.buf[:k])
		}
	}
}
