package nn

import (
	"math"

	"github.com/lockstep-ml/lockstep/pkg/tensor"
)

// batchNorm makes every channel of a lane's micro-batch have mean 0 and
// variance 1, then scales and shifts it:
//
//	x, y, dx, dy  (B, C, plane)      weight, bias, running_…  (C)
//
// In training the statistics are those of the lane's own records, so a record's
// output depends on nothing outside its lane. The running statistics, used
// otherwise, follow those of the whole batch: the lanes' means and variances
// travel with the stats and are merged in the order of the lanes.
type batchNorm struct {
	channels, plane int
	epsilon         float32
	momentum        float64
	act             activation
	plusInput       bool // input 1 is added before the activation
}

func batchNormKind() LayerKind {
	return LayerKind{
		Entry: Entry{Name: "batch_norm", Class: classLayer, Shapes: "(c, …) -> (c, …)",
			Summary: "gives every channel (axis 0 of a record) mean 0 and variance 1 over the records of a lane, then a trained scale and shift",
			Fields: []Field{
				number("epsilon", 1e-5, "added to the variance").above(0),
				number("momentum", 0.1, "share of a step in the running statistics, which are used when the network is applied").above(0).max(1),
			}},
		Fit: fitBatchNorm,
	}
}

func fitBatchNorm(s *Site) Fitted {
	in, ok := s.one("batch_norm")
	if !ok {
		return Fitted{}
	}
	if len(in) == 0 {
		s.Fail("", "batch_norm needs channels, but its input is one number")
		return Fitted{}
	}
	c := in[:1]
	l := batchNorm{channels: in[0], plane: size(in[1:]), epsilon: float32(s.Float("epsilon")), momentum: s.Float("momentum")}
	return Fitted{Layer: l, Out: in,
		Params:    []Param{{Name: "weight", Shape: c, Init: Init{Kind: "ones"}}, {Name: "bias", Shape: c, Init: Init{Kind: "zeros"}}},
		Buffers:   []Buffer{{Name: "running_mean", Shape: c}, {Name: "running_var", Shape: c, Value: 1}},
		KeepLanes: []int{l.channels, l.channels}, // mean, variance
		Scratch:   2 * l.channels,
		Words:     2 * l.channels, // mean and variance of a lane
	}
}

func (l batchNorm) fuse(a activation) Layer { l.act = a; return l }

func (l batchNorm) plus(a activation) Layer {
	if l.act.act != tensor.ActNone || l.plusInput {
		return nil
	}
	l.plusInput, l.act = true, a
	return l
}

// What passes on is the gradient before the activation, by the input that is added.
func (l batchNorm) passes(input int) bool { return input == 1 }
func (l batchNorm) keepsDY() bool         { return l.act.act == tensor.ActNone }

// lane is the normalisation of the records of a lane, from up to to.
func (l batchNorm) lane(p *Pass, i, from, to int) tensor.ChannelNorm {
	n := tensor.ChannelNorm{Channels: l.shape(to - from), Epsilon: l.epsilon, Act: l.act.act,
		Weight: p.Param(0), Bias: p.Param(1),
		Mean: p.KeepLane(0, i), Variance: p.KeepLane(1, i), X: l.rows(p.X(0), from, to)}
	if l.plusInput {
		n.Plus = l.rows(p.X(1), from, to)
	}
	return n
}

func (l batchNorm) shape(rows int) tensor.Channels {
	return tensor.Channels{Rows: rows, Count: l.channels, Plane: l.plane}
}

func (l batchNorm) Forward(p *Pass) {
	if !p.Training() {
		l.apply(p)
		return
	}
	for i := range p.LaneCount() {
		from, to := p.Lane(i)
		if from == to {
			continue
		}
		n := l.lane(p, i, from, to)
		p.Engine().ChannelNormForward(l.rows(p.Y(), from, to), n)
		words := p.Words(i)
		for c, v := range n.Variance {
			words[c], words[l.channels+c] = int32(math.Float32bits(n.Mean[c])), int32(math.Float32bits(v))
		}
	}
}

