package tensor

const (
	// A block of A, 1 MiB and so many ks at most, stays in the second cache while
	// panels of B pass by. It has not so many rows that C goes from page to page.
	blockA    = 1 << 18
	blockRows = 512
	blockDeep = 1024
	// Half of that if there are several, which share copies of B, 4 MiB at most: those
	// pass through the second cache too.
	sharedRows = 256
	sharedK    = 512
	sharedN    = 2048
	// An A and a B that are not turned: a block of B, 1 MiB, stays in the second cache
	// while panels of A, each in the first cache, pass by.
	blockK = 512
	blockN = 512
	// So many ks of a part of a panel are worth it to read B where it is.
	partDepth = 64
	// Columns that are computed from a transposed B without a copy.
	turnedColumns = 32
	// Rows that are multiples of a page of 4 KiB apart share places in the caches.
	pageFloats = 1024
	// Few rows: they are one block, and rows half a page apart do not crowd each other
	// out yet.
	fewRows = 192
)

// compute is multiply, and puts a C that is transposed where it belongs.
func (w *worker) compute(p *product, i0, i1, j0, j1 int) {
	w.multiply(p, i0, i1, j0, j1)
	if p.to != nil {
		w.turnC(p, i0, i1, j0, j1)
	}
}

// multiply computes rows i0 to i1 and columns j0 to j1 of C.
func (w *worker) multiply(p *product, i0, i1, j0, j1 int) {
	w.t.cRow = uintptr(4 * p.cRow)
	rows := i1 - i0
	switch {
	case p.narrow:
		w.multiplyNarrow(p, nil, i0, i1, j0, j1)
	case p.held(w.k, rows, j1-j0):
		w.multiplyHeld(p, i0, i1, j0, j1)
	case p.turned(w.k, rows):
		w.multiplyTurned(p, i0, i1, j0, j1)
	case p.shallow(w.k, rows):
		w.multiplyShallow(p, i0, i1, j0, j1)
	case p.direct(w.k, rows) && j1-j0 >= w.k.panel():
		w.multiplyInPlace(p, i0, i1, j0, j1)
	case p.plain() && rows > fewRows:
		w.multiplyMany(p, i0, i1, j0, j1)
	default:
		w.multiplyBlocks(p, i0, i1, j0, j1)
	}
	w.ahead(nil, 0, 0, 0)
	p.activate(w, i0, i1, j0, j1)
}

// plain is whether neither operand is turned. Then B is copied best in long lines, for
// many of its panels at once.
func (p *product) plain() bool { return p.aCol == 1 && (p.bCol == 1 || p.taps != nil) }

// turned is whether a B that is stored transposed is best turned on the way: so
// few rows are not worth a copy.
func (p *product) turned(k *kernels, rows int) bool {
	return rows <= max(2, len(k.turned)) && len(k.turned) > 0 && p.k > k.width && p.rowBias == nil && p.aCol == 1 && p.bCol != 1 && p.bRow == 1 && p.taps == nil && p.packed == nil
}

// blocksOf is the number of blocks of at most so much that n is cut into.
func blocksOf(n, most int) int {
	if n <= most { // a division takes as long as a small product
		return 1
	}
	return (n + most - 1) / most
}

// depth gets the tile ready for block b of so many of k, and returns where it
// begins.
func (w *worker) depth(p *product, b, blocks int) (k0 int, last bool) {
	k0, last = p.k*b/blocks, b == blocks-1
	w.t.k = p.k*(b+1)/blocks - k0
	w.t.load, w.t.relu = flag(p.load || b > 0), flag(p.relu && last)
	return k0, last
}

func flag(b bool) int {
	if b {
		return 1
	}
	return 0
}

// multiplyMany goes through many rows panel by panel.
func (w *worker) multiplyMany(p *product, i0, i1, j0, j1 int) {
	blocks := blocksOf(p.k, blockK)
	for j := j0; j < j1; j += blockN {
		cols := min(blockN, j1-j)
		for b := range blocks {
			k0, last := w.depth(p, b, blocks)
			if p.packed == nil {
				w.packB(p, k0, k0+w.t.k, j, j+cols)
			}
			w.strips(p, i0, i1, j, cols, k0, last)
		}
	}
}

// strips computes all panels of rows for one block of B.
func (w *worker) strips(p *product, i0, i1, j, cols, k0 int, last bool) {
	high, few := heights(i1-i0, w.k.rows)
	first := func(strip int) int { return min(i0+strip*high-max(0, strip-few), i1) }
	for s := 0; first(s) < i1; s++ {
		i, end := first(s), first(s+1)
		w.aim(w.packA(p, i, end-i, k0), end-i, 0)
		w.strip(p, i, end-i, j, cols, k0, last, first(s+2)-end)
	}
}

