package tensor

// packFilters writes the weights of a job as vectors across channels read them:
// whole vectors of channels, k by k, in panels of two. What is (m, k) in w begins
// at the same share of the buffer. The bias follows behind.
func (e *Engine) packFilters(j *convJob) {
	c, m := &j.plan.c, j.plan.c.OutC/j.plan.c.Groups
	if j.kind == convInput {
		m = c.InC / c.Groups
	}
	weights := c.OutC * c.depth()
	size := weights / m * e.k.whole(m)
	e.filters = grow(e.filters, size+len(j.bias))
	j.filters = e.filters
	group := c.OutC / c.Groups * c.depth()
	for at := 0; at < weights; at += group {
		if j.kind == convForward {
			j.packFilter(e, &j.plan.y, m, c.depth(), at)
			continue
		}
		for i := range j.plan.phases {
			ph := &j.plan.phases[i]
			j.packFilter(e, &ph.grid, m, ph.k, at+ph.at)
		}
	}
	if j.bias != nil {
		j.bias = j.filters[size:][:copy(j.filters[size:], j.bias)]
	}
}

func (j *convJob) packFilter(e *Engine, g *grid, m, k, at int) {
	if e.k.tapForm(g, m, k) != tapAcross {
		return
	}
	w, panel := e.pool.workers[0], e.k.panel()
	for first := 0; first < m; first += panel {
		n := min(panel, m-first)
		for i := 0; i < e.k.whole(n); i += 8 {
			for r := range w.rows {
				w.rows[r] = &j.w[at+(first+min(i+r, n-1))*k]
			}
			w.transpose(j.filters[j.filterAt(e.k, m, at)+first*k+i:], e.k.whole(n), k)
		}
	}
}

// filterAt is where the panels of the weights at w[at:] begin.
func (j *convJob) filterAt(k *kernels, m, at int) int { return at / m * k.whole(m) }

// whole is how many numbers the whole vectors have that n numbers need.
func (k *kernels) whole(n int) int { return (n + k.width - 1) / k.width * k.width }

// multiplyAcross computes all of C from packed weights.
func (w *worker) multiplyAcross(p *product) {
	g, t := p.taps, &w.across
	t.cRow, t.offsets, t.k, t.relu = uintptr(4*p.cRow), pointer(g.offsetsBytes, 0), p.k, flag(p.relu)
	for at := 0; at < p.m; at += w.k.panel() {
		t.channels = min(w.k.panel(), p.m-at)
		t.w, t.bias = pointer(p.filters, at*p.k), pointer(p.rowBias, at)
		n, shared := strips(g.outW, len(w.k.across[(t.channels-1)/w.k.width]))
		own, pairs := g.outW-shared, g.outH/2
		if shared == 0 {
			w.acrossStrips(p, at, span{to: g.outW, lines: g.outH, step: 1}, n)
			continue
		}
		w.acrossStrips(p, at, span{to: own, lines: g.outH - pairs, step: 2}, n-1)
		w.acrossStrips(p, at, span{from: own, to: g.outW + shared, lines: pairs, step: 2, gap: g.outRowStep - g.outW}, 1)
		w.acrossStrips(p, at, span{line: 1, from: shared, to: g.outW, lines: pairs, step: 2}, n-1)
		w.acrossStrips(p, at, span{line: 2 * pairs, from: own, to: g.outW, lines: g.outH % 2, step: 1}, 1)
	}
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

// acrossStrips computes a span for the channels from at on, in n strips.
func (w *worker) acrossStrips(p *product, at int, r span, n int) {
	if r.lines == 0 {
		return
	}
	g, t := p.taps, &w.across
	t.xLine, t.cLine, t.lines, t.gap = uintptr(4*g.outRowStep*r.step), uintptr(4*g.outW*r.step), r.lines, uintptr(4*r.gap)
	for i := range n {
		from, to := r.from+(r.to-r.from)*i/n, r.from+(r.to-r.from)*(i+1)/n
		t.x, t.c = pointer(p.b, r.line*g.outRowStep+from), pointer(p.c, at*p.cRow+r.line*g.outW+from)
		part := (to - from) * r.lines * t.channels
		times := r.lines * max(p.k/tapSteps, 1)
		w.soonX.aim(&t.soonX, &t.soonXStep, part, times)
		w.soonY.aim(&t.soonY, &t.soonYStep, part, times)
		w.k.across[(t.channels-1)/w.k.width][to-from-1](t)
	}
}
