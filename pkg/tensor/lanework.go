package tensor

import (
	"math"
	"unsafe"
)

// laneProduct is GemmLanes in exact arithmetic. Every tile runs through the
// lanes one after the other: its float32 sums become integers while they are
// still in registers.
type laneProduct struct {
	a, b  []float32 // from the first row of the first lane on
	c     []int32
	m, n  int
	rows  int   // of all lanes
	sizes []int // rows of each lane
	scale float32

	byRows bool
	step   int
}

// parts cuts the product for so many threads.
func (p *laneProduct) parts(k *kernels, threads int) int {
	cut := product{m: p.m, n: p.n, k: p.rows}
	n := cut.parts(k, threads)
	p.byRows, p.step = cut.byRows, cut.step
	return n
}

func (p *laneProduct) part(w *worker, i int) {
	i0, i1, j0, j1 := 0, p.m, 0, p.n
	if p.byRows {
		i0, i1 = i*p.step, min((i+1)*p.step, p.m)
	} else {
		j0, j1 = i*p.step, min((i+1)*p.step, p.n)
	}
	for l := 0; l < len(p.sizes); {
		g := p.group(l)
		p.lanesOf(w, g, i0, i1, j0, j1)
		l = g.to
	}
}

// laneGroup is lanes whose rows are worked on together.
type laneGroup struct {
	from, to    int // lanes
	first, rows int // rows of A and B
}

// laneDepth is the number of rows of A and B that are worked on at once, if lanes
// are smaller: deep enough that C is not read and written all the time, and such
// that a panel of B fits into the first cache.
const laneDepth = 384

// group is the run of lanes that begins with one.
func (p *laneProduct) group(lane int) laneGroup {
	g := laneGroup{from: lane, to: lane + 1, rows: p.sizes[lane]}
	for _, n := range p.sizes[:lane] {
		g.first += n
	}
	for g.to < len(p.sizes) && g.rows+p.sizes[g.to] <= laneDepth {
		g.rows += p.sizes[g.to]
		g.to++
	}
	return g
}

// lanesOf adds rows i0 to i1 and columns j0 to j1 of the products of some lanes.
func (p *laneProduct) lanesOf(w *worker, g laneGroup, i0, i1, j0, j1 int) {
	if g.rows == 0 {
		return
	}
	// The blocks take at most 4 MiB of B, so that A is packed once, and 256 KiB of A.
	cols := max(1<<20/g.rows/w.k.panel(), 1) * w.k.panel()
	rows := max(1<<16/g.rows/w.k.rows, 1) * w.k.rows
	view := &product{n: p.n, a: p.a[g.first*p.m:], b: p.b[g.first*p.n:], aRow: 1, aCol: p.m, bRow: p.n, bCol: 1}
	w.t.k = g.rows
	w.t.laneSize, w.t.lanes, w.t.laneMax = unsafe.Pointer(&p.sizes[g.from]), g.to-g.from, unsafe.Pointer(&w.tops[g.from*laneWidth])
	direct := i1-i0 <= 2*w.k.rows // not worth a copy of B
	if direct {
		cols = p.n
	}
	for j := j0; j < j1; j += cols {
		n := min(cols, j1-j)
		if !direct {
			w.packB(view, 0, g.rows, j, j+n)
		}
		for i := i0; i < i1; i += rows {
			w.laneBlock(p, view, i, min(rows, i1-i), j, n, direct)
		}
	}
}

// laneBlock computes one block of rows for all panels of B, or for B where it is.
func (w *worker) laneBlock(p *laneProduct, view *product, i, rows, j, cols int, direct bool) {
	t := &w.t
	src := w.packA(view, i, rows, 0)
	view.c = unsafe.Slice((*float32)(unsafe.Pointer(&p.c[0])), len(p.c))
	view.cRow, t.cRow = p.n, uintptr(4*p.n)
	t.abs, t.scale = 1<<31-1, uint64(math.Float32bits(p.scale))
	for at := 0; at < cols; at += w.k.panel() {
		vecs := w.width(min(w.k.panel(), cols-at))
		switch {
		case direct && t.mask == nil:
			t.bRow, t.b = uintptr(4*p.n), pointer(view.b, j+at)
		case direct:
			w.packB(view, 0, t.k, j+at, j+cols)
			w.aimB(view, 0, vecs, 0, 0)
		default:
			w.aimB(view, at, vecs, 0, 0)
		}
		w.tiles(view, src, w.k.lane[vecs-1], i, rows, j+at, false)
	}
}

// laneWidth is the number of partial maxima of a lane.
const laneWidth = 16

// clearTops gets the partial maxima of n lanes ready.
func (w *worker) clearTops(n int) {
	if cap(w.tops) < (n+1)*laneWidth {
		w.tops = make([]uint32, (n+1)*laneWidth)
	}
	w.tops = w.tops[:(n+1)*laneWidth]
	clear(w.tops)
}

// mergeTops raises the maxima of lanes to what all workers have seen.
func (e *Engine) mergeTops(top []float32) {
	for i := range top {
		t := math.Float32bits(top[i])
		for _, w := range e.pool.workers {
			for _, v := range w.tops[i*laneWidth : (i+1)*laneWidth] {
				t = max(t, v)
			}
		}
		top[i] = math.Float32frombits(t)
	}
}

// gemmLanes is GemmLanes in exact arithmetic.
func (e *Engine) gemmLanes(dst *Grad, a, b []float32, m, n int, rows []int) {
	lanes := len(rows) - 1
	p := &e.laneProduct
	*p = laneProduct{a: a[rows[0]*m:], b: b[rows[0]*n:], c: dst.Int, m: m, n: n, rows: rows[lanes] - rows[0], scale: dst.Scale, sizes: p.sizes[:0]}
	if p.rows == 0 || m*n == 0 {
		return
	}
	for i := range lanes {
		p.sizes = append(p.sizes, rows[i+1]-rows[i])
	}
	for _, w := range e.pool.workers {
		w.clearTops(lanes)
	}
	e.pool.run(p, p.parts(e.k, e.threads))
	e.mergeTops(dst.Max[:lanes])
	*p = laneProduct{sizes: p.sizes}
}
