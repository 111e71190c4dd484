package nn

import "github.com/lockstep-ml/lockstep/pkg/tensor"

// pool takes the maximum or the mean of windows of each channel:
//
//	x, dx  (B, C, H, W)      y, dy  (B, C, OH, OW)
type pool struct {
	c   tensor.Pool // N is that of the pass
	max bool
}

func poolFields() []Field {
	return []Field{
		integers("size", 2, "height and width of a window").min(1).max(1 << 12).short(),
		integers("stride", 0, "step of the window; 0 is its size").min(0).max(1 << 12),
		integers("padding", 0, "border around the image; at most half the window").min(0).max(1 << 11),
	}
}

func maxPoolKind() LayerKind {
	return LayerKind{
		Entry: Entry{Name: "max_pool", Class: classLayer, Shapes: "(c, h, w) -> (c, h', w') with h' = (h + 2 padding - size)/stride + 1", Fields: poolFields(),
			Summary: "the largest number of every window of an image"},
		Fit: func(s *Site) Fitted { return fitPool(s, "max_pool", true) },
	}
}

func avgPoolKind() LayerKind {
	return LayerKind{
		Entry: Entry{Name: "avg_pool", Class: classLayer, Shapes: "(c, h, w) -> (c, h', w') with h' = (h + 2 padding - size)/stride + 1", Fields: poolFields(),
			Summary: "the mean of every window of an image; padding counts as zeros"},
		Fit: func(s *Site) Fitted { return fitPool(s, "avg_pool", false) },
	}
}

func globalAvgPoolKind() LayerKind {
	return LayerKind{
		Entry: Entry{Name: "global_avg_pool", Class: classLayer, Shapes: "(c, …) -> (c)",
			Summary: "the mean of every channel (axis 0 of a record)"},
		Fit: func(s *Site) Fitted { return fitGlobalPool(s, "global_avg_pool", false) },
	}
}

func globalMaxPoolKind() LayerKind {
	return LayerKind{
		Entry: Entry{Name: "global_max_pool", Class: classLayer, Shapes: "(c, …) -> (c)",
			Summary: "the largest number of every channel (axis 0 of a record)"},
		Fit: func(s *Site) Fitted { return fitGlobalPool(s, "global_max_pool", true) },
	}
}

// fitGlobalPool is a pool with one window of all of a channel.
func fitGlobalPool(s *Site, kind string, takeMax bool) Fitted {
	in, ok := s.one(kind)
	if !ok {
		return Fitted{}
	}
	if len(in) < 2 {
		s.Fail("", "%s works on channels of more than one number, but its input is %s", kind, shapeString(in))
		return Fitted{}
	}
	n := size(in[1:])
	c := tensor.Pool{N: 1, C: in[0], H: 1, W: n, KH: 1, KW: n, StrideH: 1, StrideW: n}
	f := Fitted{Layer: pool{c: c, max: takeMax}, Out: []int{in[0]}}
	if takeMax {
		f.KeepInts = []int{in[0]}
	}
	return f
}

func fitPool(s *Site, kind string, takeMax bool) Fitted {
	in, ok := s.image(kind)
	if !ok {
		return Fitted{}
	}
	c := tensor.Pool{N: 1, C: in[0], H: in[1], W: in[2]}
	c.KH, c.KW = s.pair("size")
	c.StrideH, c.StrideW = s.pair("stride")
	c.PadH, c.PadW = s.pair("padding")
	if c.StrideH == 0 {
		c.StrideH = c.KH
	}
	if c.StrideW == 0 {
		c.StrideW = c.KW
	}
	if c.PadH > c.KH/2 || c.PadW > c.KW/2 {
		s.Fail("padding", "is %d x %d; at most half the window of %d x %d", c.PadH, c.PadW, c.KH, c.KW)
		return Fitted{}
	}
	if c.KH > c.H+2*c.PadH || c.KW > c.W+2*c.PadW {
		s.Fail("size", "a window of %d x %d does not fit into the image of %d x %d", c.KH, c.KW, c.H, c.W)
		return Fitted{}
	}
	f := Fitted{Layer: pool{c: c, max: takeMax}, Out: []int{c.C, c.OutH(), c.OutW()}}
	if takeMax {
		f.KeepInts = []int{size(f.Out)}
	}
	return f
}

func (l pool) Forward(p *Pass) {
	c := l.c
	c.N = p.Rows()
	if l.max {
		p.Engine().MaxPoolForward(p.Y(), p.KeepInts(0), p.X(0), c)
	} else {
		p.Engine().AvgPoolForward(p.Y(), p.X(0), c)
	}
}

func (l pool) Backward(p *Pass) {
	dx := p.DX(0)
	if dx == nil {
		return
	}
	c := l.c
	c.N = p.Rows()
	if l.max {
		p.Engine().MaxPoolBackward(dx, p.DY(), p.KeepInts(0), c)
	} else {
		p.Engine().AvgPoolBackward(dx, p.DY(), c)
	}
}
