package nn

// elementwise is a loss that is a sum over the elements of a record.
type elementwise struct {
	size int
	of   elementLoss
}

// elementLoss gives the loss of an element from d = x - target, and its
// derivative by x.
type elementLoss interface {
	at(d float32) (loss, slope float32)
}

// elementwiseKind is the line of an elementwise loss.
func elementwiseKind(e Entry, make func(a Args) elementLoss) lossKind {
	e.Class = classLoss
	return lossKind{Entry: e, fit: func(s *LossSite) Loss {
		n, ok := s.numbers(e.Name)
		if !ok {
			return nil
		}
		return elementwise{size: n, of: make(s.Args)}
	}}
}

func mseKind() lossKind {
	return elementwiseKind(Entry{Name: "mse", Summary: "mean squared error; the target is numbers, or the record itself"},
		func(Args) elementLoss { return squared{} })
}

func maeLossKind() lossKind {
	return elementwiseKind(Entry{Name: "mae", Summary: "mean absolute error; the target is numbers, or the record itself"},
		func(Args) elementLoss { return absolute{} })
}

func huberKind() lossKind {
	return elementwiseKind(Entry{Name: "huber", Summary: "squared for small errors, absolute for large ones; the target is numbers",
		Fields: []Field{number("delta", 1, "error from which on the loss is straight").above(0).short()}},
		func(a Args) elementLoss { return huber{delta: float32(a.Float("delta"))} })
}

// numbers checks that the network gives as many numbers as the target has.
func (s *LossSite) numbers(kind string) (int, bool) {
	switch s.Target.Kind {
	case TargetClass:
		s.Fail("%s needs numbers as target, but the data set has classes; use cross_entropy", kind)
		return 0, false
	case TargetNone:
		s.Fail("%s needs numbers as target, but the data set has none; recipe: autoencoder makes every record its own target", kind)
		return 0, false
	}
	want := s.Target.Shape
	if size(want) != size(s.Out) {
		s.FailModel("the network gives %s for a record, but the target is %s", shapeString(s.Out), shapeString(want))
		return 0, false
	}
	return size(want), true
}

func (l elementwise) Rows() int  { return 1 }
func (l elementwise) Count() int { return l.size }

func (l elementwise) Compute(p *LossPass) {
	y := p.Y
	for r := range p.Loss {
		var sum float32
		for i := r * l.size; i < (r+1)*l.size; i++ {
			loss, slope := l.of.at(p.X[i] - y[i])
			sum += loss
			if p.DX != nil {
				p.DX[i] = slope
			}
		}
		p.Loss[r] = sum
	}
}

type squared struct{}

func (squared) at(d float32) (loss, slope float32) { return float32(d * d), 2 * d }

type absolute struct{}

func (absolute) at(d float32) (loss, slope float32) {
	switch {
	case d > 0:
		return d, 1
	case d < 0:
		return -d, -1
	}
	return d, 0
}

// huber is d²/2 up to delta and delta*(|d| - delta/2) from there on.
type huber struct{ delta float32 }

func (h huber) at(d float32) (loss, slope float32) {
	loss, slope = absolute{}.at(d)
	if loss <= h.delta {
		return float32(float32(d*d) * 0.5), d
	}
	return float32(h.delta * (loss - float32(0.5*h.delta))), slope * h.delta
}
