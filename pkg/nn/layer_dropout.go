package nn

// dropout sets elements to 0 with probability rate and divides the others by
// 1-rate, in training only. The mask is a function of seed, layer, epoch, step,
// lane and the record's place in the lane: the same whoever computes it.
type dropout struct {
	keep float32
	size int // elements a record
	each int // elements that are dropped together
}

func dropoutKind() LayerKind {
	return LayerKind{
		Entry: Entry{Name: "dropout", Class: classLayer, Shapes: sameShape, Summary: "drops random elements while training",
			Fields: []Field{number("rate", 0.5, "probability that an element is dropped").min(0).below(1).short()}},
		Fit: func(s *Site) Fitted {
			in, ok := s.one("dropout")
			if !ok {
				return Fitted{}
			}
			d := dropout{keep: float32(1 - s.Float("rate")), size: size(in), each: 1}
			return Fitted{Layer: d, Out: in, Keep: []int{d.size}, Random: true}
		},
	}
}

func spatialDropoutKind() LayerKind {
	return LayerKind{
		Entry: Entry{Name: "spatial_dropout", Class: classLayer, Shapes: "(c, …) -> (c, …)", Summary: "drops random channels (axis 0 of a record) while training",
			Fields: []Field{number("rate", 0.5, "probability that a channel is dropped").min(0).below(1).short()}},
		Fit: func(s *Site) Fitted {
			in, ok := s.one("spatial_dropout")
			if !ok {
				return Fitted{}
			}
			if len(in) < 2 {
				s.Fail("", "spatial_dropout drops channels, but its input is %s; use dropout", shapeString(in))
				return Fitted{}
			}
			d := dropout{keep: float32(1 - s.Float("rate")), size: size(in), each: size(in[1:])}
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
		d.draw(p, mask[from*d.size:to*d.size], i)
	}
	p.Engine().Mul(p.Y(), p.X(0), mask)
}

// draw fills the mask of local lane i: one draw for each elements.
func (d dropout) draw(p *Pass, mask []float32, i int) {
	n := len(mask) / d.each
	p.Engine().DropoutMask(mask[:n], d.keep, p.Stream(i), 0)
	for j := n - 1; d.each > 1 && j >= 0; j-- { // spread the draws, the last first
		p.Engine().Fill(mask[j*d.each:][:d.each], mask[j])
	}
}

func (d dropout) Backward(p *Pass) {
	if dx := p.DX(0); dx != nil {
		p.Engine().Mul(dx, p.DY(), p.Keep(0))
	}
}
