package tensor

// Conv describes a two-dimensional convolution (a cross-correlation):
//
//	x, dx  (N, InC, H, W)       w, dw  (OutC, InC/Groups, KH, KW)
//	y, dy  (N, OutC, OH, OW)    b, db  (OutC)
//
// A zero StrideH, StrideW, DilH, DilW or Groups counts as 1.
type Conv struct {
	N, InC, H, W     int
	OutC, KH, KW     int
	StrideH, StrideW int
	PadH, PadW       int
	DilH, DilW       int
	Groups           int
}

// OutH is the height of the output.
func (c Conv) OutH() int { return outSize(c.H, c.KH, c.StrideH, c.PadH, c.DilH) }

// OutW is the width of the output.
func (c Conv) OutW() int { return outSize(c.W, c.KW, c.StrideW, c.PadW, c.DilW) }

func outSize(in, kernel, stride, pad, dil int) int {
	return (in+2*pad-max(dil, 1)*(kernel-1)-1)/max(stride, 1) + 1
}

func (c Conv) full() Conv {
	c.StrideH, c.StrideW = max(c.StrideH, 1), max(c.StrideW, 1)
	c.DilH, c.DilW, c.Groups = max(c.DilH, 1), max(c.DilW, 1), max(c.Groups, 1)
	return c
}

// depth is the number of products of an element of y.
func (c Conv) depth() int { return c.InC / c.Groups * c.KH * c.KW }

func (c Conv) check(op string, x, y, w int) {
	need(op, "x", x, c.N*c.InC*c.H*c.W)
	need(op, "y", y, c.N*c.OutC*c.OutH()*c.OutW())
	need(op, "w", w, c.OutC*c.depth())
}

// ConvForward computes y. Every element is one chain of fused multiply-adds over
// (input channel, kh, kw), ascending, from +0; taps in the padding multiply +0.
// Then comes bias, which may be nil, then act.
func (e *Engine) ConvForward(y, x, w, bias []float32, c Conv, act Act) {
	c = c.full()
	c.check("ConvForward", len(x), len(y), len(w))
	if bias != nil {
		need("ConvForward", "bias", len(bias), c.OutC)
	}
	e.conv = convJob{plan: e.convPlan(c), kind: convForward, x: x, y: y, w: w, bias: bias, act: act}
	e.runConv(c.N)
}

// ConvBackwardInput computes dx. Every element is one chain of fused
// multiply-adds over (output channel, kh descending, kw descending), that is
// over dy ascending, from +0. Taps that fall between strides are left out; taps
// outside dy multiply +0.
func (e *Engine) ConvBackwardInput(dx, dy, w []float32, c Conv) {
	c = c.full()
	c.check("ConvBackwardInput", len(dx), len(dy), len(w))
	plan := e.convPlan(c)
	e.turned = grow(e.turned, c.OutC*c.depth())
	plan.turn(e.turned, w)
	e.conv = convJob{plan: plan, kind: convInput, x: dx, y: dy, w: e.turned}
	e.runConv(c.N)
}

// ConvBackwardWeightLanes adds the gradient of w; rows are the images of the
// lanes. A chain of fused multiply-adds runs over (image, oh, ow), ascending;
// taps in the padding multiply +0.
func (e *Engine) ConvBackwardWeightLanes(dst *Grad, x, dy []float32, c Conv, rows []int) {
	c = c.full()
	c.N = rows[len(rows)-1]
	c.check("ConvBackwardWeightLanes", len(x), len(dy), c.OutC*c.depth())
	if dst.none() {
		return
	}
	e.convWeight(dst, x, dy, c, rows)
}

// ConvBiasLanes adds the gradient of the bias: for each channel a chain of
// additions over the images, ascending, of sums of a plane, each in 16 strided
// partial sums.
func (e *Engine) ConvBiasLanes(dst *Grad, dy []float32, c Conv, rows []int) {
	c = c.full()
	plane := c.OutH() * c.OutW()
	need("ConvBiasLanes", "dy", len(dy), rows[len(rows)-1]*c.OutC*plane)
	w := e.pool.workers[0]
	for i := range e.laneCount(dst, rows) {
		g, from, to := e.laneBuffer(dst, c.OutC, rows, i)
		for n := from; n < to; n++ {
			for o := range g {
				g[o] += w.sum32(dy[(n*c.OutC+o)*plane:][:plane])
			}
		}
		e.endLane(dst, i, g)
	}
}
