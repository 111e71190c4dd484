package tensor

import "math"

// Grad is where the gradient of one parameter is added up over lanes. Exactly
// one of Float and Int is set.
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

// GemmLanes adds the product of the transposed A (R, m) and B (R, n) to dst
// (m, n), for each lane i over its rows rows[i] to rows[i+1]. A chain runs over
// the rows, ascending.
func (e *Engine) GemmLanes(dst *Grad, a, b []float32, m, n int, rows []int) {
	last := rows[len(rows)-1]
	need("GemmLanes", "a", len(a), last*m)
	need("GemmLanes", "b", len(b), last*n)
	if dst.Float != nil {
		e.Gemm(dst.Float, a[rows[0]*m:], b[rows[0]*n:], Gemm{M: m, N: n, K: last - rows[0], TransA: true, Accumulate: true})
		return
	}
	e.gemmLanes(dst, a, b, m, n, rows)
}

// ColSumLanes adds the column sums of each lane's rows of x (R, n). A chain of
// additions runs over the rows, ascending, from +0 (fast: from dst).
func (e *Engine) ColSumLanes(dst *Grad, x []float32, n int, rows []int) {
	e.lanes(dst, n, rows, func(g []float32, from, to int) {
		for r := from; r < to; r++ {
			for j, v := range x[r*n:][:n] {
				g[j] += v
			}
		}
	})
}

// lanes calls add for each lane with a buffer of zeros of n elements and adds
// the buffer as the lane's gradient. In fast arithmetic add is called once, for
// all lanes, with the gradient itself.
func (e *Engine) lanes(dst *Grad, n int, rows []int, add func(g []float32, from, to int)) {
	if dst.Float != nil {
		add(dst.Float[:n], rows[0], rows[len(rows)-1])
		return
	}
	e.lane = grow(e.lane, n)
	g := e.lane[:n]
	for i := range len(rows) - 1 {
		clear(g)
		add(g, rows[i], rows[i+1])
		e.AddLane(dst, i, g)
	}
}

// AddLane adds g, the whole gradient of one lane, to dst.
func (e *Engine) AddLane(dst *Grad, lane int, g []float32) {
	if dst.Float != nil {
		e.Add(dst.Float[:len(g)], dst.Float[:len(g)], g)
		return
	}
	need("AddLane", "dst", len(dst.Int), len(g))
	top := math.Float32bits(dst.Max[lane])
	for i, v := range g {
		top = max(top, math.Float32bits(v)&^(1<<31))
		dst.Int[i] += roundInt(v * dst.Scale)
	}
	dst.Max[lane] = math.Float32frombits(top)
}

// roundInt rounds to the nearest int32, ties to even; -2^31 if there is none.
func roundInt(v float32) int32 {
	if !(v >= -1<<31 && v < 1<<31) {
		return math.MinInt32
	}
	return int32(math.RoundToEven(float64(v)))
}

// Dequantise sets dst to float32(q) * scale: the integer is rounded to the
// nearest float32, ties to even, then multiplied.
func (e *Engine) Dequantise(dst []float32, q []int32, scale float32) {
	need("Dequantise", "q", len(q), len(dst))
	for i := range dst {
		dst[i] = float32(q[i]) * scale
	}
}
