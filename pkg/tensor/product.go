package tensor

import "unsafe"

// product is a matrix product as its parts see it: element (i, k) of A is
// a[i*aRow+k*aCol], element (k, j) of B is b[k*bRow+j*bCol], (i, j) of C is
// c[i*cRow+j].
//
// # How it is computed
//
//	for blocks of columns      B's block fits into the cache that cores share
//	  for blocks of k          the chain goes on from C
//	    copy B into panels of two vectors, here or, if there is one block of
//	    rows, each panel right before it is used
//	    for blocks of rows     A's block fits into the second cache
//	      for panels of B      one panel stays in the first cache
//	        for panels of A    one tile of C, in registers
//
// The number of rows of a tile is chosen so that all tiles of a block are about
// equally high: 128 rows are 22 tiles of 6 or 5, not 21 of 6 and one of 2, which
// would wait for its own sums.
type product struct {
	m, n, k    int
	a, b, c    []float32
	aRow, aCol int
	bRow, bCol int
	cRow       int
	load, relu bool
	colBias    []float32
	rowBias    []float32
	act        Act       // applied at the end; relu is for max(0, x)
	taps       *grid     // not nil: B is the taps of image b
	filters    []float32 // for taps: A in panels across channels, see packFilters
	packed     []float32 // not nil: all of B, in panels, block of k by block of k

	// How parts are cut: rows or columns, in pieces of step.
	byRows bool
	step   int
}

// panelUse is where a block of rows finds the panels of B.
type panelUse int

const (
	panelReady  panelUse = iota // in w.panels
	panelDirect                 // in B itself
	panelLate                   // in B; packed one by one, right before they are used
)

const (
	blockK   = 384
	blockM   = 192
	blockN   = 1024
	streamN  = 512 // columns that make it worth to copy rows of A
	packRows = 32  // copied at once
	panelGap = 16  // floats between panels of A, which copies may write to
	// workPart is the number of multiply-adds that is worth waking a goroutine.
	workPart = 1 << 18
)

// betterTurned is whether the transposed product is faster: columns of C fill
// vectors, rows do not, so a product of 64 by 10 wastes less as 10 by 64.
func (p *product) betterTurned(k *kernels) bool {
	if p.load || p.taps != nil || p.packed != nil || p.n > 2*k.width && p.m > 2 {
		return false
	}
	return cost(k, p.n, p.m, p.k, p.aCol == 1) < cost(k, p.m, p.n, p.k, p.bRow == 1)
}

// cost estimates cycles: two multiply-adds of vectors in a cycle, but four cycles
// for the next one of the same chain; and the copy of B, which costs more if it
// is turned.
func cost(k *kernels, m, n, depth int, turned bool) int {
	vecs := (n + k.width - 1) / k.width
	chains := min(m, k.rows) * min(vecs, 2)
	sums := m * vecs * depth * 4 / min(chains, 8)
	if turned {
		return sums + n*depth/3
	}
	return sums + n*depth/12
}

// parts cuts the product for so many threads.
func (p *product) parts(k *kernels, threads int) int {
	n := min(threads, p.m*p.n*p.k/workPart)
	p.byRows = p.m > p.n
	size, unit := p.n, k.panel()
	if p.byRows {
		size, unit = p.m, k.rows
	}
	if n <= 1 {
		p.step = max(size, 1)
		return 1
	}
	p.step = (size + n*unit - 1) / (n * unit) * unit
	return (size + p.step - 1) / p.step
}

func (p *product) part(w *worker, i int) {
	if p.byRows {
		w.multiply(p, i*p.step, min((i+1)*p.step, p.m), 0, p.n)
	} else {
		w.multiply(p, 0, p.m, i*p.step, min((i+1)*p.step, p.n))
	}
}

// depthBlocks is the number of blocks of k.
func depthBlocks(k int) int { return max(1, (k+blockK-1)/blockK) }

