package tensor

// A C of so many elements stays in the first cache, whose rows are written vector by
// vector of columns here; twice as much is worth it if it saves a copy of B, turned.
const heldC = 1 << 13

// held is whether ks are so few that those of a vector of columns stay in registers
// while the rows of A pass by. One row is better off with wide tiles if B is not turned.
func (p *product) held(k *kernels, rows, cols int) bool {
	least, most := 2, heldC
	if p.bCol != 1 {
		least, most = 1, 2*heldC
	}
	return 0 < p.k && p.k <= len(k.held[0]) && rows >= least && cols >= k.width && rows*cols <= most &&
		p.aCol == 1 && p.rowBias == nil && p.taps == nil && p.packed == nil && (p.bCol == 1 || p.bRow == 1)
}

// multiplyHeld computes few ks. The last columns overlap those before them, unless their
// chains go on from C: then what is left is done as for others.
func (w *worker) multiplyHeld(p *product, i0, i1, j0, j1 int) {
	t, width, kernel, bNext := &w.t, w.k.width, w.k.held[0][p.k-1], 1
	t.bRow = uintptr(4 * p.bRow)
	if p.bCol != 1 {
		kernel, bNext, t.bRow = w.k.held[1][p.k-1], p.bCol, uintptr(4*p.bCol)
	}
	t.aRow, t.bNext, t.cNext, t.colBiasNext = uintptr(4*p.aRow), uintptr(4*width*bNext), uintptr(4*width), uintptr(4*width)
	t.load, t.relu, t.k, t.mask = flag(p.load), flag(p.relu), i1-i0, w.k.masks8[p.k%4]
	panels := func(j, n int) {
		t.a, t.b, t.c = pointer(p.a, i0*p.aRow), pointer(p.b, j*bNext), pointer(p.c, i0*p.cRow+j)
		t.colBias, t.panels = pointer(p.colBias, j), n
		kernel(t)
	}
	panels(j0, (j1-j0)/width)
	switch rest := (j1 - j0) % width; {
	case rest > 0 && p.load:
		w.multiplyBlocks(p, i0, i1, j1-rest, j1)
	case rest > 0:
		panels(j1-width, 1)
	}
}
