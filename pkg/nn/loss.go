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
	Batch  *Batch
	// Scratch is as large as X and holds during Compute.
	Scratch []float32
}

// target returns the float target of the batch: Y, or the input itself.
func (p *LossPass) target() []float32 {
	if p.Batch.Y != nil {
		return p.Batch.Y
	}
	return p.Batch.X
}

type lossKind struct {
	Entry
	// logits means that the loss replaces a softmax at the end of the network.
	logits bool
	fit    func(s *LossSite) Loss
}

// LossSite is where a loss is to work.
type LossSite struct {
	Args
	// Out is what the network gives for one record.
	Out []int
	// Target is what the data set has.
	Target Target
	// Input is the shape of a record, the target of TargetNone.
	Input []int

	path string
	last string // path of the last layer
	errs *Errors
}

// Fail reports what does not fit the loss.
func (s *LossSite) Fail(format string, args ...any) { s.errs.addf(s.path, format, args...) }

// FailModel reports what the last layer should be.
func (s *LossSite) FailModel(format string, args ...any) { s.errs.addf(s.last, format, args...) }

// fitLoss finds the loss and the value it reads.
func (p *Plan) fitLoss(errs *Errors) {
	n := p.spec.Loss
	kind, ok := lookup(lossKinds(), n, "loss", errs)
	if !ok {
		return
	}
	last := p.nodes[len(p.nodes)-1]
	p.logits = p.output
	if _, ok := last.Layer.(softmax); ok && kind.logits {
		p.logits = last.in[0]
	}
	p.values[p.values[p.logits].root].users++
	before := len(*errs)
	site := &LossSite{Args: kind.args(n, errs), Out: p.values[p.logits].Shape, Target: p.in.Target,
		Input: p.in.Shape, path: n.Path, last: last.path, errs: errs}
	if len(*errs) == before {
		p.loss = kind.fit(site)
	}
}