// apply uses the running statistics.
func (l batchNorm) apply(p *Pass) {
	weight, bias, mean, variance := p.Param(0), p.Param(1), p.Buffer(0), p.Buffer(1)
	scale, shift := p.Scratch()[:l.channels], p.Scratch()[l.channels:2*l.channels]
	for c := range scale {
		scale[c] = weight[c] / float32(math.Sqrt(float64(variance[c]+l.epsilon)))
		shift[c] = float32(mean[c]*scale[c]) - bias[c]
	}
	p.Engine().ChannelAffine(p.Y(), p.X(0), scale, shift, l.shape(p.Rows()))
	if l.plusInput {
		p.Engine().Add(p.Y(), p.Y(), p.X(1))
	}
	p.Engine().ActForward(p.Y(), p.Y(), l.act.act)
}

func (l batchNorm) Backward(p *Pass) {
	if !p.Training() {
		l.backwardApplied(p)
		return
	}
	dx, dw, db := p.DX(0), p.Scratch()[:l.channels], p.Scratch()[l.channels:2*l.channels]
	for i := range p.LaneCount() {
		from, to := p.Lane(i)
		if from == to {
			continue
		}
		var into []float32
		if dx != nil {
			into = l.rows(dx, from, to)
		}
		p.Engine().ChannelNormBackward(into, dw, db, l.rows(p.DY(), from, to), l.rows(p.Y(), from, to), l.lane(p, i, from, to))
		p.Engine().AddLane(p.Grad(0), i, dw)
		p.Engine().AddLane(p.Grad(1), i, db)
	}
	if l.plusInput {
		p.addDY(1)
	}
}

// backwardApplied goes back through fixed statistics.
func (l batchNorm) backwardApplied(p *Pass) {
	l.act.backwardInPlace(p, p.DY())
	if l.plusInput {
		p.addDY(1)
	}
	dx := p.DX(0)
	if dx == nil {
		return
	}
	scale, zeros := p.Scratch()[:l.channels], p.Scratch()[l.channels:2*l.channels]
	clear(zeros)
	for c, v := range p.Buffer(1) {
		scale[c] = p.Param(0)[c] / float32(math.Sqrt(float64(v+l.epsilon)))
	}
	p.Engine().ChannelAffine(dx, p.DY(), scale, zeros, l.shape(p.Rows()))
}

// Commit follows the statistics of the batch: the mean of all lanes, and their
// variance about it, made unbiased.
func (l batchNorm) Commit(c *CommitPass) {
	mean, variance := c.Buffer(0), c.Buffer(1)
	total := 0.0
	for lane := range c.Lanes() {
		total += float64(c.Records(lane) * l.plane)
	}
	if total == 0 {
		return
	}
	for ch := range mean {
		m := 0.0
		for lane := range c.Lanes() {
			m += float64(float64(c.Records(lane)*l.plane) * word32(c, lane, ch))
		}
		m /= total
		v := 0.0
		for lane := range c.Lanes() {
			d := word32(c, lane, ch) - m
			v += float64(float64(c.Records(lane)*l.plane) * (word32(c, lane, l.channels+ch) + float64(d*d)))
		}
		v /= max(total-1, 1)
		mean[ch] += float32(l.momentum * (m - float64(mean[ch])))
		variance[ch] += float32(l.momentum * (v - float64(variance[ch])))
	}
}

// word is word i of a lane as the float it holds.
func word32(c *CommitPass, lane, i int) float64 {
	return float64(math.Float32frombits(uint32(c.Words(lane)[i])))
}

// rows are the records from up to to of x.
func (l batchNorm) rows(x []float32, from, to int) []float32 {
	n := l.channels * l.plane
	return x[from*n : to*n]
}
