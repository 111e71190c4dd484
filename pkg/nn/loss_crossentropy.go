package nn

import "slices"

// crossEntropy is -log(softmax(x)[class]) of every row.
type crossEntropy struct{ rows, classes int }

func crossEntropyKind() lossKind {
	return lossKind{
		Entry: Entry{Name: "cross_entropy", Class: classLoss,
			Summary: "how surprised softmax of the output is by the right class; the target is a class"},
		logits: true,
		fit:    fitCrossEntropy,
	}
}

func fitCrossEntropy(s *LossSite) Loss {
	if s.Target.Kind != TargetClass {
		s.Fail("cross_entropy needs a class as target, but the data set has %s; use mse, or choose another target", targetName(s.Target))
		return nil
	}
	want := append(slices.Clone(s.Target.Shape), s.Target.Classes)
	if !slices.Equal(s.Out, want) {
		s.FailModel("the network gives %s for a record, but cross_entropy on %d classes needs %s", shapeString(s.Out), s.Target.Classes, shapeString(want))
		return nil
	}
	return crossEntropy{rows: s.Target.Size(), classes: s.Target.Classes}
}

func targetName(t Target) string {
	switch t.Kind {
	case TargetClass:
		return "classes"
	case TargetValue:
		return "numbers"
	}
	return "none"
}

func (l crossEntropy) Rows() int  { return l.rows }
func (l crossEntropy) Count() int { return 1 }

func (l crossEntropy) Compute(p *LossPass) {
	p.Engine().SoftmaxCrossEntropy(p.DX, p.Loss, p.X, p.Batch.Classes[:len(p.Loss)], len(p.Loss), l.classes)
}