// strip computes one panel of rows for all panels of B, while the next one, of so
// many rows, comes into the cache.
func (w *worker) strip(p *product, i, rows, j, cols, k0 int, last bool, next int) {
	t, panel := &w.t, w.k.panel()
	t.panels, t.rowBias, t.colBias = 1, nil, nil
	if last {
		t.rowBias = pointer(p.rowBias, i)
	}
	steps := blocksOf(cols, panel)
	for s := range steps {
		at := s * panel
		vecs := w.width(min(panel, cols-at))
		w.aimB(p, at, vecs, k0, j+at)
		if last {
			t.colBias = pointer(p.colBias, j+at)
		}
		t.c, t.cNext = pointer(p.c, i*p.cRow+j+at), uintptr(4*panel)
		if s == steps-1 {
			t.cNext = uintptr(4 * (rows*p.cRow - at))
		}
		w.aheadA(p, i+rows, next, k0, s, steps)
		w.k.tile[vecs-1][rows-1](t)
	}
}

// aimB points the tile at the panel of column j, whose copy begins at column at.
func (w *worker) aimB(p *product, at, vecs, k0, j int) {
	wide := vecs * w.k.width
	w.t.bRow = uintptr(4 * wide)
	if p.packed != nil {
		w.t.b = pointer(p.packed, j*p.k+k0*wide)
	} else {
		w.t.b = pointer(w.b, at*w.t.k)
	}
}

// aheadA asks for part s of steps of the panel of A that comes next: a row or some
// for each step.
func (w *worker) aheadA(p *product, i, rows, k0, s, steps int) {
	kn, each := w.t.k, blocksOf(rows, steps)
	switch {
	case s*each >= rows:
		w.ahead(nil, 0, 0, 0)
	case each == 1:
		// Slowly, so that there is room for the lines of B on their way.
		w.ahead(p.a, (i+s)*p.aRow+k0, kn/8, 8)
	case p.aRow < 2*kn:
		n := min(each, rows-s*each)
		w.ahead(p.a, (i+s*each)*p.aRow+k0, ((n-1)*p.aRow+kn)/w.k.panel(), w.k.panel())
	default: // the begin of each; the processor sees the rest coming
		w.ahead(p.a, (i+s*each)*p.aRow+k0, min(each, rows-s*each), p.aRow)
	}
}

// ahead asks for n times a panel's row of s, from one on, step apart.
func (w *worker) ahead(s []float32, from, n, step int) {
	t := &w.t
	t.aheadSoon, t.aheadStep, t.aheadLeft = pointer(s, from), uintptr(4*step), n
	if t.aheadSoon == nil {
		t.aheadLeft = 0
	}
}

// multiplyTurned computes few rows without a copy of B, which is stored transposed, 32
// columns at once. The last ks, and what comes after the sums, are left to what holds
// B. The last columns overlap those before them, unless their chains go on from C: then
// what is left is done as for others.
func (w *worker) multiplyTurned(p *product, i0, i1, j0, j1 int) {
	t, whole, last := &w.t, p.k/w.k.width*w.k.width, j1
	if whole == p.k && (p.relu || p.colBias != nil) {
		whole -= w.k.width
	}
	if p.load || j1-j0 < turnedColumns {
		last -= (j1 - j0) % turnedColumns
	}
	rest := *p
	rest.a, rest.b, rest.k, rest.load = p.a[min(whole, len(p.a)):], p.b[min(whole, len(p.b)):], p.k-whole, true
	for at := j0; at < last; at += turnedColumns {
		j := min(at, last-turnedColumns)
		for i := i0; i < i1; i += len(w.k.turned) {
			t.a, t.b, t.c = pointer(p.a, i*p.aRow), pointer(p.b, j*p.bCol), pointer(p.c, i*p.cRow+j)
			t.aRow, t.bRow, t.k, t.load = uintptr(4*p.aRow), uintptr(4*p.bCol), whole, flag(p.load)
			w.k.turned[min(i1-i, len(w.k.turned))-1](t)
		}
		if rest.k > 0 {
			w.multiplyHeld(&rest, i0, i1, j, j+turnedColumns)
		}
	}
	w.multiplyBlocks(p, i0, i1, last, j1)
}

// blockOfB is ks and columns of B that pass by blocks of A.
type blockOfB struct {
	k0, j0, j1 int
	last       bool // these are the last ks
	direct     bool // panels are read where they are
	wide       bool // by wide tiles
	shared     bool // copies of panels lie side by side, for all blocks of A
	made       bool // they are there
}

// multiplyBlocks goes through blocks of A.
func (w *worker) multiplyBlocks(p *product, i0, i1, j0, j1 int) {
	rows, cols, deep := i1-i0, max(j1-j0, 1), blockDeep
	high := min(max(blockA/max(1, min(p.k, deep)), w.k.rows), blockRows)
	b := blockOfB{direct: p.direct(w.k, rows)}
	if rows > high && !b.direct {
		high, cols, deep, b.shared = sharedRows, sharedN, sharedK, true
	}
	heights, depths := blocksOf(rows, high), blocksOf(p.k, deep)
	for j := j0; j < j1; j += cols {
		b.j0, b.j1 = j, min(j+cols, j1)
		for d := range depths {
			b.k0, b.last = w.depth(p, d, depths)
			b.made = false
			for h := range heights {
				from := rows * h / heights
				i, n := i0+from, rows*(h+1)/heights-from
				w.multiplyBlock(p, w.packA(p, i, n, b.k0), i, n, &b)
				b.made = b.shared
			}
		}
	}
}

