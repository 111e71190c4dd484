package tensor

import "math"

// Grad is where the gradient of one parameter is added up over lanes. One of
// Float and Int is set; with neither nothing is computed.
//
//	fast   Float += g, the local lanes merged into one chain
//	exact  Int   += round(g*Scale) for each lane by itself, to nearest, ties to
//	       even; a product outside of int32 counts as -2^31
//
// The integers of lanes may be added in any order, so it does not matter who
// owns which lane.
type Grad struct {
	Float []float32
	Int   []int32
	Scale float32 // exact: a power of two
	// Max has one element for each local lane and is raised to max|g| of the
	// lane. A NaN counts as greater than Inf, and stays.
	Max []float32
}

func (g *Grad) none() bool { return g.Float == nil && g.Int == nil }

// GemmLanes adds the product of the transposed A (R, m) and B (R, n) to dst
// (m, n), for each lane i over its rows rows[i] to rows[i+1]. A chain runs over
// the rows, ascending.
func (e *Engine) GemmLanes(dst *Grad, a, b []float32, m, n int, rows []int) {
	last := laneRows("GemmLanes", rows)
	if dst.none() {
		return
	}
	need("GemmLanes", "a", len(a), volume("GemmLanes", last, m))
	need("GemmLanes", "b", len(b), volume("GemmLanes", last, n))
	dst.check("GemmLanes", volume("GemmLanes", m, n), len(rows)-1, a[:last*m], b[:last*n])
	if dst.Float != nil {
		e.Gemm(dst.Float, a[rows[0]*m:], b[rows[0]*n:], Gemm{M: m, N: n, K: last - rows[0], TransA: true, Accumulate: true})
		return
	}
	e.gemmLanes(dst, a, b, m, n, rows)
}

// Reductions of lanes are computed lane by lane into a buffer of zeros, which is
// then added as the lane's gradient. In fast arithmetic there is one round for
// all lanes, which goes on from the gradient itself.
//
//	for i := range e.laneCount(dst, rows) {
//		g, from, to := e.laneBuffer(dst, n, rows, i)
//		… g += rows from to to …
//		e.endLane(dst, i, g)
//	}

func (e *Engine) laneCount(dst *Grad, rows []int) int {
	if dst.none() {
		return 0
	}
	if dst.Float != nil {
		return 1
	}
	return len(rows) - 1
}

func (e *Engine) laneBuffer(dst *Grad, n int, rows []int, i int) (g []float32, from, to int) {
	if dst.Float != nil {
		return dst.Float[:n], rows[0], rows[len(rows)-1]
	}
	e.lane = grow(e.lane, n)
	clear(e.lane[:n])
	return e.lane[:n], rows[i], rows[i+1]
}

func (e *Engine) endLane(dst *Grad, i int, g []float32) {
	if dst.Float == nil {
		e.AddLane(dst, i, g)
	}
}

// AddLane adds g, the whole gradient of one lane, to dst.
func (e *Engine) AddLane(dst *Grad, lane int, g []float32) {
	if lane < 0 {
		fail("AddLane", "there is no lane %d", lane)
	}
	dst.check("AddLane", len(g), lane+1, g)
	if dst.Float != nil {
		e.Add(dst.Float[:len(g)], dst.Float[:len(g)], g)
		return
	}
	if dst.none() {
		return
	}
	top := math.Float32bits(dst.Max[lane])
	top = e.pool.workers[0].quantise(dst.Int[:len(g)], g, dst.Scale, top)
	dst.Max[lane] = math.Float32frombits(top)
}

// quantise adds round(g*scale) to dst and returns the greatest of top and the
// bits of |g|.
func (w *worker) quantise(dst []int32, g []float32, scale float32, top uint32) uint32 {
	v := w.aimVec(len(g))
	v.p, v.x, v.y, v.s0 = start(dst), start(dst), start(g), bits(scale)
	v.part0 = [sums]float32{}
	w.k.opQuantise(v)
	for _, p := range v.part0 {
		top = max(top, math.Float32bits(p))
	}
	return top
}

// Dequantise sets dst to float32(q) * scale: the integer is rounded to the
// nearest float32, ties to even, then multiplied.
func (e *Engine) Dequantise(dst []float32, q []int32, scale float32) {
	need("Dequantise", "q", len(q), len(dst))
	e.args(dst, floats(q)).s0 = bits(scale)
	e.each(e.k.opFromInt)
}
