package tensor

import "unsafe"

// streamN is how many columns make it worth to copy rows of A that share places in
// the caches.
const streamN = 512

// skimmedK is how many ks of an A that is stored transposed are not worth a copy.
const skimmedK = 16

// skims is whether so many rows and ks of an A that is stored transposed are read where
// they are, which takes kernels longer: for one panel of rows or of columns, or few ks.
func (p *product) skims(k *kernels, rows, ks int) bool {
	return rows <= k.rows || p.n <= k.panel() || ks <= skimmedK
}

// streamStep is the distance of rows of A that are stored one after the other. It
// is no multiple of half a page, so that rows do not share places in the cache.
func streamStep(k int) int {
	step := (k+15)/16*16 + 16
	if step%(pageFloats/2) == 0 {
		step += 16
	}
	return step
}

// width sets the mask for n columns and returns the number of vectors.
func (w *worker) width(n int) int {
	w.t.mask = nil
	if rest := n % w.k.width; rest != 0 {
		w.t.mask = w.k.masks[rest]
	}
	return (n + w.k.width - 1) / w.k.width
}

// source says where the rows of a block of A are.
type source struct {
	a   []float32
	at  int // where row 0 begins
	row int // how far rows lie apart
	col int // how far ks lie apart
}

// from is the source from column k on.
func (s source) from(k int) source {
	s.at += k * s.col
	return s
}

// aim points the tile at row r of the block, for panels of so many rows.
func (w *worker) aim(s source, rows, r int) {
	w.t.a = pointer(s.a, s.at+r*s.row)
	w.t.aCol = uintptr(4 * s.col)
	w.t.aRow, w.t.aNext = uintptr(4*s.row), uintptr(4*s.row*rows)
}

// packA makes so many rows of A from row i on ready, from k0 on.
func (w *worker) packA(p *product, i, rows, k0 int) source {
	kn, at := w.t.k, i*p.aRow+k0*p.aCol
	if kn == 0 || p.aCol == 1 && (p.aRow%pageFloats != 0 || p.n <= streamN || rows <= w.k.rows) {
		return source{a: p.a, at: at, row: p.aRow, col: 1}
	}
	if p.aCol != 1 && p.skims(w.k, rows, kn) {
		return source{a: p.a, at: at, row: p.aRow, col: p.aCol}
	}
	// Rows, one after the other, that do not share places in the caches.
	step := streamStep(kn)
	w.a = grow(w.a, (rows+7)*step) // turns write up to 7 rows more
	if p.aCol == 1 {
		for r := range rows {
			copy(w.a[r*step:][:kn], p.a[at+r*p.aRow:])
		}
	} else {
		w.turn(w.a, step, p.a[at:], p.aCol, kn, rows)
	}
	return source{a: w.a, row: step, col: 1}
}

// packB copies rows k0 to k1 and columns j0 to j1 of B into panels.
func (w *worker) packB(p *product, k0, k1, j0, j1 int) {
	w.b = grow(w.b, (j1-j0+w.k.panel())*(k1-k0))
	w.packPanels(p, w.b, k0, k1, j0, j1)
}

// packPanels copies rows k0 to k1 and columns j0 to j1 of B into panels in dst.
func (w *worker) packPanels(p *product, dst []float32, k0, k1, j0, j1 int) {
	kn, panel, at := k1-k0, w.k.panel(), 0
	if whole := (j1 - j0) / panel; whole > 1 && p.bCol == 1 && p.taps == nil && kn > 0 {
		w.p = pack{dst: pointer(dst, 0), dstStep: uintptr(4 * kn * panel), src: pointer(p.b, k0*p.bRow+j0), srcStep: uintptr(4 * p.bRow), first: whole, n: kn}
		w.k.panels(&w.p)
		at = whole * panel
	}
	if whole := (j1 - j0) / panel; whole > 1 && p.bCol != 1 && w.k.turn != nil && kn > 0 {
		for ; at < panel; at += 16 {
			w.turnGroups(dst[at:], panel, panel*kn, p.b[k0+(j0+at)*p.bCol:], p.bCol, panel, whole, kn)
		}
		at = whole * panel
	}
	for ; at < j1-j0; at += panel {
		w.packPanel(p, dst[at*kn:], k0, k1, j0+at, min(j0+at+panel, j1))
	}
}