// multiplyBlock goes through the panels of a block of B, for a block of A.
func (w *worker) multiplyBlock(p *product, src source, i, rows int, b *blockOfB) {
	k, load, relu := w.t.k, w.t.load, w.t.relu
	for j := b.j0; j < b.j1; j += w.k.panel() {
		cols, rest := w.width(min(w.k.panel(), b.j1-j))*w.k.width, *b
		if b.direct && w.t.mask != nil {
			inside := min(p.inside(j+cols)-b.k0, k)
			rest.direct = inside == k
			if !rest.direct && inside >= partDepth {
				head := *b
				head.last, w.t.k, w.t.relu = false, inside, 0
				w.multiplyPanel(p, src, i, rows, j, &head)
				rest.k0, w.t.k, w.t.load, w.t.relu = b.k0+inside, k-inside, 1, relu
			}
		}
		w.multiplyPanel(p, src.from(rest.k0-b.k0), i, rows, j, &rest)
		w.t.k, w.t.load = k, load
	}
}

// multiplyPanel does the panel of column j, for a block of A.
func (w *worker) multiplyPanel(p *product, src source, i, rows, j int, b *blockOfB) {
	t, vecs := &w.t, blocksOf(min(w.k.panel(), b.j1-j), w.k.width)
	if b.direct {
		t.b, t.bRow = pointer(p.b, b.k0*p.bRow+j), uintptr(4*p.bRow)
	} else {
		w.aimB(p, w.copied(p, b, j), vecs, b.k0, j)
	}
	w.aheadB(p, b, j+w.k.panel())
	w.tiles(p, src, w.k.tile[vecs-1], i, rows, j, b.last)
}

// copied copies the panel of column j, if that is still to be done, and returns the
// column where the copy begins.
func (w *worker) copied(p *product, b *blockOfB, j int) int {
	at, cols := 0, w.k.panel()
	if b.shared {
		at, cols = j-b.j0, b.j1-b.j0+cols
	}
	if p.packed == nil && !b.made {
		w.b = grow(w.b, cols*w.t.k)
		w.packPanel(p, w.b[at*w.t.k:], b.k0, b.k0+w.t.k, j, min(j+w.k.panel(), b.j1))
	}
	return at
}

// aheadB asks for the panel of B that is read next, that of column j.
func (w *worker) aheadB(p *product, b *blockOfB, j int) {
	kn, panel := w.t.k, w.k.panel()
	n := min(panel, b.j1-j)
	switch {
	case p.taps != nil || n <= 0:
		w.ahead(nil, 0, 0, 0)
	case p.packed != nil:
		w.ahead(p.packed, j*p.k+b.k0*panel, kn, panel)
	case b.made:
		w.ahead(w.b, (j-b.j0)*kn, kn, panel)
	case p.bCol == 1:
		w.ahead(p.b, b.k0*p.bRow+j, kn, p.bRow)
	case p.bCol < 2*kn:
		w.ahead(p.b, j*p.bCol+b.k0, ((n-1)*p.bCol+kn)/panel, panel)
	default:
		w.ahead(p.b, j*p.bCol+b.k0, n, p.bCol)
	}
}

// tiles runs the kernels for one panel of B and a block of A that begins at row i.
func (w *worker) tiles(p *product, src source, kernels []func(*tile), i, rows, col int, last bool) {
	for _, g := range groups(rows, w.k.rows) {
		if g.panels > 0 {
			w.tile(p, src, kernels[g.rows-1], i, g, col, last)
		}
	}
}

// tile runs a kernel for one panel of B and some panels of a block of A from row i on.
func (w *worker) tile(p *product, src source, kernel func(*tile), i int, g group, col int, last bool) {
	t := &w.t
	w.aim(src, g.rows, g.first)
	t.rowBias, t.colBias = nil, nil
	if last {
		t.rowBias, t.colBias = pointer(p.rowBias, i+g.first), pointer(p.colBias, col)
	}
	t.panels, t.bNext, t.colBiasNext, t.rowBiasNext = g.panels, 0, 0, uintptr(4*g.rows)
	t.c = pointer(p.c, (i+g.first)*p.cRow+col)
	t.cNext = uintptr(g.rows) * t.cRow
	kernel(t)
}

// group is panels of equal height in a block of A.
type group struct{ first, rows, panels int }

// groups cuts so many rows of A into panels of about equal height, most at most.
func groups(rows, most int) [2]group {
	high, few := heights(rows, most)
	return [2]group{{0, high, few}, {few * high, high - 1, blocksOf(rows, most) - few}}
}

// heights cuts rows into panels, of most rows at most: few of height high, the others
// have one row less.
func heights(rows, most int) (high, few int) {
	if rows <= most {
		return rows, 1
	}
	panels := blocksOf(rows, most)
	high = blocksOf(rows, panels)
	return high, rows - panels*(high-1)
}
