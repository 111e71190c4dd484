package nn

import (
	"fmt"

	"github.com/lockstep-ml/lockstep/internal/philox"
	"github.com/lockstep-ml/lockstep/pkg/tensor"
)

// Step is one batch on its way through a recipe. Its slices belong to the
// trainer and hold until the next step.
type Step struct {
	t     *Trainer
	nets  []Network
	keep  [][]float32
	batch *Batch
	train bool
	sums  []float64 // (V, layout.tally), what the losses are added to
	err   error

	ready                 func(bucket int)
	final, announced, put int // elements that are final, buckets announced, parameters final
}

// Targets are what an output is compared with: Classes or Y, as Batch has them.
type Targets struct {
	Classes []int32
	Y       []float32
	// Shares and Others are those of Batch, nil if nothing is mixed.
	Shares []float32
	Others []int32
}

// Engine computes.
func (s *Step) Engine() *tensor.Engine { return s.t.eng }

// Training is false when networks are only evaluated: nothing goes backward.
func (s *Step) Training() bool { return s.train }

// Rows is the number of records.
func (s *Step) Rows() int { return s.batch.Len() }

// X are the records (rows, shape of a record); nil if they are tokens.
func (s *Step) X() []float32 {
	if s.t.plan.in.Tokens > 0 {
		return nil
	}
	return s.batch.X[:s.Rows()*size(s.t.plan.in.Shape)]
}

// Target is that of the data set.
func (s *Step) Target() Targets {
	b := s.batch
	return Targets{Classes: b.Classes, Y: b.Y, Shares: b.Shares, Others: b.Others}
}

// Updates reports whether the step updates network i. One that it does not update
// must not go Backward in training.
func (s *Step) Updates(i int) bool { return s.t.due(i) }

// Network is the model for 0, and after it the networks of FittedRecipe.
func (s *Step) Network(i int) *Network { return &s.nets[i] }

// Keep is buffer i of FittedRecipe.Keep.
func (s *Step) Keep(i int) []float32 { return s.keep[i][:s.Rows()*s.t.plan.recipe.Keep[i]] }

// Normal fills dst, equally many elements for each record, with normal numbers.
// use keeps apart what they are drawn for, below 2^16.
func (s *Step) Normal(dst []float32, use int) {
	for i := range s.batch.Lanes {
		s.t.eng.Normal(s.lane(dst, i), 0, 1, s.Stream(i, use), 0)
	}
}

// Uniform is Normal with numbers in [0, 1).
func (s *Step) Uniform(dst []float32, use int) {
	for i := range s.batch.Lanes {
		s.t.eng.Uniform(s.lane(dst, i), 0, 1, s.Stream(i, use), 0)
	}
}

// lane is the part of x that belongs to the records of local lane i.
func (s *Step) lane(x []float32, i int) []float32 {
	each := len(x) / s.Rows()
	return x[s.batch.Rows[i]*each : s.batch.Rows[i+1]*each]
}

// Stream is the random numbers of local lane i in this step, below 2^16 uses.
func (s *Step) Stream(i, use int) philox.Stream {
	b := s.batch
	return philox.New(s.t.plan.spec.Seed, philox.Noise+philox.Purpose(use), b.Epoch, b.Step, b.Lanes[i])
}

// Report adds one value a record to number i of FittedRecipe.Numbers, whose mean
// over the records is reported. It may be called more than once a step.
func (s *Step) Report(i int, values []float32) {
	at := s.t.layout.numbers + 2*i
	for l, lane := range s.batch.Lanes {
		sums := s.sums[lane*s.t.layout.tally:]
		for r := s.batch.Rows[l]; r < s.batch.Rows[l+1]; r++ {
			w := float64(s.weight(r))
			sums[at] += w
			sums[at+1] += float64(w * float64(values[r]))
		}
	}
}

func (s *Step) weight(row int) float32 {
	if s.batch.Weights == nil {
		return 1
	}
	return s.batch.Weights[row]
}

// begin forgets the step before.
func (s *Step) begin() {
	s.ready, s.err = nil, nil
	s.final, s.announced, s.put = 0, 0, 0
}

// run takes the lanes whose turn it is through the recipe. sums is where losses
// are added up.
func (s *Step) run(sums []float64, train bool) error {
	s.batch, s.train, s.sums = &s.t.part, train, sums
	for i := range s.nets {
		s.nets[i].forwards, s.nets[i].backwards = 0, 0
	}
	if s.Rows() > 0 {
		s.t.plan.recipe.Recipe.Step(s)
	}
	return s.err
}

// announce calls ready for the buckets that are complete now that node i of
// network net has been gone through. A network that has had its last backward
// pass, or is to have none, is complete. Without ready further lanes are to come.
func (s *Step) announce(net, i int) {
	if s.ready == nil {
		return
	}
	p, t := s.t.plan, s.t
	for ; s.put < len(p.order); s.put++ {
		prm := &p.params[p.order[s.put]]
		owner := p.nodes[prm.node].net
		complete := !s.Updates(owner) || s.nets[owner].backwards == p.nets[owner].passes()
		if !complete || owner == net && prm.node < i {
			break
		}
		s.final += prm.Size()
	}
	for ; s.announced < len(t.ends) && t.ends[s.announced] <= s.final; s.announced++ {
		s.ready(s.announced)
	}
}

// finish announces the buckets that are left.
func (s *Step) finish(ready func(bucket int)) {
	for ; ready != nil && s.announced < len(s.t.buckets); s.announced++ {
		ready(s.announced)
	}
}

func (s *Step) fail(format string, args ...any) {
	if s.err == nil {
		s.err = fmt.Errorf("nn: recipe: "+format, args...)
	}
}
