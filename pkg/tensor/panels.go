package tensor

import "unsafe"

const (
	streamN  = 512 // columns that make it worth to copy rows of A
	packRows = 32  // copied at once
	panelGap = 16  // floats between panels of A, which copies may write to
)

// streamStep is the distance of rows of A that are stored one after the other.
// It is no multiple of a page, so that rows do not share places in the cache.
func streamStep(k int) int { return (k+15)/16*16 + 16 }

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
	a        []float32
	at       int // row 0, k 0
	row, col int
	panelled bool // rows are in panels, k by k, with gaps between panels
	few      int  // panels of the greater height, which come first
}

// aim points the tile at row r of the block, for panels of so many rows.
func (w *worker) aim(s source, rows, r int) {
	t := &w.t
	if s.panelled {
		before := 0
		if r > 0 {
			before = s.few
		}
		t.a = pointer(s.a, r*t.k+before*panelGap)
		t.aRow, t.aCol, t.aNext = 4, uintptr(4*rows), uintptr(4*(rows*t.k+panelGap))
		return
	}
	t.a = pointer(s.a, s.at+r*s.row)
	t.aRow, t.aCol, t.aNext = uintptr(4*s.row), uintptr(4*s.col), uintptr(4*s.row*rows)
}

// packA makes a block of A ready. high is the number of rows of the first few
// panels; all others have one less.
func (w *worker) packA(p *product, i, rows, k0 int) (s source, high, few int) {
	high, few = w.heights(rows)
	kn := w.t.k
	s = source{a: p.a, at: i*p.aRow + k0*p.aCol, row: p.aRow, col: p.aCol}
	switch {
	case kn == 0 || rows <= w.k.rows:
	case p.aCol == 1 && p.n > streamN:
		// Rows, one after the other: few pages, no rows that share cache lines.
		step := streamStep(kn)
		w.a = grow(w.a, rows*step)
		for r := range rows {
			copy(w.a[r*step:][:kn], p.a[s.at+r*p.aRow:])
		}
		s = source{a: w.a, row: step, col: 1}
	case p.aCol != 1:
		w.a = grow(w.a, rows*(kn+panelGap))
		// A few rows of what is stored at a time, for all panels: the cache lines
		// that panels share are read once.
		for k := 0; k < kn; k += packRows {
			n := min(packRows, kn-k)
			for r, i := 0, 0; r < rows; i++ {
				h := high
				if i >= few {
					h--
				}
				w.copyRows(w.a[r*kn+i*panelGap+k*h:], h, p.a[s.at+r*p.aRow+k*p.aCol:], p.aCol, h, n)
				r += h
			}
		}
		s = source{a: w.a, panelled: true, few: few}
	}
	return s, high, few
}

// packPanel makes one panel of A ready: few rows, which are copied if they are
// used often.
func (w *worker) packPanel(p *product, i, rows, k0 int) source {
	kn, at := w.t.k, i*p.aRow+k0*p.aCol
	switch {
	case kn == 0 || p.aCol == 1 && p.n <= streamN:
		return source{a: p.a, at: at, row: p.aRow, col: p.aCol}
	case p.aCol == 1:
		step := streamStep(kn)
		w.a = grow(w.a, rows*step)
		for r := range rows {
			copy(w.a[r*step:][:kn], p.a[at+r*p.aRow:])
		}
		return source{a: w.a, row: step, col: 1}
	}
	w.a = grow(w.a, rows*kn)
	w.copyRows(w.a, rows, p.a[at:], p.aCol, rows, kn)
	return source{a: w.a, panelled: true}
}

// packB copies rows k0 to k1 and columns j0 to j1 of B into panels.
func (w *worker) packB(p *product, k0, k1, j0, j1 int) {
	kn := k1 - k0
	panel := w.k.panel()
	w.b = grow(w.b, (j1-j0+panel)*kn)
	for at := 0; at < j1-j0; at += panel {
		w.packPanelB(p, w.b[at*kn:], k0, k1, j0+at, min(j0+at+panel, j1))
	}
}

// packPanelB copies rows k0 to k1 and columns j0 to j1 of B into one panel.
func (w *worker) packPanelB(p *product, dst []float32, k0, k1, j0, j1 int) {
	if p.taps != nil {
		w.packTaps(p, dst, k0, k1, j0, j1)
		return
	}
	n, kn := j1-j0, k1-k0
	if kn == 0 {
		return
	}
	wide := (n + w.k.width - 1) / w.k.width * w.k.width
	if p.bCol == 1 {
		w.copyRows(dst, wide, p.b[k0*p.bRow+j0:], p.bRow, n, kn)
		return
	}
	g := 0
	for ; w.k.turn != nil && g+16 <= min(n, wide); g += 16 {
		w.p = pack{dst: pointer(dst, g), dstStep: uintptr(4 * wide), src: pointer(p.b, k0+(j0+g)*p.bCol), srcStep: uintptr(4 * p.bCol),
			mask: w.k.masks8[kn%8], n: kn, ahead: uintptr(unsafe.Pointer(&w.p))}
		w.k.turn(&w.p)
	}
	for ; g < wide; g += 8 {
		for r := range w.rows {
			w.rows[r] = &p.b[k0+(j0+min(g+r, n-1))*p.bCol]
		}
		w.transpose(dst[g:], wide, kn)
	}
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

// slack is how many floats copies may write behind the end of a panel.
const slack = 8 * 32

// grow returns a buffer of at least n floats with slack behind them, b if it is
// large enough. What was in it is lost.
func grow(b []float32, n int) []float32 {
	if cap(b) < n+slack {
		var a Arena
		return a.Float32(n + slack)
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