// packPanel copies rows k0 to k1 and columns j0 to j1 of B into one panel.
func (w *worker) packPanel(p *product, dst []float32, k0, k1, j0, j1 int) {
	n, kn := j1-j0, k1-k0
	wide := (n + w.k.width - 1) / w.k.width * w.k.width
	switch {
	case p.taps != nil:
		w.packTaps(p, dst, k0, k1, j0, j1)
	case kn == 0:
	case p.bCol == 1:
		w.copyRows(dst, wide, p.b[k0*p.bRow+j0:], p.bRow, n, kn)
	default:
		w.turn(dst, wide, p.b[k0+j0*p.bCol:], p.bCol, n, kn)
	}
}

// turn stores n rows of count floats that lie step apart as columns of dst, which
// has rows of length wide. Up to 7 columns behind the last are it again. It
// writes up to 7 rows behind the last.
func (w *worker) turn(dst []float32, wide int, src []float32, step, n, count int) {
	col := 0
	if groups := n / 16; w.k.turn != nil && groups > 0 {
		w.turnGroups(dst, wide, 16, src, step, 16, groups, count)
		col = 16 * groups
	}
	for ; col < n; col += 8 {
		for r := range w.rows {
			w.rows[r] = &src[min(col+r, n-1)*step]
		}
		w.transpose(dst[col:], wide, count)
	}
}

// turnGroups is turn for groups of 16 rows, which begin dstNext and srcNext apart.
func (w *worker) turnGroups(dst []float32, wide, dstNext int, src []float32, step, srcNext, groups, count int) {
	w.p = pack{dst: pointer(dst, 0), dstStep: uintptr(4 * wide), src: pointer(src, 0), srcStep: uintptr(4 * step),
		first: groups, dstNext: uintptr(4 * dstNext), srcNext: uintptr(4 * step * srcNext),
		mask: w.k.masks8[count%4], n: count, ahead: uintptr(unsafe.Pointer(&w.p))}
	w.k.turn(&w.p)
}

// copyRows copies count rows of n floats that lie step apart, to dst with rows
// of length wide. It writes up to 7 floats behind the last row, zeros.
func (w *worker) copyRows(dst []float32, wide int, src []float32, step, n, count int) {
	vecs := (n + 7) / 8
	w.p = pack{dst: pointer(dst, 0), dstStep: uintptr(4 * wide), src: pointer(src, 0), srcStep: uintptr(4 * step),
		mask: w.k.masks8[(n-1)%8+1], n: count}
	w.k.copy[vecs-1](&w.p)
}

// transpose writes 8 columns of a panel from w.rows. It writes up to 7 rows
// behind the last.
func (w *worker) transpose(dst []float32, wide, count int) {
	w.p = pack{dst: pointer(dst, 0), dstStep: uintptr(4 * wide), rows: unsafe.Pointer(&w.rows),
		mask: w.k.masks8[count%8], n: count}
	w.k.transpose(&w.p)
}

// turnC stores rows i0 to i1 and columns j0 to j1 of C where they belong: blocks of
// 8 by 8 are turned, which may not write behind the last row, and the rest moved.
func (w *worker) turnC(p *product, i0, i1, j0, j1 int) {
	i, j := i0+(i1-i0)/8*8, j0+(j1-j0)/8*8
	if i > i0 && j > j0 {
		w.turn(p.to[j0*p.toRow+i0:], p.toRow, p.c[i0*p.cRow+j0:], p.cRow, i-i0, j-j0)
		p.moveC(i0, i, j, j1)
	} else {
		i = i0
	}
	p.moveC(i, i1, j0, j1)
}

// moveC is turnC, one by one.
func (p *product) moveC(i0, i1, j0, j1 int) {
	for i := i0; i < i1; i++ {
		for j, v := range p.c[i*p.cRow+j0 : i*p.cRow+j1] {
			p.to[(j0+j)*p.toRow+i] = v
		}
	}
}

// slack is how many floats copies may write behind the end of a panel.
const slack = 8 * 32

// grow returns a buffer of at least n floats with slack behind them, b if it is
// large enough. What was in it is lost.
func grow(b []float32, n int) []float32 {
	if cap(b) < n+slack {
		b = piece(4 * (n + slack))
	}
	return b[:n+slack]
}

// pointer is where element i of s is, nil if there is none.
func pointer[T any](s []T, i int) unsafe.Pointer {
	if i >= len(s) {
		return nil
	}
	return unsafe.Pointer(&s[i])
}
