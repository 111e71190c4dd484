package tensor

import "math"

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

// outSize is 0 where the kernel does not fit.
func outSize(in, kernel, stride, pad, dil int) int {
	places := in + 2*pad - max(dil, 1)*(kernel-1)
	return (places + max(stride, 1) - 1) / max(stride, 1)
}

// full is c without zeros that count as 1.
func (c Conv) full() Conv {
	for _, p := range []*int{&c.StrideH, &c.StrideW, &c.DilH, &c.DilW, &c.Groups} {
		if *p == 0 {
			*p = 1
		}
	}
	return c
}

// depth is the number of products of an element of y.
func (c Conv) depth() int { return c.InC / c.Groups * c.KH * c.KW }

// maxImage is the most elements of a group of an image with its border, so that
// places in it fit into int32, in bytes.
const maxImage = 1 << 29

// check panics unless there is such a convolution, and so many elements.
func (c Conv) check(op string, x, y, w int) {
	positive(op, c.InC, c.OutC, c.H, c.W, c.KH, c.KW, c.StrideH, c.StrideW, c.DilH, c.DilW, c.Groups)
	volume(op, c.N, c.PadH, c.PadW)
	volume(op, c.DilH, c.KH)
	volume(op, c.DilW, c.KW)
	if c.InC%c.Groups != 0 || c.OutC%c.Groups != 0 {
		fail(op, "%d groups do not divide %d channels into %d", c.Groups, c.InC, c.OutC)
	}
	high, wide := c.H+2*c.PadH, c.W+2*c.PadW
	if c.OutH() < 1 || c.OutW() < 1 {
		fail(op, "taps of %d x %d, %d x %d apart, do not fit into %d x %d", c.KH, c.KW, c.DilH, c.DilW, high, wide)
	}
	// The image of dy has a border of a filter.
	image := volume(op, c.InC, high+c.StrideH, wide+c.StrideW)
	dy := volume(op, c.OutC, c.OutH()+2*c.DilH*c.KH, c.OutW()+2*c.DilW*c.KW)
	if max(image, dy)/c.Groups > maxImage {
		fail(op, "an image is too large")
	}
	need(op, "x", x, volume(op, c.N, c.InC, c.H, c.W))
	need(op, "y", y, volume(op, c.N, c.OutC, c.OutH(), c.OutW()))
	need(op, "w", w, volume(op, c.OutC, c.InC/c.Groups, c.KH, c.KW))
}

// size is the number of elements of x, y and w.
func (c Conv) size() (x, y, w int) {
	return c.N * c.InC * c.H * c.W, c.N * c.OutC * c.OutH() * c.OutW(), c.OutC * c.depth()
}

// ConvForward computes y. Every element is one chain of fused multiply-adds over
// (input channel, kh, kw), ascending, from +0; taps in the padding multiply +0.
// Then comes bias, which may be nil, then act.
func (e *Engine) ConvForward(y, x, w, bias []float32, c Conv, act Act) {
	c = c.full()
	c.check("ConvForward", len(x), len(y), len(w))
	act.check("ConvForward")
	if bias != nil {
		need("ConvForward", "bias", len(bias), c.OutC)
	}
	sizeX, sizeY, sizeW := c.size()
	apart("ConvForward", y[:sizeY], x[:sizeX], w[:sizeW], bias)
	if c.N == 0 {
		return
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
	sizeX, sizeY, sizeW := c.size()
	apart("ConvBackwardInput", dx[:sizeX], dy[:sizeY], w[:sizeW])
	if c.N == 0 {
		return
	}
	plan := e.convPlan(c)
	e.turned = grow(e.turned, c.OutC*c.depth())
	plan.turn(e.turned, w)
	e.conv = convJob{plan: plan, kind: convInput, x: dx, y: dy, w: e.turned}
	e.runConv(c.N)
}

// ConvBackwardWeightLanes adds the gradient of w; rows are the images of the
// lanes. A chain of fused multiply-adds runs over (image, oh, ow), ascending;
// taps in the padding multiply +0. But if a filter has less than 16 weights, and
// either a plane of dy 20 elements or more for each of them or a group less than 8
// filters, it is as for Gemm: a chain of additions over the images, ascending, of 16
// strided chains over (oh, ow) each, joined by halves. A plane of more than 1024
// elements is cut into the fewest runs of whole lines that have no more, or single
// lines: run i of n begins at line OH*i/n, rounded down. Longer lines are cut in the
// same way.
func (e *Engine) ConvBackwardWeightLanes(dst *Grad, x, dy []float32, c Conv, rows []int) {
	c = c.full()
	c.N = laneRows("ConvBackwardWeightLanes", rows)
	c.check("ConvBackwardWeightLanes", len(x), len(dy), math.MaxInt)
	sizeX, sizeY, sizeW := c.size()
	dst.check("ConvBackwardWeightLanes", sizeW, len(rows)-1, x[:sizeX], dy[:sizeY])
	if dst.none() || c.N == 0 {
		return
	}
	e.convWeight(dst, x, dy, c, rows)
}

// ConvBiasLanes adds the gradient of the bias: for each channel a chain of
// additions over the images, ascending, of sums of a plane, each in 16 strided
// partial sums.
func (e *Engine) ConvBiasLanes(dst *Grad, dy []float32, c Conv, rows []int) {
	c = c.full()
	c.N = laneRows("ConvBiasLanes", rows)
	c.check("ConvBiasLanes", math.MaxInt, len(dy), math.MaxInt)
	plane := c.OutH() * c.OutW()
	dst.check("ConvBiasLanes", c.OutC, len(rows)-1, dy[:c.N*c.OutC*plane])
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
