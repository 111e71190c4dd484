package nn

import "slices"

// crossEntropy is -log(softmax(x)[class]) of every row. With smoothing s the
// right class counts 1-s and s is spread over all classes.
type crossEntropy struct {
	rows, classes int
	smoothing     float32
	weights       []float32 // of the classes; nil means 1 each
	ignore        int       // class that counts nothing; -1 is none
}

func crossEntropyKind() lossKind {
	return lossKind{
		Entry: Entry{Name: "cross_entropy", Class: classLoss,
			Summary: "how surprised softmax of the output is by the right class; the target is a class",
			Fields: []Field{
				number("label_smoothing", 0, "share of the target that is spread over all classes").min(0).below(1),
				numbers("class_weights", "one weight in the loss for every class, say larger for rare ones; metrics count all alike").min(0),
				integer("ignore", -1, "a class whose records or positions count nothing, say padding; -1 is none").min(-1),
			}},
		contains: isSoftmax,
		mixes:    true,
		fit:      fitCrossEntropy,
	}
}

func fitCrossEntropy(s *LossSite) Loss {
	if !s.classes("cross_entropy", s.Target.Classes) {
		return nil
	}
	l := crossEntropy{rows: s.Target.Size(), classes: s.Target.Classes, smoothing: float32(s.Float("label_smoothing")), ignore: s.Int("ignore")}
	for _, w := range s.Floats("class_weights") {
		l.weights = append(l.weights, float32(w))
	}
	if l.weights != nil && len(l.weights) != l.classes {
		s.Fail("class_weights has %d numbers; expected %d, one for every class", len(l.weights), l.classes)
	}
	if l.weights != nil && slices.Max(l.weights) == 0 {
		s.Fail("class_weights are all 0: nothing would be learned")
	}
	if s.Target.Mixed && (l.weights != nil || l.ignore >= 0) {
		s.Fail("class_weights and ignore do not go together with mixup; choose one")
	}
	if l.weights != nil && l.smoothing > 0 {
		s.Fail("class_weights and label_smoothing do not go together; choose one")
	}
	return l
}

// classes checks that the target is a class and that the network gives width
// numbers for each.
func (s *LossSite) classes(kind string, width int) bool {
	if s.Target.Kind != TargetClass {
		s.Fail("%s needs a class as target, but the data set has %s; use mse, or choose another target", kind, targetName(s.Target))
		return false
	}
	if s.Target.Classes == 1 {
		s.Fail("%s tells classes apart, but the data set has one; check its target, or under of a folder of images", kind)
		return false
	}
	want := append(slices.Clone(s.Target.Shape), width)
	if !slices.Equal(s.Out, want) {
		s.FailModel("the network gives %s for a record, but %s on %d classes needs %s", shapeString(s.Out), kind, s.Target.Classes, shapeString(want))
		return false
	}
	return true
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
	classes := p.Classes[:len(p.Loss)]
	p.Engine().SoftmaxCrossEntropy(p.DX, p.Loss, p.X, classes, len(p.Loss), l.classes)
	if l.smoothing > 0 {
		l.smooth(p, classes)
	}
	if p.Shares != nil {
		l.mix(p, classes)
	}
	for r, c := range classes {
		if int(c) == l.ignore {
			p.Weight[r], p.Counts[r] = 0, 0
		} else if l.weights != nil {
			p.Weight[r] *= l.weights[c]
		}
	}
}

// smooth adds s*(x[class] - mean(x)) to the loss: with log(p[c]) = x[c] - lse
// that is what spreading the target comes to.
func (l crossEntropy) smooth(p *LossPass, classes []int32) {
	each := 1 / float32(l.classes)
	for r, c := range classes {
		x := p.X[r*l.classes:][:l.classes]
		mean := float32(float32(p.Engine().Sum(x)) * each)
		p.Loss[r] += float32(l.smoothing * (x[c] - mean))
		if p.DX != nil {
			dx := p.DX[r*l.classes:][:l.classes]
			for i := range dx {
				dx[i] -= float32(l.smoothing * each)
			}
			dx[c] += l.smoothing
		}
	}
}

// mix moves the part of the target that belongs to the other record of a mix from
// class to other: with log(p[c]) = x[c] - lse that adds part*(x[class] - x[other]).
func (l crossEntropy) mix(p *LossPass, classes []int32) {
	for r, c := range classes {
		part := float32((1 - l.smoothing) * (1 - p.Shares[r/l.rows]))
		from, to := r*l.classes+int(c), r*l.classes+int(p.Others[r])
		p.Loss[r] += float32(part * (p.X[from] - p.X[to]))
		if p.DX != nil {
			p.DX[from] += part
			p.DX[to] -= part
		}
	}
}
