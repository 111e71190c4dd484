package nn

// softmax is y = exp(x) / sum(exp(x)) over the last axis. At the end of a
// network with the loss cross_entropy it belongs to the loss, which reads x.
type softmax struct{ cols, each int }

func softmaxKind() LayerKind {
	return LayerKind{
		Entry: Entry{Name: "softmax", Class: classActivation,
			Summary: "probabilities over the last axis; cross_entropy also works without it"},
		Fit: func(s *Site) Fitted {
			in, ok := s.one("softmax")
			if !ok {
				return Fitted{}
			}
			if len(in) == 0 {
				s.Fail("", "softmax needs at least one axis")
				return Fitted{}
			}
			last := len(in) - 1
			return Fitted{Layer: softmax{cols: in[last], each: size(in[:last])}, Out: in}
		},
	}
}

func (l softmax) Forward(p *Pass) {
	p.Engine().RowSoftmax(p.Y(), p.X(0), p.Rows()*l.each, l.cols)
}

// Backward is dx = y * (dy - sum(y*dy)).
func (l softmax) Backward(p *Pass) {
	dx := p.DX(0)
	if dx == nil {
		return
	}
	y, dy := p.Y(), p.DY()
	for r := range p.Rows() * l.each {
		y, dy, dx := y[r*l.cols:][:l.cols], dy[r*l.cols:][:l.cols], dx[r*l.cols:][:l.cols]
		dot := p.Engine().Dot(y, dy)
		for i := range dx {
			dx[i] = y[i] * (dy[i] - dot)
		}
	}
}
