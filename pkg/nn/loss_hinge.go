package nn

// hinge wants the right class ahead of every other by a margin:
// sum over the others of max(0, margin + x[other] - x[class]) / classes.
type hinge struct {
	rows, classes int
	margin        float32
}

func hingeKind() lossKind {
	return lossKind{
		Entry: Entry{Name: "hinge", Class: classLoss,
			Summary: "how far the right class is from being ahead of all others by a margin; the target is a class",
			Fields:  []Field{number("margin", 1, "how far ahead is enough").above(0).short()}},
		fit: func(s *LossSite) Loss {
			if !s.classes("hinge", s.Target.Classes) {
				return nil
			}
			return hinge{rows: s.Target.Size(), classes: s.Target.Classes, margin: float32(s.Float("margin"))}
		},
	}
}

func (l hinge) Rows() int  { return l.rows }
func (l hinge) Count() int { return 1 }

func (l hinge) Compute(p *LossPass) {
	each := 1 / float32(l.classes)
	for r := range p.Loss {
		x, c := p.X[r*l.classes:][:l.classes], int(p.Classes[r])
		var sum, count float32
		for i, v := range x {
			d := l.margin + v - x[c]
			over := i != c && d > 0
			if over {
				sum += d
				count++
			}
			if p.DX == nil {
				continue
			}
			p.DX[r*l.classes+i] = 0
			if over {
				p.DX[r*l.classes+i] = each
			}
		}
		if p.DX != nil {
			p.DX[r*l.classes+c] = -count * each
		}
		p.Loss[r] = sum * each
	}
}
