package tensor

// The gradient of filters with few weights is, for each image and group, a product
// of few columns
//
//	dw (OutC, InC·KH·KW) += dy (OutC, OH·OW) · taps of x (InC·KH·KW, OH·OW)ᵀ
//
// whose operands have OH·OW elements side by side: see multiplyNarrow.

// tapRows is how the taps of an image become rows of OH·OW elements. Planes that are
// flat have them, and so have those without a border. Else those of a filter's column
// lie in one copy of its lines, without a border, from different lines on.
type tapRows struct {
	grid
	copies []lineCopy
	size   int     // elements of all copies
	rows   []int64 // where each row begins, in bytes
}

// lineCopy is lines of the stored image, outRowStep apart, that are put side by side.
type lineCopy struct{ from, to, lines int }

// tapRows returns nil if the gradient of the weights is not narrow.
func (p *convPlan) tapRows() *tapRows {
	product := Gemm{N: p.c.depth(), K: p.x.outH * p.x.outW, TransB: true}
	if !product.narrow() {
		return nil
	}
	t := &tapRows{grid: p.x}
	if flat := p.x.flattened(p.c.InC / p.c.Groups); flat != nil {
		t.grid = *flat
	}
	for _, at := range t.offsets {
		if t.outRowStep == t.outW {
			t.rows = append(t.rows, 4*int64(at))
			continue
		}
		in := int(at) % t.planeStep
		lines := t.copyOf(int(at) - in + in%t.outRowStep)
		t.rows = append(t.rows, int64(4*(lines.to+in/t.outRowStep*t.outW)))
	}
	return t
}

// copyOf is the copy of the lines whose first one begins there.
func (t *tapRows) copyOf(from int) lineCopy {
	for _, c := range t.copies {
		if c.from == from {
			return c
		}
	}
	c := lineCopy{from, t.size, (t.planeStep-from%t.planeStep-t.outW)/t.outRowStep + 1}
	t.copies, t.size = append(t.copies, c), t.size+c.lines*t.outW
	return c
}

// narrowPart is part if the gradient is narrow.
func (j *weightJob) narrowPart(w *worker, i int) {
	c := &j.plan.c
	oc, depth := c.OutC/c.Groups, c.depth()
	cuts := pieceCount(oc, j.outs)
	group, out := i/cuts, i%cuts*j.outs
	outs := min(j.outs, oc-out)
	at, size := (group*oc+out)*depth, outs*depth
	if j.dst.Float != nil {
		j.narrowImages(w, j.dst.Float[at:][:size], group, out, j.rows[0], j.rows[len(j.rows)-1])
		return
	}
	w.sum = grow(w.sum, size)
	for lane := range len(j.rows) - 1 {
		if j.rows[lane] == j.rows[lane+1] {
			continue
		}
		clear(w.sum[:size])
		j.narrowImages(w, w.sum[:size], group, out, j.rows[lane], j.rows[lane+1])
		top := &w.tops[lane*laneWidth]
		*top = w.quantise(j.dst.Int[at:][:size], w.sum[:size], j.dst.Scale, *top)
	}
}

// narrowImages adds the gradients of images n0 to n1 to those of some output channels
// of a group, from out on.
func (j *weightJob) narrowImages(w *worker, sums []float32, group, out, n0, n1 int) {
	c, g := &j.plan.c, &j.plan.x
	ic, oc, plane, depth := c.InC/c.Groups, c.OutC/c.Groups, g.outH*g.outW, c.depth()
	p := &w.product
	*p = product{m: len(sums) / depth, n: depth, k: plane, aRow: plane, aCol: 1, bRow: 1, c: sums, cRow: depth, load: true}
	for n := n0; n < n1; n++ {
		p.a = j.dy[(n*c.OutC+group*oc+out)*plane:]
		p.b = w.tapRows(j.plan, j.x[(n*c.InC+group*ic)*c.H*c.W:])
		w.multiplyNarrow(p, j.plan.narrow.rows, 0, p.m, 0, p.n)
	}
}

// tapRows returns what holds the rows of taps of some channels of an image.
func (w *worker) tapRows(plan *convPlan, x []float32) []float32 {
	t := plan.narrow
	image := w.image(&t.grid, x, plan.c.InC/plan.c.Groups)
	if len(t.copies) == 0 {
		return image
	}
	w.b = grow(w.b, t.size)
	for _, l := range t.copies {
		w.copyLines(w.b[l.to:], t.outW, image[l.from:], t.outRowStep, t.outW, l.lines)
	}
	return w.b
}
