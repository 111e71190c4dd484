package tensor

// narrowBlock is how many elements of A stay in the first cache while groups of
// columns pass by.
const narrowBlock = 6 << 10

// multiplyNarrow computes few columns of A and a B that is stored transposed. Both
// are read where they are.
func (w *worker) multiplyNarrow(p *product, i0, i1, j0, j1 int) {
	w.aimNarrow(p)
	high := w.k.narrowRows
	step := max(narrowBlock/max(p.k, 1)/high, 1) * high
	for i := i0; i < i1; i += step {
		rows := min(step, i1-i)
		w.narrowRows(p, 1, i, rows/high, j0, j1)
		w.narrowRows(p, 0, i+rows/high*high, rows%high, j0, j1)
	}
}

// aimNarrow tells the kernels what is the same for all of them.
func (w *worker) aimNarrow(p *product) {
	w.narrow = narrow{aRow: uintptr(4 * p.aRow), bRow: uintptr(4 * p.bCol), cRow: uintptr(4 * p.cRow),
		whole: p.k / sums * 4 * sums, load: flag(p.load), relu: flag(p.relu)}
	if rest := p.k % sums; rest > 0 {
		w.narrow.mask = w.k.masks[min(rest, w.k.width)]
		w.narrow.mask2 = w.k.masks[max(rest-w.k.width, 0)]
	}
}

// narrowRows computes so many panels from row i on, of one row or of several.
func (w *worker) narrowRows(p *product, several, i, panels, j0, j1 int) {
	if panels == 0 {
		return
	}
	n, kernels := &w.narrow, w.k.narrow[several]
	groups := blocksOf(j1-j0, len(kernels))
	for g := range groups {
		j, end := j0+(j1-j0)*g/groups, j0+(j1-j0)*(g+1)/groups
		n.a, n.b, n.c = pointer(p.a, i*p.aRow), pointer(p.b, j*p.bCol), pointer(p.c, i*p.cRow+j)
		n.bias, n.panels = pointer(p.colBias, j), panels
		kernels[end-j-1](n)
	}
}
