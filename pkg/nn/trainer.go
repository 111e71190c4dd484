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
	mem               tensor.Arena

	// The replicated state.
	w         []float32     // all parameters
	slots     [][][]float32 // of the optimiser of each network, like its trained part of w
	ema       []float32     // running mean of w; nil without
	buffers   []float32     // of layers that have a state
	updates   []int32       // one number: updates done
	exponents []int32       // e of each parameter
	slowing   []int32       // of Plan.slow; nil without
	stopping  []int32       // of Plan.stop; nil without
	best      []float32     // parameters and buffers of the best evaluation; nil without

	confusion *Confusion // of evaluations, nil unless asked for

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
	packed      tensor.Packed
	laneRows    []int
	rowLoss     []float32
	rowWeight   []float32
	rowCounts   []float32
	lossScratch []float32
	lossWork    []float64
	noGrad      tensor.Grad // of parameters that are left alone
	step        Step
	commit      CommitPass
	tensor      update

	layout  layout
	stats   []int32
	tallies []float64 // (V, layout.tally) of this step
	eval    []float64 // (V, layout.tally) of the evaluation
	evalOut []int32
	total   []float64
	metrics []float64
	cursor  [2]int // epoch, step of the last Gradient
	part    Batch  // the lanes of a batch whose turn it is

	features [2]*features // of records of the training and of evaluations; may be nil
	missing  []int        // rows of part whose features are not kept
	missed   Batch        // the records of these
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
	t.w = t.mem.Float32(plan.size)
	t.slots = make([][][]float32, len(plan.nets))
	for i, net := range plan.nets {
		if net.training.ema > 0 && t.ema == nil {
			t.ema = t.mem.Float32(plan.size)
		}
		for range net.opt.slots() {
			t.slots[i] = append(t.slots[i], t.mem.Float32(net.end-net.begin))
		}
		t.tensor.slots = make([][]float32, max(len(t.tensor.slots), len(t.slots[i])))
	}
	t.buffers = t.mem.Float32(plan.bufferSize)
	t.updates = make([]int32, 1)
	t.exponents = make([]int32, len(plan.params))
	for i := range t.exponents {
		t.exponents[i] = lowestExponent
	}
	t.allocateWatches()
	t.allocateGradient()
	t.allocate()
	t.layout = plan.newLayout()
	t.stats = make([]int32, plan.spec.Lanes*t.layout.words)
	t.tallies = make([]float64, plan.spec.Lanes*t.layout.tally)
	t.eval = make([]float64, plan.spec.Lanes*t.layout.tally)
	t.evalOut = make([]int32, plan.spec.Lanes*2*t.layout.tally)
	t.total = make([]float64, t.layout.tally)
	t.metrics = make([]float64, len(plan.metrics)+len(plan.recipe.Numbers))
	return t, nil
}

func (t *Trainer) allocateGradient() {
	p := t.plan
	t.floats = t.mem.Float32(p.size)
	if p.spec.Exact {
		t.ints = t.mem.Int32(p.size)
	}
	t.maxima = t.mem.Float32(len(p.params) * t.maxLanes)
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
	t.step.begin()
	for from, to := 0, 0; from < len(b.Lanes); from = to {
		to = t.turn(b, from)
		t.cut(b, from, to)
		if to == len(b.Lanes) {
			t.step.ready = ready
		}
		if err := t.step.run(t.tallies, true); err != nil {
			return err
		}
	}
	t.step.finish(ready)
	t.writeStats(b)
	return nil
}

// clearGradient zeroes the sums and sets up the scale of every parameter.
func (t *Trainer) clearGradient() {
	clear(t.maxima)
	if t.plan.spec.Exact {
		t.eng.ClearInt(t.ints)
	} else {
		t.eng.Fill(t.floats, 0)
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

// addInputs adds gradients that could not be written in place.
func (t *Trainer) addInputs(n *node, u *unit, rows int) {
	for j := range u.dx {
		if d := &u.dx[j]; d.sum != nil {
			k := rows * t.plan.values[n.in[j]].size
			t.eng.Add(d.sum[:k], d.sum[:k], d.buf[:k])
		}
	}
}
