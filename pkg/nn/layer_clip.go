package nn

// clip is y = min(max(x, low), high).
type clip struct{ low, high float32 }

func clipKind() LayerKind {
	return LayerKind{
		Entry: Entry{Name: "clip", Class: classActivation, Shapes: sameShape, Summary: "x between min and max; with the defaults ReLU6",
			Fields: []Field{number("min", 0, "the least output"), number("max", 6, "the largest output")}},
		Fit: func(s *Site) Fitted {
			in, ok := s.one("clip")
			if !ok {
				return Fitted{}
			}
			l := clip{low: float32(s.Float("min")), high: float32(s.Float("max"))}
			if l.low >= l.high {
				s.Fail("max", "is %v; it must be above min, %v", s.Float("max"), s.Float("min"))
				return Fitted{}
			}
			return Fitted{Layer: l, Out: in}
		},
	}
}

func (l clip) Forward(p *Pass) {
	y := p.Y()
	for i, v := range p.X(0) {
		y[i] = min(max(v, l.low), l.high)
	}
}

// Backward lets the gradient through where x was not clipped.
func (l clip) Backward(p *Pass) {
	dx, dy := p.DX(0), p.DY()
	if dx == nil {
		return
	}
	for i, y := range p.Y() {
		dx[i] = 0
		if y > l.low && y < l.high {
			dx[i] = dy[i]
		}
	}
}
