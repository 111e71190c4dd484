package nn

import (
	"slices"

	"github.com/lockstep-ml/lockstep/pkg/tensor"
)

// add is y = act(x0 + x1 + …), added in the order of the inputs.
type add struct{ act activation }

func addKind() LayerKind {
	return LayerKind{
		Entry: Entry{Name: "add", Class: classLayer, Shapes: "(…), (…), … -> (…)", Summary: "the sum of its inputs, which have one shape: from: [a, b]"},
		Fit: func(s *Site) Fitted {
			if !s.floats("add") {
				return Fitted{}
			}
			for _, v := range s.In[1:] {
				if !slices.Equal(v.Shape, s.In[0].Shape) {
					s.Fail("from", "add needs inputs of one shape; they are %s and %s", shapeString(s.In[0].Shape), shapeString(v.Shape))
					return Fitted{}
				}
			}
			if len(s.In) < 2 {
				s.Fail("from", "add needs at least two inputs: from: [a, b]")
			}
			return Fitted{Layer: add{}, Out: s.In[0].Shape}
		},
	}
}

func (l add) fuse(a activation) Layer { l.act = a; return l }

func (l add) Forward(p *Pass) {
	p.Engine().Add(p.Y(), p.X(0), p.X(1))
	for i := 2; i < p.Inputs(); i++ {
		p.Engine().Add(p.Y(), p.Y(), p.X(i))
	}
	if l.act.act != tensor.ActNone {
		p.Engine().ActForward(p.Y(), p.Y(), l.act.act)
	}
}

func (l add) Backward(p *Pass) {
	l.act.backwardInPlace(p, p.DY())
	for i := range p.Inputs() {
		p.addDY(i)
	}
}

func (l add) keepsDY() bool   { return l.act.act == tensor.ActNone }
func (l add) passes(int) bool { return true }
func (l add) adds() bool      { return true }

// multiply is y = x0 * x1, element by element.
type multiply struct{}

func multiplyKind() LayerKind {
	return LayerKind{
		Entry: Entry{Name: "multiply", Class: classLayer, Shapes: "(…), (…) -> (…)", Summary: "the product of two inputs of one shape, element by element: from: [a, b]"},
		Fit: func(s *Site) Fitted {
			if !s.twins("multiply") {
				return Fitted{}
			}
			return Fitted{Layer: multiply{}, Out: s.In[0].Shape}
		},
	}
}

// twins checks that there are two inputs of one shape, and not tokens.
func (s *Site) twins(kind string) bool {
	if len(s.In) != 2 || !slices.Equal(s.In[0].Shape, s.In[1].Shape) {
		s.Fail("from", "%s needs two inputs of one shape: from: [a, b]", kind)
		return false
	}
	return s.floats(kind)
}

func (multiply) Forward(p *Pass) { p.Engine().Mul(p.Y(), p.X(0), p.X(1)) }

func (multiply) Backward(p *Pass) {
	for i := range 2 {
		if dx := p.DX(i); dx != nil {
			p.Engine().Mul(dx, p.DY(), p.X(1-i))
		}
	}
}

// dot is the sum of x0*x1 over the last axis, which becomes 1.
type dot struct{ cols int }

func dotKind() LayerKind {
	return LayerKind{
		Entry: Entry{Name: "dot", Class: classLayer, Shapes: "(…, n), (…, n) -> (…, 1)", Summary: "the inner product of two inputs along the last axis: from: [a, b]"},
		Fit: func(s *Site) Fitted {
			if !s.twins("dot") {
				return Fitted{}
			}
			in := s.In[0].Shape
			if len(in) == 0 {
				s.Fail("from", "dot needs vectors, but its inputs are numbers")
				return Fitted{}
			}
			out := slices.Clone(in)
			out[len(out)-1] = 1
			return Fitted{Layer: dot{cols: in[len(in)-1]}, Out: out}
		},
	}
}

func (l dot) Forward(p *Pass) {
	a, b := p.X(0), p.X(1)
	for r := range p.Y() {
		p.Y()[r] = p.Engine().Dot(a[r*l.cols:][:l.cols], b[r*l.cols:][:l.cols])
	}
}

func (l dot) Backward(p *Pass) {
	for i := range 2 {
		dx, other := p.DX(i), p.X(1-i)
		if dx == nil {
			continue
		}
		for r, d := range p.DY() {
			for j := r * l.cols; j < (r+1)*l.cols; j++ {
				dx[j] = d * other[j]
			}
		}
	}
}

// concat joins its inputs along one axis of a record. Seen as rows of
// outer x size[i], each row of y is the rows of the inputs one after the other.
type concat struct {
	outer int   // rows a record
	sizes []int // elements of a row of each input
	total int
}

func concatKind() LayerKind {
	return LayerKind{
		Entry: Entry{Name: "concat", Class: classLayer, Shapes: "(…, n, …), (…, m, …), … -> (…, n + m + …, …)", Summary: "joins its inputs along one axis: from: [a, b]",
			Fields: []Field{integer("axis", 0, "axis of a record to join along; -1 is the last").min(-1).max(7).short()}},
		Fit: fitConcat,
	}
}

func fitConcat(s *Site) Fitted {
	first := s.In[0].Shape
	axis := s.Int("axis")
	if axis < 0 {
		axis = len(first) - 1
	}
	if !s.floats("concat") {
		return Fitted{}
	}
	if len(s.In) < 2 || axis < 0 || axis >= len(first) {
		s.Fail("", "concat needs at least two inputs that have axis %d: from: [a, b]", axis)
		return Fitted{}
	}
	out := slices.Clone(first)
	out[axis] = 0
	c := concat{outer: size(first[:axis])}
	for _, v := range s.In {
		same := slices.Clone(v.Shape)
		if len(same) == len(first) {
			same[axis] = first[axis]
		}
		if !slices.Equal(same, first) {
			s.Fail("from", "concat joins along axis %d, the other axes must agree; the inputs are %s and %s", axis, shapeString(first), shapeString(v.Shape))
			return Fitted{}
		}
		out[axis] += v.Shape[axis]
		c.sizes = append(c.sizes, size(v.Shape[axis:]))
		c.total += size(v.Shape[axis:])
	}
	return Fitted{Layer: c, Out: out}
}

func (c concat) Forward(p *Pass) {
	y, at := p.Y(), 0
	for i, n := range c.sizes {
		x := p.X(i)
		for r := range p.Rows() * c.outer {
			copy(y[r*c.total+at:][:n], x[r*n:])
		}
		at += n
	}
}

func (c concat) Backward(p *Pass) {
	dy, at := p.DY(), 0
	for i, n := range c.sizes {
		if dx := p.DX(i); dx != nil {
			for r := range p.Rows() * c.outer {
				copy(dx[r*n:][:n], dy[r*c.total+at:])
			}
		}
		at += n
	}
}
