package nn

import "slices"

// pad lays zeros around its input along one axis of a record. Seen as rows of
// outer x inner, each row of y is before zeros, a row of x, after zeros.
type pad struct {
	outer, inner  int // rows a record, elements of a row of x
	before, after int // elements
}

func padKind() LayerKind {
	return LayerKind{
		Entry: Entry{Name: "pad", Class: classLayer, Shapes: "(…, n, …) -> (…, before + n + after, …)", Summary: "adds zeros along one axis: whole channels on axis 0 of an image",
			Fields: []Field{
				integer("before", 0, "zeros before the first number of the axis").min(0).max(1 << 20),
				integer("after", 0, "zeros behind the last").min(0).max(1 << 20),
				integer("axis", 0, "axis of a record that grows; -1 is the last").min(-1).max(7),
			}},
		Fit: fitPad,
	}
}

func fitPad(s *Site) Fitted {
	in, ok := s.one("pad")
	if !ok {
		return Fitted{}
	}
	axis, before, after := s.Int("axis"), s.Int("before"), s.Int("after")
	if axis < 0 {
		axis = len(in) - 1
	}
	if axis < 0 || axis >= len(in) {
		s.Fail("axis", "the input %s has no axis %d", shapeString(in), axis)
		return Fitted{}
	}
	if before+after == 0 {
		s.Fail("", "pad adds nothing; give before or after")
		return Fitted{}
	}
	out := slices.Clone(in)
	out[axis] += before + after
	each := size(in[axis+1:])
	return Fitted{Layer: pad{outer: size(in[:axis]), inner: in[axis] * each, before: before * each, after: after * each}, Out: out}
}

func (l pad) Forward(p *Pass) {
	x, y, wide := p.X(0), p.Y(), l.before+l.inner+l.after
	for r := range p.Rows() * l.outer {
		to := y[r*wide:][:wide]
		clear(to[:l.before])
		copy(to[l.before:], x[r*l.inner:][:l.inner])
		clear(to[l.before+l.inner:])
	}
}

func (l pad) Backward(p *Pass) {
	dx, dy, wide := p.DX(0), p.DY(), l.before+l.inner+l.after
	if dx == nil {
		return
	}
	for r := range p.Rows() * l.outer {
		copy(dx[r*l.inner:][:l.inner], dy[r*wide+l.before:])
	}
}
