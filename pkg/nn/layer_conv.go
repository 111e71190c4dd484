package nn

import "github.com/lockstep-ml/lockstep/pkg/tensor"

// conv is a two-dimensional convolution (cross-correlation) with
//
//	x, dx  (B, InC, H, W)       w, dw  (OutC, InC/Groups, KH, KW)
//	y, dy  (B, OutC, OH, OW)    b, db  (OutC)
type conv struct {
	c    tensor.Conv // N is that of the pass
	bias bool
	act  activation
}

func conv2dKind() LayerKind {
	return LayerKind{
		Entry: Entry{Name: "conv2d", Class: classLayer, Shapes: "(c, h, w) -> (filters, h', w') with h' = (h + 2 padding - dilation (kernel-1) - 1)/stride + 1",
			Summary: "slides filters over an image (channels, height, width)",
			Fields: []Field{
				integer("filters", 0, "number of output channels").required().min(1).max(1 << 20).short(),
				integers("kernel", 3, "height and width of a filter").min(1).max(1 << 12),
				integers("stride", 1, "step of the filter").min(1).max(1 << 12),
				integers("padding", 0, "zeros around the image").min(0).max(1 << 12),
				boolean("same", false, "chooses the padding that keeps height and width at stride 1"),
				integers("dilation", 1, "distance of a filter's taps").min(1).max(1 << 12),
				integer("groups", 1, "input channels are split into so many independent groups").min(1),
				boolean("bias", true, "adds a trained number to every channel"),
				initField("uniform_fan_in"),
			}},
		Fit: fitConv2d,
	}
}

func conv1dKind() LayerKind {
	return LayerKind{
		Entry: Entry{Name: "conv1d", Class: classLayer, Shapes: "(c, n) -> (filters, n') with n' = (n + 2 padding - dilation (kernel-1) - 1)/stride + 1",
			Summary: "slides filters along a sequence of channels (channels, length)",
			Fields: []Field{
				integer("filters", 0, "number of output channels").required().min(1).max(1 << 20).short(),
				integer("kernel", 3, "length of a filter").min(1).max(1 << 12),
				integer("stride", 1, "step of the filter").min(1).max(1 << 12),
				integer("padding", 0, "zeros at both ends").min(0).max(1 << 12),
				boolean("same", false, "chooses the padding that keeps the length at stride 1"),
				integer("dilation", 1, "distance of a filter's taps").min(1).max(1 << 12),
				integer("groups", 1, "input channels are split into so many independent groups").min(1),
				boolean("bias", true, "adds a trained number to every channel"),
				initField("uniform_fan_in"),
			}},
		Fit: fitConv1d,
	}
}

// fitConv1d is a convolution over images of height 1.
func fitConv1d(s *Site) Fitted {
	in, ok := s.one("conv1d")
	if !ok {
		return Fitted{}
	}
	if len(in) != 2 {
		s.Fail("", "conv1d works on (channels, length), but its input is %s", shapeString(in))
		return Fitted{}
	}
	c := tensor.Conv{N: 1, InC: in[0], H: 1, W: in[1], OutC: s.Int("filters"), Groups: s.Int("groups"),
		KH: 1, KW: s.Int("kernel"), StrideH: 1, StrideW: s.Int("stride"), PadW: s.Int("padding"), DilH: 1, DilW: s.Int("dilation")}
	if s.Bool("same") && !s.same(&c) {
		return Fitted{}
	}
	f := s.fitConv(c)
	if f.Layer == nil {
		return f
	}
	f.Out = []int{f.Out[0], f.Out[2]}
	f.Params[0].Shape = []int{c.OutC, c.InC / c.Groups, c.KW}
	return f
}

func fitConv2d(s *Site) Fitted {
	in, ok := s.image("conv2d")
	if !ok {
		return Fitted{}
	}
	c := tensor.Conv{N: 1, InC: in[0], H: in[1], W: in[2], OutC: s.Int("filters"), Groups: s.Int("groups")}
	c.KH, c.KW = s.pair("kernel")
	c.StrideH, c.StrideW = s.pair("stride")
	c.PadH, c.PadW = s.pair("padding")
	c.DilH, c.DilW = s.pair("dilation")
	if s.Bool("same") && !s.same(&c) {
		return Fitted{}
	}
	return s.fitConv(c)
}

// same chooses the padding that keeps the size.
func (s *Site) same(c *tensor.Conv) bool {
	if c.KH%2 == 0 || c.KW%2 == 0 {
		s.Fail("same", "needs a kernel of odd size, not %d x %d", c.KH, c.KW)
		return false
	}
	c.PadH, c.PadW = c.DilH*(c.KH-1)/2, c.DilW*(c.KW-1)/2
	return true
}

// fitConv checks the groups and the size of the filter.
func (s *Site) fitConv(c tensor.Conv) Fitted {
	if c.InC%c.Groups != 0 || c.OutC%c.Groups != 0 {
		s.Fail("groups", "is %d; it must divide the %d input channels and the %d filters", c.Groups, c.InC, c.OutC)
		return Fitted{}
	}
	if c.H+2*c.PadH < c.DilH*(c.KH-1)+1 || c.W+2*c.PadW < c.DilW*(c.KW-1)+1 {
		s.Fail("kernel", "a filter of %d x %d does not fit into the image of %d x %d", c.KH, c.KW, c.H, c.W)
		return Fitted{}
	}
	taps := c.KH * c.KW
	w := Init{Kind: s.Text("init"), FanIn: c.InC / c.Groups * taps, FanOut: c.OutC / c.Groups * taps}
	l := conv{c: c, bias: s.Bool("bias")}
	params := []Param{{Name: "weight", Shape: []int{c.OutC, c.InC / c.Groups, c.KH, c.KW}, Init: w}}
	if l.bias {
		params = append(params, Param{Name: "bias", Shape: []int{c.OutC}, Init: biasInit(w)})
	}
	out := []int{c.OutC, c.OutH(), c.OutW()}
	return Fitted{Layer: l, Out: out, Params: params, MACs: size(out) * w.FanIn}
}

func (l conv) fuse(a activation) Layer { l.act = a; return l }

func (l conv) keepsDY() bool { return l.act.act == tensor.ActNone }

func (l conv) at(p *Pass) tensor.Conv {
	c := l.c
	c.N = p.Rows()
	return c
}

func (l conv) Forward(p *Pass) {
	var bias []float32
	if l.bias {
		bias = p.Param(1)
	}
	p.Engine().ConvForward(p.Y(), p.X(0), p.Param(0), bias, l.at(p), l.act.act)
}

func (l conv) Backward(p *Pass) {
	dy, c := p.DY(), l.at(p)
	l.act.backwardInPlace(p, dy)
	if l.bias {
		p.Engine().ConvBiasLanes(p.Grad(1), dy, c, p.LaneRows(1))
	}
	p.Engine().ConvBackwardWeightLanes(p.Grad(0), p.X(0), dy, c, p.LaneRows(1))
	if dx := p.DX(0); dx != nil {
		p.Engine().ConvBackwardInput(dx, dy, p.Param(0), c)
	}
}
