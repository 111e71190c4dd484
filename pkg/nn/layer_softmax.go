package nn

// softmax is y = exp(x) / sum(exp(x)) over the last axis. At the end of a
// network with the loss cross_entropy it belongs to the loss, which reads x.
type softmax struct{ cols, each int }

func softmaxKind() LayerKind {
	return LayerKind{
		Entry: Entry{Name: "softmax", Class: classActivation, Shapes: sameShape,
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

func isSoftmax(l Layer) bool { _, ok := l.(softmax); return ok }

func (l softmax) Forward(p *Pass) {
	p.Engine().RowSoftmax(p.Y(), p.X(0), p.Rows()*l.each, l.cols)
}

// Backward is dx = y * (dy - sum(y*dy)).
func (l softmax) Backward(p *Pass) {
	dx := p.DX(0)
	if dx == nil {
		return
	}
	p.Engine().RowSoftmaxBackward(dx, p.DY(), p.Y(), p.Rows()*l.each, l.cols)
}
