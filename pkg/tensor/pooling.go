package tensor

import "math"

// Pool describes windows over the planes of x (N, C, H, W); y is (N, C, OH, OW).
// A zero stride counts as 1. Padding is narrower than the window.
type Pool struct {
	N, C, H, W       int
	KH, KW           int
	StrideH, StrideW int
	PadH, PadW       int
}

// OutH is the height of the output.
func (p Pool) OutH() int { return outSize(p.H, p.KH, p.StrideH, p.PadH, 1) }

// OutW is the width of the output.
func (p Pool) OutW() int { return outSize(p.W, p.KW, p.StrideW, p.PadW, 1) }

// full is p without zeros that count as 1.
func (p Pool) full() Pool {
	if p.StrideH == 0 {
		p.StrideH = 1
	}
	if p.StrideW == 0 {
		p.StrideW = 1
	}
	return p
}

// check panics unless there are such windows, each with an element of the plane,
// and so many elements.
func (p Pool) check(op string, x, y []float32, argmax int) {
	p = p.full()
	positive(op, p.C, p.H, p.W, p.KH, p.KW, p.StrideH, p.StrideW)
	volume(op, p.N, p.PadH, p.PadW)
	if p.PadH >= p.KH || p.PadW >= p.KW {
		fail(op, "padding of %d x %d is as wide as the window of %d x %d", p.PadH, p.PadW, p.KH, p.KW)
	}
	if p.OutH() < 1 || p.OutW() < 1 {
		fail(op, "a window of %d x %d does not fit into %d x %d", p.KH, p.KW, p.H+2*p.PadH, p.W+2*p.PadW)
	}
	in, out := volume(op, p.N, p.C, p.H, p.W), volume(op, p.N, p.C, p.OutH(), p.OutW())
	need(op, "x", len(x), in)
	need(op, "y", len(y), out)
	need(op, "argmax", argmax, out)
	if overlap(x[:in], y[:out]) {
		fail(op, "x and y share memory")
	}
}

// whole is whether the windows are 2 by 2 at stride 2 without padding, for which
// there are kernels.
func (p Pool) whole() bool {
	return p.KH == 2 && p.KW == 2 && p.StrideH == 2 && p.StrideW == 2 && p.PadH == 0 && p.PadW == 0
}

// poolJob is a pass of pooling; its parts are runs of planes.
type poolJob struct {
	Pool
	plane    func(j *poolJob, w *worker, x, y []float32, argmax []int32)
	x, y     []float32
	argmax   []int32
	outH     int
	outW     int
	step     int
	quotient float32 // of a mean
}

func (e *Engine) pooled(p Pool, x, y []float32, argmax []int32, plane func(j *poolJob, w *worker, x, y []float32, argmax []int32)) {
	p = p.full()
	j := &e.poolJob
	*j = poolJob{Pool: p, plane: plane, x: x, y: y, argmax: argmax, outH: p.OutH(), outW: p.OutW(), quotient: 1 / float32(p.KH*p.KW)}
	planes := p.N * p.C
	parts := max(min(e.threads, planes*p.H*p.W/eachPart), 1)
	j.step = max((planes+parts-1)/parts, 1)
	e.pool.run(j, (planes+j.step-1)/j.step)
	*j = poolJob{}
}

func (j *poolJob) part(w *worker, i int) {
	in, out := j.H*j.W, j.outH*j.outW
	for p := i * j.step; p < min((i+1)*j.step, j.N*j.C); p++ {
		var argmax []int32
		if j.argmax != nil {
			argmax = j.argmax[p*out:][:out]
		}
		j.plane(j, w, j.x[p*in:][:in], j.y[p*out:][:out], argmax)
	}
}

// window is the part of a plane that output element (h, w) covers.
func (j *poolJob) window(h, w int) (h0, h1, w0, w1 int) {
	h0, w0 = h*j.StrideH-j.PadH, w*j.StrideW-j.PadW
	return max(h0, 0), min(h0+j.KH, j.H), max(w0, 0), min(w0+j.KW, j.W)
}

// MaxPoolForward sets y to the greatest element of every window and argmax to
// its place in its plane, h*W + w. The first of equal ones counts; a NaN counts
// as the greatest.
func (e *Engine) MaxPoolForward(y []float32, argmax []int32, x []float32, p Pool) {
	p.check("MaxPoolForward", x, y, len(argmax))
	plane := maxPlane
	if p.whole() {
		plane = maxPlaneWhole
	}
	e.pooled(p, x, y, argmax, plane)
}

