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
	directImage = 1 << 17
)

func (g *grid) far() bool {
	last := len(g.offsets) - 1
	return last >= directDepth && int(g.offsets[last]) > directImage
}

// tapForm chooses the fastest way for m channels.
func (k *kernels) tapForm(g *grid, m, depth int) tapForm {
	form, _ := k.tapCost(g, m, depth)
	return form
}

// tapCost also says what the planes cost: multiply-adds, those of missing elements
// included, and what comes with them. The copy into panels is worth about six
// channels, the loads and address sums of places that are not aligned one product
// in fifteen, and a tile across channels is transposed, which is worth four ks;
// with one vector of channels it needs 17 loads for 16 products, unless taps are
// threes. No form but panels may read a borderless image, which is the caller's: they
// read past the end of a line. Flat planes are for vectors of places alone.
func (k *kernels) tapCost(g *grid, m, depth int) (form tapForm, least int) {
	plane := g.outH * g.outW
	form, least = tapPanels, (m+6)*plane*depth
	if k.direct == nil || g.borderless || depth == 0 {
		return form, least
	}
	vectors := k.whole(g.outW) * g.outH
	if g.flat != nil {
		vectors = k.whole(plane)
	}
	if cost := m * vectors * depth; g.flat != nil || cost <= least && !g.far() {
		form, least = tapDirect, cost+cost/15+m*vectors
	}
	cost := k.whole(m) * plane * (depth + 4)
	if m <= k.width && !g.threes {
		cost += cost / 16
	}
	if g.flat == nil && k.across[0] != nil && cost < least {
		form, least = tapAcross, cost
	}
	return form, least
}

// multiplyTaps computes all of C, whose B are the taps of an image.
func (w *worker) multiplyTaps(p *product) {
	switch w.k.tapForm(p.taps, p.m, p.k) {
	case tapPanels:
		p.border(w)
		w.multiply(p, 0, p.m, 0, p.n)
		return
	case tapDirect:
		p.border(w)
		w.multiplyDirect(p)
	case tapAcross:
		w.multiplyAcross(p)
	}
	p.activate(w, 0, p.m, 0, p.n)
}

// border puts the image in b, in its stored form, unless it is there.
func (p *product) border(w *worker) {
	if p.image != nil {
		p.b = w.image(p.taps, p.image, p.channels)
	}
}

// multiplyDirect computes all of C, with vectors of places.
func (w *worker) multiplyDirect(p *product) {
	for _, g := range groups(p.m, w.k.rows) {
		for n := range g.panels {
			w.directRows(p, g.first+n*g.rows, g.rows)
		}
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
	if g.flat == nil {
		w.directLines(p, r, rows, span{to: g.outW, lines: g.outH})
		return
	}
	wide, plane := w.k.width<<(len(w.k.direct[rows-1])-1), g.outH*g.outW
	t.cLine, t.bLine = uintptr(4*wide), uintptr(4*wide)
	w.directLines(p, r, rows, span{to: wide, lines: plane / wide})
	w.directLines(p, r, rows, span{from: plane / wide * wide, to: plane, lines: 1})
}

// directLines computes rows r to r+rows of columns of lines.
func (w *worker) directLines(p *product, r, rows int, s span) {
	t, kernels := &w.t, w.k.direct[rows-1]
	t.lines = s.lines
	for at := s.from; at < s.to && s.lines > 0; {
		vecs, i := (s.to-at+w.k.width-1)/w.k.width, len(kernels)-1
		for 1<<i > vecs {
			i--
		}
		cols := min(w.k.width<<i, s.to-at)
		w.width(cols)
		t.b, t.c = pointer(p.b, at), pointer(p.c, r*p.cRow+at)
		times := (s.lines<<i*rows + 23) / 24 * max(p.k/tapSteps, 1)
		w.soonX.aim(&t.soonX, &t.soonXStep, rows*cols*s.lines, times)
		w.soonY.aim(&t.soonY, &t.soonYStep, rows*cols*s.lines, times)
		kernels[i](t)
		at += cols
	}
}
