package nn

// dropout sets elements to 0 with probability rate and divides the others by
// 1-rate, in training only. The mask is a function of seed, layer, epoch, step,
// lane and the record's place in the lane: the same whoever computes it.
type dropout struct {
	keep float32
	size int // elements a record
}

func dropoutKind() LayerKind {
	return LayerKind{
		Entry: Entry{Name: "dropout", Class: classLayer, Summary: "drops random elements while training",
			Fields: []Field{number("rate", 0.5, "probability that an element is dropped").min(0).below(1).short()}},
		Fit: func(s *Site) Fitted {
			in, ok := s.one("dropout")
			if !ok {
				return Fitted{}
			}
			d := dropout{keep: float32(1 - s.Float("rate")), size: size(in)}
			return Fitted{Layer: d, Out: in, Keep: []int{d.size}, Random: true}
		},
	}
}

func (d dropout) Forward(p *Pass) {
	if !p.Training() {
		copy(p.Y(), p.X(0))
		return
	}
	mask := p.Keep(0)
	for i := range p.LaneCount() {
		from, to := p.Lane(i)
		p.Engine().DropoutMask(mask[from*d.size:to*d.size], d.keep, p.Stream(i), 0)
	}
	p.Engine().Mul(p.Y(), p.X(0), mask)
}

func (d dropout) Backward(p *Pass) {
	if dx := p.DX(0); dx != nil {
		p.Engine().Mul(dx, p.DY(), p.Keep(0))
	}
}
