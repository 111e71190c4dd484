package tensor

// narrowBlock is how many elements of A stay in the first cache while groups of
// columns pass by.
const narrowBlock = 6 << 10

// multiplyNarrow computes few columns of A and a B that is stored transposed. Both
// are read where they are; rows says where those of the stored B begin, in bytes, if
// they are not bCol apart.
func (w *worker) multiplyNarrow(p *product, rows []int64, i0, i1, j0, j1 int) {
	w.aimNarrow(p)
	most, step := len(w.k.narrow), i1-i0
	if step > most { // or a division takes as long as a small product
		step = max(narrowBlock/max(p.k, 1)/most, 1) * most
	}
	for i := i0; i < i1; i += step {
		end := min(i+step, i1)
		high, few := heights(end-i, most)
		w.narrowRows(p, rows, i, end, high, few, j0, j1)
	}
}

// aimNarrow tells the kernels what is the same for all of them.
func (w *worker) aimNarrow(p *product) {
	for j := range w.narrowAt {
		w.narrowAt[j] = int64(4 * j * p.bCol)
	}
	n := &w.narrow // field by field: a whole one takes as long as a small product
	n.aRow, n.cRow, n.whole = uintptr(4*p.aRow), uintptr(4*p.cRow), p.k/sums*4*sums
	n.load, n.relu, n.mask, n.mask2, n.soon = flag(p.load), flag(p.relu), nil, nil, 0
	if rest := p.k % sums; rest > 0 {
		n.mask, n.mask2 = w.k.masks[min(rest, w.k.width)], w.k.masks[max(rest-w.k.width, 0)]
	}
}

// narrowRows computes rows i0 to i1 and columns j0 to j1: few panels of so many rows,
// and then panels that have one row less. If A comes from far, each group of columns
// asks for some of the rows that come next.
func (w *worker) narrowRows(p *product, rows []int64, i0, i1, high, few, j0, j1 int) {
	n := &w.narrow
	wide, some := heights(j1-j0, len(w.k.narrow[high-1]))
	for g, ask, from := 0, 0, j0; from < j1; g++ {
		cols := wide
		if g >= some {
			cols--
		}
		n.b, n.bRows = pointer(p.b, 0), pointer(rows, from)
		if rows == nil {
			n.b, n.bRows = pointer(p.b, from*p.bCol), pointer(w.narrowAt[:], 0)
		}
		n.bias = pointer(p.colBias, from)
		if p.far {
			n.soon = uintptr(i1-i0+ask) * n.aRow
			if ask += (high + 1) / 2; ask >= high {
				ask = 0
			}
		}
		for i, r := i0, high; i < i1; r-- {
			n.a, n.c, n.panels = pointer(p.a, i*p.aRow), pointer(p.c, i*p.cRow+from), few
			if r < high {
				n.panels = (i1 - i) / r
			}
			w.k.narrow[r-1][cols-1](n)
			i += n.panels * r
		}
		from += cols
	}
}