// multiply computes rows i0 to i1 and columns j0 to j1 of C.
func (w *worker) multiply(p *product, i0, i1, j0, j1 int) {
	t := &w.t
	t.cRow = uintptr(4 * p.cRow)
	blocks := depthBlocks(p.k)
	rowBlocks := (i1 - i0 + blockM - 1) / blockM
	for j := j0; j < j1; j += blockN {
		cols := min(blockN, j1-j)
		for b := range blocks {
			k0, k1 := p.k*b/blocks, p.k*(b+1)/blocks
			t.k = k1 - k0
			t.load = flag(p.load || b > 0)
			last := b == blocks-1
			t.relu = flag(p.relu && last)
			how := panelReady
			switch {
			case p.packed != nil:
				panel := w.k.panel()
				w.panels = p.packed[k0*((p.n+panel-1)/panel*panel)+j*t.k:]
			case rowBlocks > 1:
				w.packB(p, k0, k1, j, j+cols)
				w.panels = w.b
			case p.bCol == 1 && p.taps == nil && i1-i0 <= 2*w.k.rows:
				how = panelDirect
			default:
				how = panelLate
			}
			for i := range rowBlocks {
				first := i0 + (i1-i0)*i/rowBlocks
				w.block(p, first, i0+(i1-i0)*(i+1)/rowBlocks-first, j, cols, k0, how, last)
			}
		}
	}
	p.activate(w, i0, i1, j0, j1)
}

func flag(b bool) int {
	if b {
		return 1
	}
	return 0
}

func (p *product) activate(w *worker, i0, i1, j0, j1 int) {
	if p.act == ActNone {
		return
	}
	for i := i0; i < i1; i++ {
		row := p.c[i*p.cRow+j0 : i*p.cRow+j1]
		w.actForward(row, row, p.act)
	}
}

// block computes one block of rows, from k0 on, for all panels of B.
func (w *worker) block(p *product, i, rows, j, cols, k0 int, how panelUse, last bool) {
	t := &w.t
	src, high, few := w.packA(p, i, rows, k0)
	for at := 0; at < cols; at += w.k.panel() {
		n := min(w.k.panel(), cols-at)
		vecs := w.width(n)
		t.bRow = uintptr(4 * vecs * w.k.width)
		switch {
		case how == panelReady:
			t.b = pointer(w.panels, at*t.k)
		case how == panelDirect && t.mask == nil:
			t.bRow = uintptr(4 * p.bRow)
			t.b = pointer(p.b, k0*p.bRow+j+at)
		default:
			w.packB(p, k0, k0+t.k, j+at, j+at+n)
			t.b = pointer(w.b, 0)
		}
		t.colBias, t.rowBias = nil, nil
		if last && p.colBias != nil {
			t.colBias = pointer(p.colBias, j+at)
		}
		w.tiles(p, src, w.k.tile[vecs-1], i, rows, j+at, high, few, last)
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

// packB copies rows k0 to k1 and columns j0 to j1 of B into panels.
func (w *worker) packB(p *product, k0, k1, j0, j1 int) {
	kn := k1 - k0
	panel := w.k.panel()
	w.b = grow(w.b, (j1-j0+panel)*kn)
	if kn == 0 {
		return
	}
	if p.taps != nil {
		w.packTaps(p, k0, k1, j0, j1)
		return
	}
	for at := 0; at < j1-j0; at += panel {
		n := min(panel, j1-j0-at)
		wide := (n + w.k.width - 1) / w.k.width * w.k.width
		dst := w.b[at*kn:]
		if p.bCol == 1 {
			w.copyRows(dst, wide, p.b[k0*p.bRow+j0+at:], p.bRow, n, kn)
			continue
		}
		for g := 0; g < wide; g += 8 {
			for r := range w.rows {
				w.rows[r] = &p.b[k0+(j0+at+min(g+r, n-1))*p.bCol]
			}
			w.transpose(dst[g:], wide, kn)
		}
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
