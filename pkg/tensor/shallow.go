package tensor

const (
	// So few ks,
	shallowK = 128
	// or so few if B is turned, or if there are at most so many rows,
	shallowFew  = 32
	shallowRows = 4
	// of so many panels of B or more.
	shallowPanels = 4
)

// shallow is whether ks are so few that it is C that passes by: it is written best row
// by row.
func (p *product) shallow(k *kernels, rows int) bool {
	return (p.k <= shallowFew || p.k <= shallowK && p.bCol == 1 && rows > shallowRows) && p.n >= shallowPanels*k.panel() && p.taps == nil
}

// multiplyShallow goes through all ks at once, and through many panels of B in one
// kernel: for blocks of A and B that stay in the caches.
func (w *worker) multiplyShallow(p *product, i0, i1, j0, j1 int) {
	w.depth(p, 0, 1)
	direct := p.direct(w.k, i1-i0)
	for i := i0; i < i1; i += blockRows {
		rows := min(blockRows, i1-i)
		src := w.packA(p, i, rows, 0)
		for j := j0; j < j1; {
			vecs, cols := w.aimAlong(p, direct, rows, j, min(blockN, j1-j))
			w.sideBySide(p, src, vecs, i, rows, j)
			j += cols
		}
	}
}

// aimAlong points the tile at panels from column j on, of cols columns at most, and
// returns the vectors of a panel and the columns of all.
func (w *worker) aimAlong(p *product, direct bool, rows, j, cols int) (vecs, all int) {
	t := &w.t
	vecs = min(blocksOf(cols, w.k.width), len(w.k.tile))
	if direct && rows <= len(w.k.wide) && cols >= w.k.panel() {
		vecs, _ = w.k.widest(rows, cols/w.k.width, true)
	}
	panel := vecs * w.k.width
	t.panels = max(cols/panel, 1)
	cols = min(t.panels*panel, cols)
	w.width(cols)
	if direct && t.mask == nil {
		t.b, t.bRow, t.bNext = pointer(p.b, j), uintptr(4*p.bRow), uintptr(4*panel)
		return vecs, cols
	}
	if p.packed == nil {
		w.packB(p, 0, p.k, j, j+cols)
	}
	w.aimB(p, 0, vecs, 0, j)
	t.bNext = uintptr(4 * panel * p.k)
	return vecs, cols
}

// sideBySide runs the kernels for panels of B that lie side by side, row by row of
// panels of A.
func (w *worker) sideBySide(p *product, src source, vecs, i, rows, j int) {
	t := &w.t
	t.cNext = uintptr(4 * vecs * w.k.width)
	t.colBias, t.colBiasNext, t.rowBiasNext = pointer(p.colBias, j), t.cNext, 0
	for _, g := range groups(rows, w.k.rows) {
		for n := range g.panels {
			first := g.first + n*g.rows
			w.aim(src, g.rows, first)
			t.aNext, t.rowBias = 0, pointer(p.rowBias, i+first)
			t.c = pointer(p.c, (i+first)*p.cRow+j)
			_, kernel := w.k.widest(g.rows, vecs, vecs > len(w.k.tile))
			kernel(t)
		}
	}
}
