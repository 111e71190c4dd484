package tensor

// packFilters writes the weights of a job as vectors across channels read them:
// whole vectors of channels, k by k, in panels of two, for all taps and then for
// those of bands. The bias follows behind.
func (e *Engine) packFilters(j *convJob) {
	c, w := &j.plan.c, e.pool.workers[0]
	m, ks := c.OutC/c.Groups, j.plan.packedY
	if j.kind == convInput {
		m, ks = c.InC/c.Groups, j.plan.packedX
	}
	j.packed = e.k.whole(m) * ks
	size := c.Groups * j.packed
	e.filters = grow(e.filters, size+len(j.bias))
	j.filters = e.filters
	group := c.OutC / c.Groups * c.depth()
	if size > 0 && j.n >= bandImages {
		sum := w.sum32(j.w[:c.Groups*group])
		j.banded = sum-sum == 0
	}
	for i := range c.Groups {
		if j.kind == convForward {
			j.packFilter(w, &j.plan.y, j.w[i*group:], m, i)
			continue
		}
		for k := range j.plan.phases {
			ph := &j.plan.phases[k]
			j.packFilter(w, &ph.grid, j.w[i*group+ph.at:], m, i)
		}
	}
	if j.bias != nil {
		j.bias = j.filters[size:][:copy(j.filters[size:], j.bias)]
	}
}

// groupFilters is where the packed filters of a group begin, for m channels.
func (j *convJob) groupFilters(k *kernels, g *grid, m, group int) []float32 {
	return j.filters[group*j.packed+k.whole(m)*g.filters:]
}

// packFilter packs the weights of m channels of a group for one grid.
func (j *convJob) packFilter(w *worker, g *grid, weights []float32, m, group int) {
	if g.bands == nil {
		return
	}
	dst, k, panel := j.groupFilters(w.k, g, m, group), len(g.offsets), w.k.panel()
	for first := 0; first < m; first += panel {
		n := min(panel, m-first)
		for i := 0; i < w.k.whole(n); i += 8 {
			for r := range w.rows {
				w.rows[r] = &weights[(first+min(i+r, n-1))*k]
			}
			w.transpose(dst[first*k+i:], w.k.whole(n), k)
		}
	}
	if j.banded {
		w.k.packBands(dst, g, m)
	}
}

// whole is how many numbers the whole vectors have that n numbers need.
func (k *kernels) whole(n int) int { return (n + k.width - 1) / k.width * k.width }

// multiplyAcross computes all of C from packed weights.
func (w *worker) multiplyAcross(p *product) {
	if p.banded {
		if p.taps.bands[0].bare {
			p.b = p.image
		} else {
			p.border(w)
		}
		if w.acrossBands(p, p.taps.bands) {
			return
		}
	}
	w.soonX, w.soonY = soon{}, soon{}
	p.border(w)
	w.acrossBands(p, p.taps.whole)
}

// acrossBands returns whether it is sure that no tap that was left out matters.
func (w *worker) acrossBands(p *product, bands []band) bool {
	t := &w.across
	t.cRow, t.relu, t.minus, t.threes = uintptr(4*p.cRow), flag(p.relu), 0, flag(p.taps.threes)
	for at := 0; at < p.m; at += w.k.panel() {
		t.channels, t.bias = min(w.k.panel(), p.m-at), pointer(p.rowBias, at)
		for i := range bands {
			b := &bands[i]
			t.offsets, t.k, t.next = pointer(b.offsets, 0), len(b.offsets), b.next()
			t.w = pointer(p.filters, w.k.whole(p.m)*b.filters+at*t.k)
			w.acrossLines(p, at, b)
		}
	}
	return t.minus == 0
}

// acrossLines computes the lines of a band for the channels from at on.
func (w *worker) acrossLines(p *product, at int, b *band) {
	g := p.taps
	n, shared := strips(g.outW, len(w.k.across[(w.across.channels-1)/w.k.width]))
	own, line, pairs := g.outW-shared, b.line, b.lines/2
	if shared == 0 {
		w.acrossStrips(p, at, b, span{line: line, to: g.outW, lines: b.lines, step: 1}, n)
		return
	}
	w.acrossStrips(p, at, b, span{line: line, to: own, lines: b.lines - pairs, step: 2}, n-1)
	w.acrossStrips(p, at, b, span{line: line, from: own, to: g.outW + shared, lines: pairs, step: 2, gap: b.rowStep - g.outW}, 1)
	w.acrossStrips(p, at, b, span{line: line + 1, from: shared, to: g.outW, lines: pairs, step: 2}, n-1)
	w.acrossStrips(p, at, b, span{line: line + 2*pairs, from: own, to: g.outW, lines: b.lines % 2, step: 1}, 1)
}

// strips cuts a line into n tiles of about the same size. If that takes one tile
// less for two lines, the last places of a line share one with the first of the
// next, so many of each.
func strips(width, most int) (n, shared int) {
	n = (width + most - 1) / most
	tiles := 2*n - 1
	shared = (2*width + tiles) / (2 * tiles)
	if own := width - shared; 2*shared > most || own > (n-1)*most {
		shared = 0
	}
	return n, shared
}

// span is columns of some lines, step lines apart. Behind the first half of its
// columns lie gap numbers of the image that are left out.
type span struct{ line, from, to, lines, step, gap int }

// acrossStrips computes a span of a band for the channels from at on, in n strips.
func (w *worker) acrossStrips(p *product, at int, b *band, r span, n int) {
	if r.lines == 0 {
		return
	}
	g, t := p.taps, &w.across
	t.xLine, t.cLine, t.lines, t.gap = uintptr(4*b.rowStep*r.step), uintptr(4*g.outW*r.step), r.lines, uintptr(4*r.gap)
	for i := range n {
		from, to := r.from+(r.to-r.from)*i/n, r.from+(r.to-r.from)*(i+1)/n
		t.x, t.c = pointer(p.b, r.line*b.rowStep+from), pointer(p.c, at*p.cRow+r.line*g.outW+from)
		t.left, t.inner = flag(b.bare && from == 0), flag(b.bare && to > g.outW)
		t.right = flag(b.bare && to%g.outW == 0)
		t.edge = b.filters | t.left | t.right | t.inner
		part := (to - from) * r.lines * t.channels
		times := r.lines * max(t.k/acrossSteps, 1)
		w.soonX.aim(&t.soonX, &t.soonXStep, part, times)
		w.soonY.aim(&t.soonY, &t.soonYStep, part, times)
		w.k.across[(t.channels-1)/w.k.width][to-from-1](t)
	}
}
