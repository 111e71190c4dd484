package nn

// mse is (x - target)², summed over the elements of a record.
type mse struct{ size int }

func mseKind() lossKind {
	return lossKind{
		Entry: Entry{Name: "mse", Class: classLoss,
			Summary: "mean squared error; the target is numbers, or the record itself"},
		fit: func(s *LossSite) Loss {
			n, ok := s.numbers("mse")
			if !ok {
				return nil
			}
			return mse{size: n}
		},
	}
}

// numbers checks that the network gives as many numbers as the target has.
func (s *LossSite) numbers(kind string) (int, bool) {
	want := s.Target.Shape
	switch s.Target.Kind {
	case TargetClass:
		s.Fail("%s needs numbers as target, but the data set has classes; use cross_entropy", kind)
		return 0, false
	case TargetNone:
		want = s.Input
	}
	if size(want) != size(s.Out) {
		s.FailModel("the network gives %s for a record, but the target is %s", shapeString(s.Out), shapeString(want))
		return 0, false
	}
	return size(want), true
}

func (l mse) Rows() int  { return 1 }
func (l mse) Count() int { return l.size }

func (l mse) Compute(p *LossPass) {
	y := p.target()
	for r := range p.Loss {
		var sum float32
		for i := r * l.size; i < (r+1)*l.size; i++ {
			d := p.X[i] - y[i]
			sum += float32(d * d)
			if p.DX != nil {
				p.DX[i] = 2 * d
			}
		}
		p.Loss[r] = sum
	}
}
