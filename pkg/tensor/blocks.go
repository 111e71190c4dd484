package tensor

import "unsafe"

const (
	// Many rows: a block of B, 1 MiB, stays in the second cache while panels of A,
	// each in the first cache, pass by.
	blockK = 512
	blockN = 512
	// Few rows: a block of A stays in the second cache while panels of B pass by.
	fewRows  = 192
	fewRowsK = 1024
	// A row or two of A are not worth a copy of a transposed B.
	turnedRows = 2
	rowColumns = 32
)

// multiply computes rows i0 to i1 and columns j0 to j1 of C.
func (w *worker) multiply(p *product, i0, i1, j0, j1 int) {
	w.t.cRow = uintptr(4 * p.cRow)
	switch {
	case i1-i0 <= turnedRows && p.k >= 8 && p.bCol != 1 && p.bRow == 1 && p.taps == nil && p.packed == nil && w.k.row != nil:
		w.multiplyTurned(p, i0, i1, j0, j1)
	case i1-i0 <= fewRows:
		w.multiplyFew(p, i0, i1-i0, j0, j1)
	default:
		w.multiplyMany(p, i0, i1, j0, j1)
	}
	w.ahead(nil, 0, 0, 0)
	p.activate(w, i0, i1, j0, j1)
}

// depthBlocks is the number of blocks of k.
func depthBlocks(k, most int) int { return max(1, (k+most-1)/most) }

// depth gets the tile ready for block b of so many of k, and returns where it
// begins.
func (w *worker) depth(p *product, b, blocks int) (k0 int, last bool) {
	k0, last = p.k*b/blocks, b == blocks-1
	w.t.k = p.k*(b+1)/blocks - k0
	w.t.load, w.t.relu = flag(p.load || b > 0), flag(p.relu && last)
	return k0, last
}

func flag(b bool) int {
	if b {
		return 1
	}
	return 0
}

// multiplyMany goes through many rows panel by panel.
func (w *worker) multiplyMany(p *product, i0, i1, j0, j1 int) {
	blocks := depthBlocks(p.k, blockK)
	for j := j0; j < j1; j += blockN {
		cols := min(blockN, j1-j)
		for b := range blocks {
			k0, last := w.depth(p, b, blocks)
			w.b = grow(w.b, cols*w.t.k)
			high, few := w.heights(i1 - i0)
			for i, rows := i0, high; i < i1; i += rows {
				if i-i0 == few*high {
					rows = high - 1
				}
				w.strip(p, i, rows, j, cols, k0, last, i == i0, i+rows == i1)
			}
		}
	}
}

// strip computes one panel of rows for all panels of B, while the next one comes
// into the cache. The first strip packs B.
func (w *worker) strip(p *product, i, rows, j, cols, k0 int, last, pack, final bool) {
	t, panel := &w.t, w.k.panel()
	w.aim(w.packPanel(p, i, rows, k0), rows, 0)
	t.panels, t.rowBias, t.colBias = 1, nil, nil
	if last {
		t.rowBias = pointer(p.rowBias, i)
	}
	steps := (cols + panel - 1) / panel
	for s := range steps {
		at := s * panel
		vecs := w.width(min(panel, cols-at))
		w.aimB(p, at, vecs, k0, j)
		if last {
			t.colBias = pointer(p.colBias, j+at)
		}
		t.c, t.cNext = pointer(p.c, i*p.cRow+j+at), uintptr(4*panel)
		if s == steps-1 {
			t.cNext = uintptr(4 * (rows*p.cRow - at))
		}
		switch {
		case pack && p.packed == nil:
			w.packPanelB(p, w.b[at*t.k:], k0, k0+t.k, j+at, min(j+at+panel, j+cols))
			w.aheadB(p, j+at+panel, min(panel, cols-at-panel), k0)
		case final:
			w.ahead(nil, 0, 0, 0)
		default:
			w.aheadA(p, i+rows, rows, k0, s, steps)
		}
		w.k.tile[vecs-1][rows-1](t)
	}
}

// aimB points the tile at the panel of the block that begins at column at.
func (w *worker) aimB(p *product, at, vecs, k0, j int) {
	wide := vecs * w.k.width
	w.t.bRow = uintptr(4 * wide)
	if p.packed != nil {
		w.t.b = pointer(p.packed, (j+at)*p.k+k0*wide)
	} else {
		w.t.b = pointer(w.b, at*w.t.k)
	}
}

// aheadA asks for part s of steps of the panel of A that is copied next.
func (w *worker) aheadA(p *product, i, rows, k0, s, steps int) {
	kn := w.t.k
	if p.aCol != 1 {
		from, to := kn*s/steps, kn*(s+1)/steps
		w.ahead(p.a, i*p.aRow+(k0+from)*p.aCol, (to-from)*p.aCol, p.aCol)
	} else if s < rows-1 {
		w.ahead(p.a, (i+s)*p.aRow+k0, kn, 32)
	} else {
		w.ahead(nil, 0, 0, 0)
	}
}

