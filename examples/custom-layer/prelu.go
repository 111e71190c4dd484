package main

import "github.com/lockstep-ml/lockstep/pkg/nn"

// prelu passes what is positive and multiplies the rest by a slope, one trained
// number for each channel (axis 0 of a record):
//
//	y = max(x, 0) + slope[c]*min(x, 0)        (He et al. 2015)
//
//	x, y, dx, dy  (B, C, plane)      slope  (C)
type prelu struct{ channels, plane int }

func preluKind() nn.LayerKind {
	return nn.LayerKind{
		Entry: nn.Entry{Name: "prelu", Class: "activation", Summary: "max(x, 0) + slope*min(x, 0), with a trained slope for each channel"},
		Fit:   fitPReLU,
	}
}

// fitPReLU says what the layer needs where it stands: one input of numbers.
func fitPReLU(s *nn.Site) nn.Fitted {
	if len(s.In) != 1 || s.In[0].Tokens > 0 || len(s.In[0].Shape) == 0 {
		s.Fail("", "prelu works on one input of numbers with channels")
		return nn.Fitted{}
	}
	in := s.In[0].Shape
	l := prelu{channels: in[0], plane: 1}
	for _, d := range in[1:] {
		l.plane *= d
	}
	return nn.Fitted{
		Layer: l, Out: in,
		Params:    []nn.Param{{Name: "slope", Shape: in[:1], Init: nn.Init{Kind: "zeros"}}},
		KeepLanes: []int{l.channels}, // the gradient of the slopes
	}
}

// Forward computes all rows; how they are spread over lanes does not matter.
func (l prelu) Forward(p *nn.Pass) {
	x, y, slope := p.X(0), p.Y(), p.Param(0)
	for i, v := range x {
		if y[i] = v; v < 0 {
			y[i] = v * slope[i/l.plane%l.channels]
		}
	}
}

// Backward reduces over rows, so it goes lane by lane: a lane's sum must not
// depend on who else is in the batch. The conversions keep products from being
// fused with sums, which some processors would do and others not.
func (l prelu) Backward(p *nn.Pass) {
	x, dy, dx, slope := p.X(0), p.DY(), p.DX(0), p.Param(0)
	row := l.channels * l.plane
	for lane := range p.LaneCount() {
		from, to := p.Lane(lane)
		dslope := p.KeepLane(0, lane)
		clear(dslope)
		for i := from * row; i < to*row; i++ {
			if x[i] < 0 {
				dslope[i/l.plane%l.channels] += float32(x[i] * dy[i])
			}
		}
		p.Engine().AddLane(p.Grad(0), lane, dslope)
	}
	for i := range dx { // nil if nobody needs it
		if dx[i] = dy[i]; x[i] < 0 {
			dx[i] = dy[i] * slope[i/l.plane%l.channels]
		}
	}
}
