package tensor

// weightJob is the gradient of the weights of a convolution: for each lane and
// group
//
//	dwᵀ (InC·KH·KW, OutC) = taps of x (InC·KH·KW, images·OH·OW) · dyᵀ
//
// Its parts are rows of dwᵀ. The chains go on from image to image in float32 in
// a buffer, which is added to the gradient when the lane is done.
type weightJob struct {
	plan  *convPlan
	dst   *Grad
	x, dy []float32
	rows  []int
	step  int // rows of dwᵀ in a part
	cuts  int // parts in a group
}

func (e *Engine) convWeight(dst *Grad, x, dy []float32, c Conv, rows []int) {
	plan := e.convPlan(c)
	depth := c.depth()
	lanes := len(rows) - 1
	if dst.Int != nil {
		need("ConvBackwardWeightLanes", "dst", len(dst.Int), c.OutC*depth)
		need("ConvBackwardWeightLanes", "dst.Max", len(dst.Max), lanes)
	} else {
		need("ConvBackwardWeightLanes", "dst", len(dst.Float), c.OutC*depth)
	}
	j := &e.weight
	*j = weightJob{plan: plan, dst: dst, x: x, dy: dy, rows: rows}
	cuts := min(e.threads, (depth+e.k.rows-1)/e.k.rows)
	if c.Groups >= e.threads {
		cuts = 1
	}
	j.step = (depth + cuts - 1) / cuts
	j.cuts = (depth + j.step - 1) / j.step
	for _, w := range e.pool.workers {
		w.clearTops(lanes)
	}
	e.pool.run(j, j.cuts*c.Groups)
	if dst.Int != nil {
		e.mergeTops(dst.Max[:lanes])
	}
	*j = weightJob{}
}

func (j *weightJob) part(w *worker, i int) {
	c := &j.plan.c
	group, from := i/j.cuts, i%j.cuts*j.step
	to := min(from+j.step, c.depth())
	oc := c.OutC / c.Groups
	w.sum = grow(w.sum, (to-from)*oc)
	sum := w.sum[:(to-from)*oc]
	if j.dst.Float != nil {
		j.exchange(sum, group, from, to, false)
		j.images(w, sum, group, from, to, j.rows[0], j.rows[len(j.rows)-1])
		j.exchange(sum, group, from, to, true)
		return
	}
	for lane := range len(j.rows) - 1 {
		clear(sum)
		j.images(w, sum, group, from, to, j.rows[lane], j.rows[lane+1])
		j.quantise(w, sum, group, from, to, lane)
	}
}

// images goes on with the chains of rows from to to of dwᵀ over images n0 to n1.
func (j *weightJob) images(w *worker, sum []float32, group, from, to, n0, n1 int) {
	c, g := &j.plan.c, &j.plan.x
	ic, oc, out := c.InC/c.Groups, c.OutC/c.Groups, g.outH*g.outW
	lines := min(max(blockK/g.outW, 1), g.outH)
	blocks := (g.outH + lines - 1) / lines
	p := &w.product
	*p = product{m: to - from, n: oc, c: sum, cRow: oc, load: true, bRow: 1, bCol: out}
	for n := n0; n < n1; n++ {
		img := w.image(g, j.x[(n*c.InC+group*ic)*c.H*c.W:], ic)
		p.b = j.dy[(n*c.OutC+group*oc)*out:]
		for b := range blocks {
			h0, h1 := g.outH*b/blocks, g.outH*(b+1)/blocks
			w.t.k, w.t.load, w.t.relu = (h1-h0)*g.outW, 1, 0
			w.t.cRow = uintptr(4 * oc)
			w.packB(p, h0*g.outW, h1*g.outW, 0, oc)
			for i := 0; i < p.m; i += blockM {
				rows := min(blockM, p.m-i)
				w.packImage(g, img, from+i, rows, h0, h1)
				w.columnsOf(p, i, rows)
			}
		}
	}
}

// packImage copies the taps of so many rows of dwᵀ, for output rows h0 to h1,
// one after the other.
func (w *worker) packImage(g *grid, img []float32, first, rows, h0, h1 int) {
	step := streamStep(w.t.k)
	w.a = grow(w.a, rows*step)
	for r := range rows {
		w.copyPlane(w.a[r*step:], g.outW, img[h0*g.outRowStep+int(g.offsets[first+r]):], g.outRowStep, g.outW, h1-h0)
	}
}

// columnsOf computes the tiles of a block of rows whose A is in w.a and whose B
// is in panels.
func (w *worker) columnsOf(p *product, i, rows int) {
	high, few := w.heights(rows)
	src := source{a: w.a, row: streamStep(w.t.k), col: 1}
	for at := 0; at < p.n; at += w.k.panel() {
		vecs := w.width(min(w.k.panel(), p.n-at))
		w.t.bRow = uintptr(4 * vecs * w.k.width)
		w.t.b = pointer(w.b, at*w.t.k)
		w.t.colBias, w.t.rowBias = nil, nil
		w.tiles(p, src, w.k.tile[vecs-1], i, rows, at, high, few, false)
	}
}

// exchange copies the gradient into the buffer, or back.
func (j *weightJob) exchange(sum []float32, group, from, to int, back bool) {
	c := &j.plan.c
	oc := c.OutC / c.Groups
	for o := range oc {
		g := j.dst.Float[(group*oc+o)*c.depth():]
		for r := from; r < to; r++ {
			if s := &sum[(r-from)*oc+o]; back {
				g[r] = *s
			} else {
				*s = g[r]
			}
		}
	}
}

// quantise adds the buffer to the gradient of a lane.
func (j *weightJob) quantise(w *worker, sum []float32, group, from, to, lane int) {
	c := &j.plan.c
	oc := c.OutC / c.Groups
	top := &w.tops[lane*laneWidth]
	w.spare = grow(w.spare, to-from)
	g := w.spare[:to-from]
	for o := range oc {
		for r := range g {
			g[r] = sum[r*oc+o]
		}
		*top = w.quantise(j.dst.Int[(group*oc+o)*c.depth()+from:][:to-from], g, j.dst.Scale, *top)
	}
}
