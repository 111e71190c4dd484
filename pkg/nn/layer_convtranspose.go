package nn

import "github.com/lockstep-ml/lockstep/pkg/tensor"

// convTranspose is the transposed convolution: its forward pass is the backward
// pass of the convolution c by the input, and the other way round. With the
// sizes of c, whose input is y,
//
//	x, dx  (B, OutC, OH, OW)    w, dw  (OutC, InC/Groups, KH, KW)
//	y, dy  (B, InC, H, W)       b, db  (InC)
type convTranspose struct {
	c    tensor.Conv
	bias bool
}

func convTransposeKind() LayerKind {
	return LayerKind{
		Entry: Entry{Name: "conv_transpose2d", Class: classLayer, Shapes: "(c, h, w) -> (filters, h', w') with h' = (h-1) stride - 2 padding + dilation (kernel-1) + 1 + output_padding",
			Summary: "spreads every element of an image (channels, height, width) over a filter; enlarges where conv2d would shrink",
			Fields: []Field{
				integer("filters", 0, "number of output channels").required().min(1).max(1 << 20).short(),
				integers("kernel", 4, "height and width of a filter").min(1).max(1 << 12),
				integers("stride", 2, "how many times larger the image becomes").min(1).max(1 << 12),
				integers("padding", 1, "border that is cut off").min(0).max(1 << 12),
				integers("output_padding", 0, "rows and columns added at the end; less than the stride").min(0).max(1 << 12),
				integers("dilation", 1, "distance of a filter's taps").min(1).max(1 << 12),
				integer("groups", 1, "input channels are split into so many independent groups").min(1),
				boolean("bias", true, "adds a trained number to every channel"),
				initField("uniform_fan_in"),
			}},
		Fit: fitConvTranspose,
	}
}

func fitConvTranspose(s *Site) Fitted {
	in, ok := s.image("conv_transpose2d")
	if !ok {
		return Fitted{}
	}
	c := tensor.Conv{N: 1, InC: s.Int("filters"), OutC: in[0], Groups: s.Int("groups")}
	c.KH, c.KW = s.pair("kernel")
	c.StrideH, c.StrideW = s.pair("stride")
	c.PadH, c.PadW = s.pair("padding")
	c.DilH, c.DilW = s.pair("dilation")
	addH, addW := s.pair("output_padding")
	c.H = (in[1]-1)*c.StrideH - 2*c.PadH + c.DilH*(c.KH-1) + 1 + addH
	c.W = (in[2]-1)*c.StrideW - 2*c.PadW + c.DilW*(c.KW-1) + 1 + addW
	switch {
	case c.InC%c.Groups != 0 || c.OutC%c.Groups != 0:
		s.Fail("groups", "is %d; it must divide the %d input channels and the %d filters", c.Groups, c.OutC, c.InC)
		return Fitted{}
	case addH >= c.StrideH || addW >= c.StrideW:
		s.Fail("output_padding", "is %d x %d; it must be less than the stride of %d x %d", addH, addW, c.StrideH, c.StrideW)
		return Fitted{}
	case c.H < 1 || c.W < 1 || c.OutH() != in[1] || c.OutW() != in[2]:
		s.Fail("padding", "leaves nothing of an image of %d x %d", in[1], in[2])
		return Fitted{}
	}
	taps := c.KH * c.KW
	w := Init{Kind: s.Text("init"), FanIn: c.InC / c.Groups * taps, FanOut: c.OutC / c.Groups * taps}
	l := convTranspose{c: c, bias: s.Bool("bias")}
	params := []Param{{Name: "weight", Shape: []int{c.OutC, c.InC / c.Groups, c.KH, c.KW}, Init: w}}
	if l.bias {
		params = append(params, Param{Name: "bias", Shape: []int{c.InC}, Init: biasInit(w)})
	}
	return Fitted{Layer: l, Out: []int{c.InC, c.H, c.W}, Params: params, MACs: size(in) * w.FanIn}
}

func (l convTranspose) at(p *Pass) tensor.Conv {
	c := l.c
	c.N = p.Rows()
	return c
}

func (l convTranspose) Forward(p *Pass) {
	y := p.Y()
	p.Engine().ConvBackwardInput(y, p.X(0), p.Param(0), l.at(p))
	if !l.bias {
		return
	}
	plane := l.c.H * l.c.W
	bias := p.Param(1)
	for i := 0; i < len(y); i += plane {
		b := bias[i/plane%len(bias)]
		for j := range plane {
			y[i+j] += b
		}
	}
}

func (l convTranspose) Backward(p *Pass) {
	dy, c := p.DY(), l.at(p)
	if l.bias {
		images := tensor.Conv{N: c.N, OutC: c.InC, H: c.H, W: c.W, KH: 1, KW: 1, InC: 1}
		p.Engine().ConvBiasLanes(p.Grad(1), dy, images, p.LaneRows(1))
	}
	p.Engine().ConvBackwardWeightLanes(p.Grad(0), dy, p.X(0), c, p.LaneRows(1))
	if dx := p.DX(0); dx != nil {
		p.Engine().ConvForward(dx, dy, p.Param(0), nil, c, tensor.ActNone)
	}
}
