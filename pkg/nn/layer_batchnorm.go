package nn

import "math"

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
}

func batchNormKind() LayerKind {
	return LayerKind{
		Entry: Entry{Name: "batch_norm", Class: classLayer,
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
		Keep:      []int{size(in)},               // x - mean
		KeepLanes: []int{l.channels, l.channels}, // mean, later sums; 1/deviation
		Scratch:   4 * l.channels,
		Words:     2 * l.channels, // mean and variance of a lane
	}
}

func (l batchNorm) Forward(p *Pass) {
	if !p.Training() {
		l.apply(p)
		return
	}
	weight, bias := p.Param(0), p.Param(1)
	for i := range p.LaneCount() {
		from, to := p.Lane(i)
		if from == to {
			continue
		}
		n := to - from
		x, y, centred := l.rows(p.X(0), from, to), l.rows(p.Y(), from, to), l.rows(p.Keep(0), from, to)
		mean, root := p.KeepLane(0, i), p.KeepLane(1, i)
		l.sums(p, mean, x, n)
		each := 1 / float32(n*l.plane)
		for c := range mean {
			mean[c] *= each
		}
		l.affine(centred, x, n, nil, mean)
		l.dots(p, root, centred, centred, n)
		words := p.Words(i)
		for c, v := range root {
			v = float32(v * each) // the conversion keeps v + epsilon from being fused
			words[c], words[l.channels+c] = int32(math.Float32bits(mean[c])), int32(math.Float32bits(v))
			root[c] = 1 / float32(math.Sqrt(float64(v+l.epsilon)))
		}
		scale, shift := p.Scratch()[:l.channels], p.Scratch()[l.channels:2*l.channels]
		for c := range scale {
			scale[c], shift[c] = root[c]*weight[c], -bias[c]
		}
		l.affine(y, centred, n, scale, shift)
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
	l.affine(p.Y(), p.X(0), p.Rows(), scale, shift)
}

// Backward is, with the sums over the n elements of a channel in a lane and
// xhat = (x - mean) / deviation,
//
//	db = sum(dy)    dw = sum(dy*xhat)
//	dx = weight/deviation * (dy - db/n - xhat*dw/n)
func (l batchNorm) Backward(p *Pass) {
	if !p.Training() {
		l.backwardApplied(p)
		return
	}
	weight, dx := p.Param(0), p.DX(0)
	for i := range p.LaneCount() {
		from, to := p.Lane(i)
		if from == to {
			continue
		}
		n := to - from
		dy, centred := l.rows(p.DY(), from, to), l.rows(p.Keep(0), from, to)
		db, root := p.KeepLane(0, i), p.KeepLane(1, i)
		dw := p.Scratch()[:l.channels]
		l.sums(p, db, dy, n)
		l.dots(p, dw, dy, centred, n)
		for c := range dw {
			dw[c] *= root[c]
		}
		p.Engine().AddLane(p.Grad(0), i, dw)
		p.Engine().AddLane(p.Grad(1), i, db)
		if dx == nil {
			continue
		}
		each := 1 / float32(n*l.plane)
		a, b, shift := p.Scratch()[l.channels:2*l.channels], p.Scratch()[:l.channels], p.Scratch()[2*l.channels:3*l.channels]
		for c := range a {
			a[c] = weight[c] * root[c]
			shift[c] = float32(a[c]*db[c]) * each
			b[c] = float32(float32(a[c]*root[c])*dw[c]) * each
		}
		l.combine(l.rows(dx, from, to), dy, centred, n, a, b, shift)
	}
}

// backwardApplied goes back through fixed statistics.
func (l batchNorm) backwardApplied(p *Pass) {
	dx := p.DX(0)
	if dx == nil {
		return
	}
	scale, zeros := p.Scratch()[:l.channels], p.Scratch()[l.channels:2*l.channels]
	clear(zeros)
	for c, v := range p.Buffer(1) {
		scale[c] = p.Param(0)[c] / float32(math.Sqrt(float64(v+l.epsilon)))
	}
	l.affine(dx, p.DY(), p.Rows(), scale, zeros)
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

// sums sets dst to the sum of every channel over n records. Planes are summed by
// the fixed tree, then added record by record.
func (l batchNorm) sums(p *Pass, dst, x []float32, n int) {
	clear(dst)
	planes := p.Scratch()[3*l.channels : 4*l.channels]
	for r := range n {
		x := x[r*l.channels*l.plane:][:l.channels*l.plane]
		if l.plane > 1 {
			p.Engine().RowSums(planes, x, l.channels, l.plane)
			x = planes
		}
		p.Engine().Add(dst, dst, x)
	}
}

// dots sets dst to the sum of x*y of every channel over n records.
func (l batchNorm) dots(p *Pass, dst, x, y []float32, n int) {
	clear(dst)
	for r := range n {
		for c := range dst {
			at := (r*l.channels + c) * l.plane
			if l.plane == 1 {
				dst[c] += float32(x[at] * y[at])
			} else {
				dst[c] += p.Engine().Dot(x[at:][:l.plane], y[at:][:l.plane])
			}
		}
	}
}

// affine sets y to x*scale - shift, channel by channel; a nil scale is 1.
func (l batchNorm) affine(y, x []float32, n int, scale, shift []float32) {
	for r := range n {
		for c, s := range shift {
			at := (r*l.channels + c) * l.plane
			x, y := x[at:][:l.plane], y[at:][:l.plane]
			if scale == nil {
				for i, v := range x {
					y[i] = v - s
				}
				continue
			}
			k := scale[c]
			for i, v := range x {
				y[i] = float32(v*k) - s
			}
		}
	}
}

// combine sets dx to a*dy - b*x - shift, channel by channel.
func (l batchNorm) combine(dx, dy, x []float32, n int, a, b, shift []float32) {
	for r := range n {
		for c, s := range shift {
			at := (r*l.channels + c) * l.plane
			dx, dy, x := dx[at:][:l.plane], dy[at:][:l.plane], x[at:][:l.plane]
			ka, kb := a[c], b[c]
			for i, v := range dy {
				dx[i] = float32(float32(ka*v)-float32(kb*x[i])) - s
			}
		}
	}
}
