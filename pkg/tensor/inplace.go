package tensor

import "unsafe"

const (
	// So few panels of rows are not worth a copy of B.
	widePanels = 8
	// More rows are better off with higher tiles, which read B less often, if the next
	// panel of B, asked for meanwhile, finds room in the caches: so many, or two panels
	// if B is larger than the second cache.
	steepRows, steepB = 36, 1 << 19
	// Rows of B half a page apart share places in the first cache: a panel of so many
	// ks has room there, while panels of A pass by; half of that if they lie a page apart.
	crowdedDeep = 256
	// Rows of B so far apart, in floats, share places in the second cache too: so many
	// ks have room there.
	farFloats, farDeep = 4 * pageFloats, 16
)

// direct is whether B is best read where it is, for so many rows: it is not worth
// a copy, or its rows begin with cache lines and do not share places in the
// caches, as those do that lie a page apart, and many that lie half a page apart.
func (p *product) direct(k *kernels, rows int) bool {
	switch {
	case p.bCol != 1 || p.taps != nil || p.packed != nil:
		return false
	case rows <= 2*k.rows || rows <= widePanels*len(k.wide) && p.bRow%farFloats != 0:
		return true
	case !p.aligned() || p.bRow%pageFloats == 0:
		return false
	}
	return !p.crowded() || min(rows, p.k) <= fewRows
}

// aligned is whether rows of B begin with cache lines.
func (p *product) aligned() bool {
	return uintptr(unsafe.Pointer(unsafe.SliceData(p.b)))%cacheLine == 0 && p.bRow%(cacheLine/4) == 0
}

// crowded is whether rows of B share places in the caches.
func (p *product) crowded() bool { return p.bRow%(pageFloats/2) == 0 }

// wide is whether wide tiles are best, for so many rows.
func (p *product) wide(k *kernels, rows int) bool {
	most := steepRows
	if p.n*p.k > steepB {
		most = min(most, 2*k.rows)
	}
	return k.wide != nil && (rows <= most || p.crowded() || !p.aligned())
}

// deep is how many ks of B are read at once: fewer for several panels of A if rows of B
// share places in the first cache, and in any case if they do in the second.
func (p *product) deep(k *kernels, rows int) int {
	switch {
	case p.bRow%farFloats == 0:
		return farDeep
	case rows <= len(k.wide) || !p.crowded():
		return blockDeep
	case p.bRow%pageFloats == 0:
		return crowdedDeep / 2
	}
	return crowdedDeep
}

// multiplyInPlace reads B where it is.
func (w *worker) multiplyInPlace(p *product, i0, i1, j0, j1 int) {
	rows, deep := i1-i0, p.deep(w.k, i1-i0)
	b := blockOfB{j0: j0, j1: j1, direct: true, wide: p.wide(w.k, rows)}
	depths := blocksOf(p.k, deep)
	heights := blocksOf(rows, min(max(blockA/max(1, min(p.k, deep)), w.k.rows), blockRows))
	for d := range depths {
		b.k0, b.last = w.depth(p, d, depths)
		for h := range heights {
			from := rows * h / heights
			w.inPlace(p, i0+from, rows*(h+1)/heights-from, &b)
		}
	}
}

// inPlace is multiplyInPlace for one block of A: for columns that fill tiles of all
// heights of its panels, and for what does not fill a vector.
func (w *worker) inPlace(p *product, i, rows int, b *blockOfB) {
	src, most := w.packA(p, i, rows, b.k0), w.k.rows
	if b.wide {
		most = len(w.k.wide)
	}
	all, step, whole := groups(rows, most), 1, (b.j1-b.j0)/w.k.width
	for _, g := range all {
		if g.panels > 0 {
			if vecs, _ := w.k.widest(g.rows, whole, b.wide); step%vecs != 0 {
				step *= vecs
			}
		}
	}
	w.t.mask = nil
	end := b.j0 + whole*w.k.width
	for j := b.j0; j < end; j += step * w.k.width {
		for _, g := range all {
			if g.panels > 0 {
				w.inPlacePanels(p, src, i, g, b, j, min(j+step*w.k.width, end))
			}
		}
	}
	rest := *b
	rest.j0 = end
	w.multiplyBlock(p, src, i, rows, &rest)
}

// inPlacePanels does columns j to end of a block of B for panels of equal height.
func (w *worker) inPlacePanels(p *product, src source, i int, g group, b *blockOfB, j, end int) {
	w.t.bRow = uintptr(4 * p.bRow)
	for j < end {
		vecs, kernel := w.k.widest(g.rows, (end-j)/w.k.width, b.wide)
		w.t.b = pointer(p.b, b.k0*p.bRow+j)
		w.aheadB(p, b, j+vecs*w.k.width)
		w.tile(p, src, kernel, i, g, j, b.last)
		j += vecs * w.k.width
	}
}

// inside is how many ks of B may be read up to column end, beyond the last one, too:
// with all of those that follow there is more of B.
func (p *product) inside(end int) int {
	return (len(p.b) - end + p.bRow) / max(p.bRow, 1)
}

// widest is the kernel of the widest tile of so many rows, and at most so many
// vectors.
func (k *kernels) widest(rows, vecs int, wide bool) (int, func(*tile)) {
	if wide {
		for _, w := range k.wide[rows-1] {
			if w.vecs <= vecs {
				return w.vecs, w.run
			}
		}
	}
	vecs = min(vecs, len(k.tile))
	return vecs, k.tile[vecs-1][rows-1]
}
