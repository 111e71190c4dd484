package tensor

const (
	// A C of so many elements stays in the first cache, whose rows are written vector by
	// vector of columns here; twice as much is worth it if it saves a copy of B, turned.
	heldC = 1 << 13
	// So few ks of a B that is turned, at once or at twice; the others at once.
	heldK = 16
)

// held is whether it is best to hold what a vector of columns needs of B in registers
// while the rows of A pass by: if ks are few, or if rows and columns are and B would be
// turned. One row is better off with wide tiles if B is not turned.
func (p *product) held(k *kernels, rows, cols int) bool {
	if len(k.held[0]) == 0 || p.k == 0 || cols < k.width || p.aCol != 1 || p.rowBias != nil || p.taps != nil || p.packed != nil {
		return false
	}
	if p.bCol == 1 {
		return p.k <= k.width && rows > 1 && rows*cols <= heldC
	}
	return p.bRow == 1 && (p.k <= heldK && rows*cols <= 2*heldC || rows <= k.width && cols < turnedColumns)
}

// multiplyHeld computes whole vectors of columns. The last columns overlap those before
// them, unless their chains go on from C: then what is left is done as for others.
func (w *worker) multiplyHeld(p *product, i0, i1, j0, j1 int) {
	width := w.k.width
	w.heldPanels(p, i0, i1, j0, (j1-j0)/width)
	switch rest := (j1 - j0) % width; {
	case rest > 0 && p.load:
		w.multiplyBlocks(p, i0, i1, j1-rest, j1)
	case rest > 0:
		w.heldPanels(p, i0, i1, j1-width, 1)
	}
}

// heldPanels computes so many vectors of columns from column j on, as many ks at a time
// as are held.
func (w *worker) heldPanels(p *product, i0, i1, j, panels int) {
	t, width, kernels, next := &w.t, w.k.width, w.k.held[0], 1
	t.bRow = uintptr(4 * p.bRow)
	if p.bCol != 1 {
		kernels, next, t.bRow = w.k.held[1], p.bCol, uintptr(4*p.bCol)
	}
	t.aRow, t.bNext, t.cNext, t.colBiasNext = uintptr(4*p.aRow), uintptr(4*width*next), uintptr(4*width), uintptr(4*width)
	t.k, t.panels, t.c, t.colBias, t.relu = i1-i0, panels, pointer(p.c, i0*p.cRow+j), nil, 0
	for k0 := 0; k0 < p.k; k0 += len(kernels) {
		ks := min(p.k-k0, len(kernels))
		if k0+ks == p.k {
			t.colBias, t.relu = pointer(p.colBias, j), flag(p.relu)
		}
		t.load, t.mask = flag(p.load || k0 > 0), w.k.masks8[ks%4]
		t.a, t.b = pointer(p.a, i0*p.aRow+k0), pointer(p.b, j*next+k0*p.bRow)
		kernels[ks-1](t)
	}
}