// ahead asks for n elements of s from one on, step by step.
func (w *worker) ahead(s []float32, from, n, step int) {
	t := &w.t
	t.ahead = pointer(s, from)
	if t.ahead == nil {
		t.ahead = unsafe.Pointer(t)
	}
	t.aheadEnd, t.aheadStep = uintptr(t.ahead)+uintptr(4*max(n-2*step, 0)), uintptr(4*step)
}

// multiplyTurned computes a row or two without a copy of B, which is stored
// transposed: 32 columns at once and a multiple of 8 of k. What is left, and what
// comes after the sums, is done as for few rows.
func (w *worker) multiplyTurned(p *product, i0, i1, j0, j1 int) {
	t, whole := &w.t, p.k/8*8
	last := j0 + (j1-j0)/rowColumns*rowColumns
	t.aCol, t.bRow, t.k, t.load = uintptr(4*p.aCol), uintptr(4*p.bCol), whole, flag(p.load)
	for j := j0; j < last; j += rowColumns {
		for i := i0; i < i1; i++ {
			t.a, t.b, t.c = pointer(p.a, i*p.aRow), pointer(p.b, j*p.bCol), pointer(p.c, i*p.cRow+j)
			w.k.row(t)
		}
	}
	rest := *p
	rest.k, rest.load = p.k-whole, true
	rest.a, rest.b = p.a[min(whole*p.aCol, len(p.a)):], p.b[min(whole, len(p.b)):]
	if rest.k > 0 || p.relu || p.colBias != nil || p.rowBias != nil {
		w.multiplyFew(&rest, i0, i1-i0, j0, last)
	}
	w.multiplyFew(p, i0, i1-i0, last, j1)
}

// multiplyFew goes through the panels of B, for a block of few rows.
func (w *worker) multiplyFew(p *product, i, rows, j0, j1 int) {
	t, panel := &w.t, w.k.panel()
	blocks := depthBlocks(p.k, fewRowsK)
	direct := p.bCol == 1 && p.taps == nil && rows <= 2*w.k.rows
	for b := range blocks {
		k0, last := w.depth(p, b, blocks)
		src, high, few := w.packA(p, i, rows, k0)
		for j := j0; j < j1; j += panel {
			n := min(panel, j1-j)
			vecs := w.width(n)
			switch {
			case p.packed == nil && direct && t.mask == nil:
				t.bRow = uintptr(4 * p.bRow)
				t.b = pointer(p.b, k0*p.bRow+j)
			default:
				if p.packed == nil {
					w.packB(p, k0, k0+t.k, j, j+n)
				}
				w.aimB(p, 0, vecs, k0, j)
			}
			w.aheadB(p, j+panel, min(panel, j1-j-panel), k0)
			t.colBias, t.rowBias = nil, nil
			if last {
				t.colBias = pointer(p.colBias, j)
			}
			w.tiles(p, src, w.k.tile[vecs-1], i, rows, j, high, few, last)
		}
	}
}

// aheadB asks for the panel of B of n columns that is read next.
func (w *worker) aheadB(p *product, j, n, k0 int) {
	kn := w.t.k
	switch {
	case p.taps != nil || n <= 0:
		w.ahead(nil, 0, 0, 0)
	case p.packed != nil:
		w.ahead(p.packed, j*p.k+k0*w.k.panel(), kn*w.k.panel(), 32)
	case p.bCol == 1:
		w.ahead(p.b, k0*p.bRow+j, kn*p.bRow, p.bRow)
	default:
		w.ahead(p.b, j*p.bCol+k0, (n-1)*p.bCol+kn, 32)
	}
}

// tiles runs the kernels for one panel of B: few panels of A of height high, and
// others that have one row less.
func (w *worker) tiles(p *product, src source, kernels []func(*tile), i, rows, col, high, few int, last bool) {
	t := &w.t
	first := i
	for _, g := range [2]struct{ panels, rows int }{{few, high}, {(rows - few*high) / max(high-1, 1), high - 1}} {
		if g.panels == 0 || g.rows == 0 {
			continue
		}
		w.aim(src, g.rows, first-i)
		if last && p.rowBias != nil {
			t.rowBias = pointer(p.rowBias, first)
		}
		t.panels = g.panels
		t.c = pointer(p.c, first*p.cRow+col)
		t.cNext = uintptr(g.rows) * t.cRow
		kernels[g.rows-1](t)
		first += g.panels * g.rows
	}
}

// heights cuts so many rows of A into panels: few of height high, and others
// that have one row less.
func (w *worker) heights(rows int) (high, few int) {
	panels := (rows + w.k.rows - 1) / w.k.rows
	high = (rows + panels - 1) / panels
	return high, rows - panels*(high-1)
}