func maxPlane(j *poolJob, _ *worker, x, y []float32, argmax []int32) {
	for i := range y {
		h0, h1, w0, w1 := j.window(i/j.outW, i%j.outW)
		best, where := float32(math.Inf(-1)), h0*j.W+w0
		for h := h0; h < h1; h++ {
			for at, v := range x[h*j.W+w0 : h*j.W+w1] {
				if v > best || v != v && best == best {
					best, where = v, h*j.W+w0+at
				}
			}
		}
		y[i], argmax[i] = best, int32(where)
	}
}

func maxPlaneWhole(j *poolJob, w *worker, x, y []float32, argmax []int32) {
	for h := range j.outH {
		first := 2 * h * j.W
		v := w.aimVec(j.outW)
		v.x, v.y = start(x[first:]), start(x[first+j.W:])
		v.p, v.q = start(y[h*j.outW:]), start(argmax[h*j.outW:])
		v.s0, v.s1 = uint64(first), uint64(j.W)
		w.k.opMaxPool(v)
	}
}

// MaxPoolBackward sets dx: every element of dy is added to where the maximum of
// its window was, windows ascending. Windows of 2 by 2 at stride 2 without padding
// do not overlap; there it is put in place, and a -0 stays one.
func (e *Engine) MaxPoolBackward(dx, dy []float32, argmax []int32, p Pool) {
	p.check("MaxPoolBackward", dx, dy, len(argmax))
	plane := maxPlaneBack
	if p.whole() {
		plane = maxPlaneBackWhole
	}
	e.pooled(p, dx, dy, argmax, plane)
}

func maxPlaneBack(_ *poolJob, _ *worker, dx, dy []float32, argmax []int32) {
	clear(dx)
	for i, v := range dy {
		dx[argmax[i]] += v
	}
}

func maxPlaneBackWhole(j *poolJob, w *worker, dx, dy []float32, argmax []int32) {
	if j.W%2 == 1 || j.H%2 == 1 {
		clear(dx)
	}
	for h := range j.outH {
		first := 2 * h * j.W
		v := w.aimVec(j.outW)
		v.x, v.y = start(dy[h*j.outW:]), start(argmax[h*j.outW:])
		v.p, v.q = start(dx[first:]), start(dx[first+j.W:])
		v.s0, v.s1 = uint64(first), uint64(j.W)
		w.k.opMaxPoolBack(v)
	}
}

// AvgPoolForward sets y to the sum of every window, added up in order, times
// 1/(KH*KW); padding counts as zeros.
func (e *Engine) AvgPoolForward(y, x []float32, p Pool) {
	p.check("AvgPoolForward", x, y, math.MaxInt)
	plane := avgPlane
	if p.whole() {
		plane = avgPlaneWhole
	}
	e.pooled(p, x, y, nil, plane)
}

func avgPlane(j *poolJob, _ *worker, x, y []float32, _ []int32) {
	for i := range y {
		h0, h1, w0, w1 := j.window(i/j.outW, i%j.outW)
		var s float32
		for h := h0; h < h1; h++ {
			for _, v := range x[h*j.W+w0 : h*j.W+w1] {
				s += v
			}
		}
		y[i] = s * j.quotient
	}
}

func avgPlaneWhole(j *poolJob, w *worker, x, y []float32, _ []int32) {
	for h := range j.outH {
		first := 2 * h * j.W
		v := w.aimVec(j.outW)
		v.x, v.y, v.p = start(x[first:]), start(x[first+j.W:]), start(y[h*j.outW:])
		w.k.opAvgPool(v)
	}
}

// AvgPoolBackward sets dx: every element of dy, times 1/(KH*KW), is added to all
// of its window, windows ascending.
func (e *Engine) AvgPoolBackward(dx, dy []float32, p Pool) {
	p.check("AvgPoolBackward", dx, dy, math.MaxInt)
	e.pooled(p, dx, dy, nil, avgPlaneBack)
}

func avgPlaneBack(j *poolJob, _ *worker, dx, dy []float32, _ []int32) {
	clear(dx)
	for i := range dy {
		v := float32(dy[i] * j.quotient)
		h0, h1, w0, w1 := j.window(i/j.outW, i%j.outW)
		for h := h0; h < h1; h++ {
			row := dx[h*j.W+w0 : h*j.W+w1]
			for at := range row {
				row[at] += v
			}
		}
	}
}
