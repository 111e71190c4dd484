package tensor

// tapForm is a way to compute a product whose B are the taps of an image.
type tapForm int

const (
	tapPanels tapForm = iota // copies taps into panels
	tapDirect                // reads the image where it is; vectors are places of a line
	tapAcross                // reads the image where it is; vectors are channels
)

// Longer chains, over an image of more floats, are left to panels: the taps of a
// tile would not stay in the first cache, nor the image beside the weights in
// the second.
const (
	directDepth = 320
	directImage = 1 << 15
)

// tapForm chooses the fastest way for m channels. It compares multiply-adds of
// vectors, those with elements missing included, and what comes with them: the
// copy into panels is worth about six channels, the loads and address sums of
// places that are not aligned one product in fifteen, and a tile across channels
// is transposed, which is worth four ks; with one vector of channels it needs 17
// loads for 16 products. No form but panels may read a borderless image, which
// is the caller's: they read past the end of a line.
func (k *kernels) tapForm(g *grid, m, depth int) tapForm {
	if k.direct == nil || g.borderless || depth == 0 {
		return tapPanels
	}
	form, least := tapPanels, (m+6)*g.outW*depth
	far := depth > directDepth && int(g.offsets[depth-1]) > directImage
	if cost := m * k.whole(g.outW) * depth; cost <= least && !far {
		form, least = tapDirect, cost+cost/15+m*k.whole(g.outW)
	}
	cost := k.whole(m) * g.outW * (depth + 4)
	if m <= k.width {
		cost += cost / 16
	}
	if k.across[0] != nil && cost < least {
		form = tapAcross
	}
	return form
}

// multiplyTaps computes all of C, whose B are the taps of an image.
func (w *worker) multiplyTaps(p *product) {
	switch w.k.tapForm(p.taps, p.m, p.k) {
	case tapPanels:
		w.multiply(p, 0, p.m, 0, p.n)
		return
	case tapDirect:
		w.multiplyDirect(p)
	case tapAcross:
		w.multiplyAcross(p)
	}
	p.activate(w, 0, p.m, 0, p.n)
}

// multiplyDirect computes all of C, with vectors of places.
func (w *worker) multiplyDirect(p *product) {
	high, few := w.heights(p.m)
	for r := 0; r < p.m; {
		rows := high
		if r >= few*high {
			rows--
		}
		w.directRows(p, r, rows)
		r += rows
	}
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
		times := (g.outH<<i*rows + 23) / 24 * max(p.k/tapSteps, 1)
		w.soonX.aim(&t.soonX, &t.soonXStep, rows*cols*g.outH, times)
		w.soonY.aim(&t.soonY, &t.soonYStep, rows*cols*g.outH, times)
		kernels[i](t)
		at += cols
	}
}
