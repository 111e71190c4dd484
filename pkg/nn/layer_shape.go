package nn

func flattenKind() LayerKind {
	return LayerKind{
		Entry: Entry{Name: "flatten", Class: classLayer, Summary: "makes one vector of all axes of a record"},
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
		Entry: Entry{Name: "reshape", Class: classLayer, Summary: "gives a record another shape with as many elements",
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
