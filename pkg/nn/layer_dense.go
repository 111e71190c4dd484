package nn

import "github.com/lockstep-ml/lockstep/pkg/tensor"

// dense is y = act(x Wᵀ + b), over the last axis of x, with
//
//	x, dx  (B, In)      W, dW  (Out, In)
//	y, dy  (B, Out)     b, db  (Out)
//
// where B is the number of records times the sizes of the axes before the last.
type dense struct {
	in, out int
	each    int // rows a record
	bias    bool
	act     activation
}

func denseKind() LayerKind {
	return LayerKind{
		Entry: Entry{Name: "dense", Class: classLayer, Shapes: "(…, n) -> (…, units)",
			Summary: "every output is a weighted sum of all inputs; works on the last axis",
			Fields: []Field{
				integer("units", 0, "number of outputs").required().min(1).max(1 << 24).short(),
				boolean("bias", true, "adds a trained number to every output"),
				initField("uniform_fan_in"),
			}},
		Fit: fitDense,
	}
}

func fitDense(s *Site) Fitted {
	in, ok := s.one("dense")
	if !ok {
		return Fitted{}
	}
	if len(in) == 0 {
		in = []int{1}
	}
	if len(in) == 3 {
		s.Fail("", "dense works on vectors, but its input is %s; put flatten before it", shapeString(in))
		return Fitted{}
	}
	last := len(in) - 1
	d := dense{in: in[last], out: s.Int("units"), each: size(in[:last]), bias: s.Bool("bias")}
	w := Init{Kind: s.Text("init"), FanIn: d.in, FanOut: d.out}
	params := []Param{{Name: "weight", Shape: []int{d.out, d.in}, Init: w}}
	if d.bias {
		params = append(params, Param{Name: "bias", Shape: []int{d.out}, Init: biasInit(w)})
	}
	out := append(append([]int(nil), in[:last]...), d.out)
	return Fitted{Layer: d, Out: out, Params: params, MACs: d.each * d.in * d.out}
}

func (d dense) fuse(a activation) Layer { d.act = a; return d }

func (d dense) keepsDY() bool { return d.act.act == tensor.ActNone }

func (d dense) Forward(p *Pass) {
	g := tensor.Gemm{M: p.Rows() * d.each, N: d.out, K: d.in, TransB: true, Act: d.act.act}
	if d.bias {
		g.Bias = p.Param(1)
	}
	p.Engine().Gemm(p.Y(), p.X(0), p.Param(0), g)
}

func (d dense) Backward(p *Pass) {
	dy := p.DY()
	d.act.backwardInPlace(p, dy)
	rows := p.LaneRows(d.each)
	if d.bias {
		p.Engine().ColSumLanes(p.Grad(1), dy, d.out, rows)
	}
	p.Engine().GemmLanes(p.Grad(0), dy, p.X(0), d.out, d.in, rows)
	if dx := p.DX(0); dx != nil {
		p.Engine().Gemm(dx, dy, p.Param(0), tensor.Gemm{M: p.Rows() * d.each, N: d.in, K: d.out})
	}
}
