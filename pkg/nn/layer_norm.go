package nn

import (
	"math"

	"github.com/lockstep-ml/lockstep/pkg/tensor"
)

// layerNorm gives the last axis mean 0 and variance 1, then scales and shifts it:
//
//	x, y, dx, dy  (rows, cols)      weight, bias  (cols)
type layerNorm struct {
	each, cols int // rows a record, elements a row
	epsilon    float32
}

func layerNormKind() LayerKind {
	return LayerKind{
		Entry: Entry{Name: "layer_norm", Class: classLayer, Shapes: "(…, n) -> (…, n)",
			Summary: "gives the last axis mean 0 and variance 1, then a trained scale and shift",
			Fields:  []Field{number("epsilon", 1e-5, "added to the variance").above(0)}},
		Fit: fitLayerNorm,
	}
}

func fitLayerNorm(s *Site) Fitted {
	in, ok := s.one("layer_norm")
	if !ok {
		return Fitted{}
	}
	if len(in) == 0 {
		s.Fail("", "layer_norm needs an axis, but its input is one number")
		return Fitted{}
	}
	cols := in[len(in)-1]
	l := layerNorm{each: size(in) / cols, cols: cols, epsilon: float32(s.Float("epsilon"))}
	return Fitted{Layer: l, Out: in, Params: normParams(cols),
		Keep: []int{size(in), l.each}, // xhat, 1/deviation
	}
}

// normParams are the scale and the shift behind a normalisation.
func normParams(n int) []Param {
	return []Param{
		{Name: "weight", Shape: []int{n}, Init: Init{Kind: "ones"}},
		{Name: "bias", Shape: []int{n}, Init: Init{Kind: "zeros"}},
	}
}

func (l layerNorm) Forward(p *Pass) {
	p.Engine().RowNorm(p.Y(), p.Keep(0), p.Keep(1), p.X(0), p.Param(0), p.Param(1), p.Rows()*l.each, l.cols, l.epsilon)
}

func (l layerNorm) Backward(p *Pass) {
	eng, dy, hat, rows := p.Engine(), p.DY(), p.Keep(0), p.LaneRows(l.each)
	eng.ColDotLanes(p.Grad(0), dy, hat, l.cols, rows)
	eng.ColSumLanes(p.Grad(1), dy, l.cols, rows)
	if dx := p.DX(0); dx != nil {
		eng.RowNormBackward(dx, dy, hat, p.Keep(1), p.Param(0), p.Rows()*l.each, l.cols, p.adds(0))
	}
}

func (layerNorm) keepsDY() bool { return true }
func (layerNorm) adds() bool    { return true }

// groupNorm gives groups of the channels of a record mean 0 and variance 1, then
// scales and shifts every channel:
//
//	x, y, dx, dy  (B, C, plane)      weight, bias  (C)
//
// A group of a record is one channel of B*groups channels of C/groups*plane
// elements each.
type groupNorm struct {
	channels, groups, plane int
	epsilon                 float32
}

func groupNormKind() LayerKind {
	return LayerKind{
		Entry: Entry{Name: "group_norm", Class: classLayer, Shapes: "(c, …) -> (c, …)",
			Summary: "gives groups of the channels of every record mean 0 and variance 1, then every channel a trained scale and shift",
			Fields: []Field{
				integer("groups", 8, "number of groups; 1 takes all channels together").min(1).short(),
				number("epsilon", 1e-5, "added to the variance").above(0),
			}},
		Fit: fitGroupNorm,
	}
}

func fitGroupNorm(s *Site) Fitted {
	in, ok := s.one("group_norm")
	if !ok {
		return Fitted{}
	}
	groups := s.Int("groups")
	if len(in) == 0 || in[0]%groups != 0 {
		s.Fail("groups", "is %d; it must divide the channels of %s", groups, shapeString(in))
		return Fitted{}
	}
	l := groupNorm{channels: in[0], groups: groups, plane: size(in[1:]), epsilon: float32(s.Float("epsilon"))}
	return Fitted{Layer: l, Out: in, Params: normParams(l.channels),
		Keep: []int{groups, groups}, // mean, variance
		// For every channel of a record the gradients of weight and bias; for every
		// group what ChannelNorm has beside dx; and once for every channel -bias or 0.
		Scratch: 2*l.channels + 2*groups + l.channels,
	}
}

func (l groupNorm) norm(p *Pass) tensor.ChannelNorm {
	return tensor.ChannelNorm{Epsilon: l.epsilon, Mean: p.Keep(0), Variance: p.Keep(1), X: p.X(0),
		Channels: tensor.Channels{Rows: 1, Count: p.Rows() * l.groups, Plane: l.channels / l.groups * l.plane}}
}

func (l groupNorm) shape(p *Pass) tensor.Channels {
	return tensor.Channels{Rows: p.Rows(), Count: l.channels, Plane: l.plane}
}

func (l groupNorm) Forward(p *Pass) {
	shift := p.Scratch()[:l.channels]
	for c, b := range p.Param(1) {
		shift[c] = -b
	}
	p.Engine().ChannelNormForward(p.Y(), l.norm(p))
	p.Engine().ChannelAffine(p.Y(), p.Y(), p.Param(0), shift, l.shape(p))
}

func (l groupNorm) Backward(p *Pass) {
	l.backwardParams(p)
	dx := p.DX(0)
	if dx == nil {
		return
	}
	n := p.Rows() * l.groups
	zeros, dw, db := p.Scratch()[:l.channels], p.Scratch()[l.channels:][:n], p.Scratch()[l.channels+n:][:n]
	clear(zeros)
	p.Engine().ChannelAffine(dx, p.DY(), p.Param(0), zeros, l.shape(p))
	p.Engine().ChannelNormBackward(dx, dw, db, dx, nil, l.norm(p))
}

// backwardParams adds dy*xhat and dy, summed over the planes of a channel, then
// over the records.
func (l groupNorm) backwardParams(p *Pass) {
	n, share := p.Rows()*l.channels, l.channels/l.groups
	dw, db := p.Scratch()[:n], p.Scratch()[n:2*n]
	p.Engine().PlaneDots(db, dw, p.DY(), p.X(0), p.Keep(0), l.plane, share)
	for i, v := range p.Keep(1) {
		root := 1 / float32(math.Sqrt(float64(v+l.epsilon)))
		for c := i * share; c < (i+1)*share; c++ {
			dw[c] *= root
		}
	}
	p.Engine().ColSumLanes(p.Grad(0), dw, l.channels, p.LaneRows(1))
	p.Engine().ColSumLanes(p.Grad(1), db, l.channels, p.LaneRows(1))
}
