package tensor

// narrowBlock is how many elements of A stay in the first cache while groups of
// columns pass by.
const narrowBlock = 6 << 10

// multiplyNarrow computes few columns of A and a B that is stored transposed. Both
// are read where they are; rows says where those of the stored B begin, in bytes.
func (w *worker) multiplyNarrow(p *product, rows []int64, i0, i1, j0, j1 int) {
	w.aimNarrow(p)
	high := w.k.narrowRows
	step := max(narrowBlock/max(p.k, 1)/high, 1) * high
	for i := i0; i < i1; i += step {
		n := min(step, i1-i)
		w.narrowRows(p, rows[j0:j1], 1, i, n/high, j0)
		w.narrowRows(p, rows[j0:j1], 0, i+n/high*high, n%high, j0)
	}
}

// aimNarrow tells the kernels what is the same for all of them.
func (w *worker) aimNarrow(p *product) {
	w.narrow = narrow{aRow: uintptr(4 * p.aRow), cRow: uintptr(4 * p.cRow),
		whole: p.k / sums * 4 * sums, load: flag(p.load), relu: flag(p.relu)}
	if rest := p.k % sums; rest > 0 {
		w.narrow.mask = w.k.masks[min(rest, w.k.width)]
		w.narrow.mask2 = w.k.masks[max(rest-w.k.width, 0)]
	}
}

// narrowRows computes so many panels from row i on, of one row or of several, and the
// columns from j on whose rows of B are given. If A comes from far, each group of
// columns asks for some of the rows that come next.
func (w *worker) narrowRows(p *product, rows []int64, several, i, panels, j int) {
	if panels == 0 {
		return
	}
	n, kernels, high := &w.narrow, w.k.narrow[several], 1+several*(w.k.narrowRows-1)
	groups := blocksOf(len(rows), len(kernels))
	for g := range groups {
		from, to := len(rows)*g/groups, len(rows)*(g+1)/groups
		n.a, n.b, n.bRows = pointer(p.a, i*p.aRow), pointer(p.b, 0), pointer(rows, from)
		n.c, n.bias, n.panels = pointer(p.c, i*p.cRow+j+from), pointer(p.colBias, j+from), panels
		n.soon = uintptr(n.a)
		if p.far {
			n.soon += uintptr(panels*high+(g*high+1)/2%high) * n.aRow
		}
		n.soon2 = n.soon + n.aRow
		kernels[to-from-1](n)
	}
}
