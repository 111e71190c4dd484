package nn

func flattenKind() LayerKind {
	return LayerKind{
		Entry: Entry{Name: "flatten", Class: classLayer, Shapes: "(a, b, …) -> (a b …)", Summary: "makes one vector of all axes of a record"},
		Fit: func(s *Site) Fitted {
			in, ok := s.one("flatten")
			if !ok {
				return Fitted{}
			}
			return Fitted{Alias: true, Out: []int{size(in)}}
		},
	}
}

func reshapeKind() LayerKind {
	return LayerKind{
		Entry: Entry{Name: "reshape", Class: classLayer, Shapes: "(…) -> shape", Summary: "gives a record another shape with as many elements",
			Fields: []Field{
				integers("shape", 0, "the new axes; one may be -1, it follows from the others").required().min(-1).short(),
			}},
		Fit: fitReshape,
	}
}

func fitReshape(s *Site) Fitted {
	in, ok := s.one("reshape")
	if !ok {
		return Fitted{}
	}
	out := append([]int(nil), s.Ints("shape")...)
	free, product := -1, 1
	for i, d := range out {
		switch {
		case d == -1 && free < 0:
			free = i
		case d < 1:
			s.Fail("shape", "has an axis of %d; every axis but one -1 must be at least 1", d)
			return Fitted{}
		default:
			product *= d
		}
	}
	if free >= 0 && size(in)%product == 0 {
		out[free] = size(in) / product
	}
	if size(out) != size(in) {
		s.Fail("shape", "%s does not hold the %d elements of %s", shapeString(s.Ints("shape")), size(in), shapeString(in))
		return Fitted{}
	}
	return Fitted{Alias: true, Out: out}
}

// transpose swaps the two axes of a record: (B, rows, cols) to (B, cols, rows).
type transpose struct{ rows, cols int }

func transposeKind() LayerKind {
	return LayerKind{
		Entry: Entry{Name: "transpose", Class: classLayer, Shapes: "(a, b) -> (b, a)", Summary: "swaps the two axes of a record: (positions, features) to (channels, length) and back"},
		Fit: func(s *Site) Fitted {
			in, ok := s.one("transpose")
			if !ok {
				return Fitted{}
			}
			if len(in) != 2 {
				s.Fail("", "transpose works on two axes, but its input is %s", shapeString(in))
				return Fitted{}
			}
			return Fitted{Layer: transpose{rows: in[0], cols: in[1]}, Out: []int{in[1], in[0]}}
		},
	}
}

func (l transpose) Forward(p *Pass) {
	l.swap(p, p.Y(), p.X(0), l.rows, l.cols)
}

func (l transpose) Backward(p *Pass) {
	if dx := p.DX(0); dx != nil {
		l.swap(p, dx, p.DY(), l.cols, l.rows)
	}
}

func (l transpose) swap(p *Pass, to, from []float32, rows, cols int) {
	n := rows * cols
	for r := range p.Rows() {
		p.Engine().Transpose(to[r*n:][:n], from[r*n:][:n], rows, cols)
	}
}

// upsample repeats every pixel in squares of side x side.
type upsample struct{ channels, height, width, side int }

func upsampleKind() LayerKind {
	return LayerKind{
		Entry: Entry{Name: "upsample", Class: classLayer, Shapes: "(c, h, w) -> (c, factor h, factor w)", Summary: "enlarges an image (channels, height, width) by repeating its pixels",
			Fields: []Field{integer("factor", 2, "how many times larger").min(1).max(64).short()}},
		Fit: func(s *Site) Fitted {
			in, ok := s.image("upsample")
			if !ok {
				return Fitted{}
			}
			f := s.Int("factor")
			return Fitted{Layer: upsample{channels: in[0], height: in[1], width: in[2], side: f}, Out: []int{in[0], in[1] * f, in[2] * f}}
		},
	}
}

func (l upsample) Forward(p *Pass) {
	x, y, wide := p.X(0), p.Y(), l.width*l.side
	for row := range p.Rows() * l.channels * l.height {
		from, to := x[row*l.width:][:l.width], y[row*l.side*wide:][:l.side*wide]
		for i := range wide {
			to[i] = from[i/l.side]
		}
		for s := 1; s < l.side; s++ {
			copy(to[s*wide:][:wide], to[:wide])
		}
	}
}

// Backward adds up the squares, row by row.
func (l upsample) Backward(p *Pass) {
	dx, dy, wide := p.DX(0), p.DY(), l.width*l.side
	if dx == nil {
		return
	}
	clear(dx)
	for row := range p.Rows() * l.channels * l.height {
		to, from := dx[row*l.width:][:l.width], dy[row*l.side*wide:][:l.side*wide]
		for i, v := range from {
			to[i%wide/l.side] += v
		}
	}
}
