package tensor

// Longer chains, over an image of more floats, are left to panels: the taps of a
// tile would not stay in the first cache, nor the image beside the weights in
// the second.
const (
	directDepth = 320
	directImage = 1 << 15
)

// multiplyTaps computes all of C, whose B are the taps of an image: from panels,
// or from the image itself if that is faster.
func (w *worker) multiplyTaps(p *product) {
	if !w.worthDirect(p) {
		w.multiply(p, 0, p.m, 0, p.n)
		return
	}
	high, few := w.heights(p.m)
	for r := 0; r < p.m; {
		rows := high
		if r >= few*high {
			rows--
		}
		w.directRows(p, r, rows)
		r += rows
	}
	p.activate(w, 0, p.m, 0, p.n)
}

// worthDirect is whether the taps are better read from the image, in its stored
// form: that may be read past the end of a line. Vectors are filled line by line,
// which wastes what is left of the last one; panels cost a copy, about as much as
// six more rows.
func (w *worker) worthDirect(p *product) bool {
	g, width := p.taps, w.k.width
	if w.k.direct == nil || g.borderless || p.k == 0 || p.n == 0 {
		return false
	}
	if p.k > directDepth && int(g.offsets[p.k-1]) > directImage {
		return false
	}
	vecs := (g.outW + width - 1) / width
	return p.m*vecs*width <= (p.m+6)*g.outW
}

// directRows computes rows r to r+rows of C: the lines of a plane in strips as
// wide as kernels have vectors.
func (w *worker) directRows(p *product, r, rows int) {
	t, g := &w.t, p.taps
	t.a, t.aRow = pointer(p.a, r*p.aRow), uintptr(4*p.aRow)
	t.offsets, t.k = pointer(g.offsetsBytes, 0), p.k
	t.rowBias, t.relu = pointer(p.rowBias, r), flag(p.relu)
	t.cRow, t.cLine, t.bLine = uintptr(4*p.cRow), uintptr(4*g.outW), uintptr(4*g.outRowStep)
	t.lines = g.outH
	kernels := w.k.direct[rows-1]
	for at := 0; at < g.outW; {
		vecs, i := (g.outW-at+w.k.width-1)/w.k.width, len(kernels)-1
		for 1<<i > vecs {
			i--
		}
		cols := min(w.k.width<<i, g.outW-at)
		w.width(cols)
		t.b, t.c = pointer(p.b, at), pointer(p.c, r*p.cRow+at)
		kernels[i](t)
		at += cols
	}
}
