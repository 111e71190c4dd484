package nn

// Loss is what training makes small. It works on rows: a record has Rows() of
// them, one for each position that has a target.
type Loss interface {
	// Rows is the number of rows of one record, Count the number of terms in
	// the loss of one row: the loss of a batch is the weighted sum over its rows
	// divided by the weighted sum of Count.
	Rows() int
	Count() int
	// Compute fills p.Loss, and p.DX where that is not nil with the derivative
	// of the sum of p.Loss by p.X. It may scale p.Weight, which is applied later,
	// and set p.Counts of rows to 0 that are no target.
	Compute(p *LossPass)
}

// LossPass is what a loss works on: n = records * Rows() rows.
type LossPass struct {
	*Pass
	X      []float32 // (n, columns), output of the network
	DX     []float32 // like X; nil when only the loss is wanted
	Loss   []float32 // (n), not weighted
	Weight []float32 // (n), the records' weights, 1 if they have none
	Counts []float32 // (n), like Weight, but in the metrics
	// Classes or Y is what the output is compared with; Shares and Others are as
	// in Batch.
	Classes []int32
	Y       []float32
	Shares  []float32
	Others  []int32
	// Scratch is as large as X, Work as the loss asks; both hold during Compute.
	Scratch []float32
	Work    []float64
}

// worker is a loss that needs LossPass.Work.
type worker interface {
	work() int
}

type lossKind struct {
	Entry
	// contains tells the activation that is a part of the loss: at the end of the
	// network it is passed over. nil means none.
	contains func(l Layer) bool
	// mixes means that the loss can take records that are mixed of two classes.
	mixes bool
	fit   func(s *LossSite) Loss
}

// LossSite is where a loss is to work.
type LossSite struct {
	Args
	// Out is what the network gives for one record.
	Out []int
	// Target is what it is compared with.
	Target Target

	path string
	last string // path of the last layer
	errs *Errors
}

// Fail reports what does not fit the loss.
func (s *LossSite) Fail(format string, args ...any) { s.errs.addf(s.path, format, args...) }

// FailModel reports what the last layer should be.
func (s *LossSite) FailModel(format string, args ...any) { s.errs.addf(s.last, format, args...) }

// fitLoss finds the loss and the value it reads: what the last network gives.
func (p *Plan) fitLoss(errs *Errors) {
	n := p.spec.Loss
	kind, ok := lookup(lossKinds(), n, "loss", errs)
	if !ok {
		return
	}
	net := p.judged()
	last := p.nodes[net.to-1]
	if kind.contains != nil && kind.contains(last.Layer) {
		net.logits = last.in[0]
	}
	p.values[p.values[net.logits].root].users++
	if p.recipe.Target.Mixed && p.recipe.Target.Kind == TargetClass && !kind.mixes {
		errs.addf(n.Path, "%s cannot take records that mixup makes of two classes; use cross_entropy, or leave out mixup", n.Kind)
	}
	before := len(*errs)
	site := &LossSite{Args: kind.args(n, errs), Out: p.values[net.logits].Shape, Target: p.recipe.Target,
		path: n.Path, last: last.path, errs: errs}
	if len(*errs) == before {
		p.loss = kind.fit(site)
	}
}

// judged is the network whose output the loss reads.
func (p *Plan) judged() *network { return &p.nets[len(p.nets)-1] }
