package tensor

import "unsafe"

// weightJob is the gradient of the weights of a convolution: for each lane and
// group
//
//	dwᵀ (InC·KH·KW, OutC) = taps of x (InC·KH·KW, images·OH·OW) · dyᵀ (images·OH·OW, OutC)
//
// # How it is computed
//
//	for parts of dwᵀ               some input channels, some output channels
//	  for lanes
//	    for blocks of images, or of lines of an image
//	      for panels               some output channels; dy is turned
//	        for tiles              some taps; their sums stay in registers
//	    round the sums to integers
//
// Taps are read from the bordered image, where they are. The chains go on from
// block to block in float32. Sums and integers are in panels, too: the gradient is
// turned when a part begins and when it ends. A narrow gradient is computed in another
// way: see narrowPart.
type weightJob struct {
	plan  *convPlan
	dst   *Grad
	x, dy []float32
	rows  []int
	// Channels of a group that a part has.
	ins, outs int
}

func (e *Engine) convWeight(dst *Grad, x, dy []float32, c Conv, rows []int) {
	lanes := len(rows) - 1
	j := &e.weight
	*j = weightJob{plan: e.convPlan(c), dst: dst, x: x, dy: dy, rows: rows}
	for _, w := range e.pool.workers {
		w.clearTops(lanes)
	}
	e.pool.run(j, c.Groups*j.cut(e.k, e.threads))
	if dst.Int != nil {
		e.mergeTops(dst.Max[:lanes])
	}
	*j = weightJob{}
}

// cut chooses the parts of a group and returns how many there are. Every part
// turns dy of its output channels and puts a border round its input channels:
// the fewer parts share them, the better.
func (j *weightJob) cut(k *kernels, threads int) int {
	c := &j.plan.c
	ic, oc := c.InC/c.Groups, c.OutC/c.Groups
	j.ins, j.outs = ic, oc
	switch {
	case c.Groups >= threads:
	case j.plan.narrow != nil:
		j.outs = pieces(oc, threads, len(k.narrow))
	case oc >= threads*k.panel():
		j.outs = pieces(oc, threads, k.panel())
	case ic >= 4*threads || oc <= k.width:
		j.ins = pieces(ic, threads, 1)
	default:
		j.outs = pieces(oc, threads, k.width)
	}
	return pieceCount(ic, j.ins) * pieceCount(oc, j.outs)
}

// pieces is the size of at most n pieces of whole units.
func pieces(size, n, unit int) int { return (size + n*unit - 1) / (n * unit) * unit }

func pieceCount(size, piece int) int { return (size + piece - 1) / piece }

func (j *weightJob) part(w *worker, i int) {
	if j.plan.narrow != nil {
		j.narrowPart(w, i)
		return
	}
	p := j.weightPart(w, i)
	size := p.cols * p.taps
	w.sum = grow(w.sum, size)
	if j.dst.Float != nil {
		p.load(w.sum, j.dst.Float)
		p.images(j.rows[0], j.rows[len(j.rows)-1], true)
		p.store(j.dst.Float, w.sum)
		return
	}
	w.spare = grow(w.spare, size)
	totals := unsafe.Slice((*int32)(unsafe.Pointer(&w.spare[0])), size)
	p.load(w.spare, floats(j.dst.Int))
	for lane := range len(j.rows) - 1 {
		if j.rows[lane] == j.rows[lane+1] {
			continue
		}
		p.images(j.rows[lane], j.rows[lane+1], false)
		top := &w.tops[lane*laneWidth]
		*top = w.quantise(totals, w.sum[:size], j.dst.Scale, *top)
	}
	p.store(floats(j.dst.Int), w.spare)
}

// load turns the gradient into panels.
func (p *weightPart) load(panels, grad []float32) {
	depth := p.plan.c.depth()
	for o := 0; o < p.outs; o += p.panel {
		p.turn(panels[o*p.taps:], p.wide(o), grad[(p.out+o)*depth+p.tap:], depth, p.outs-o, p.taps)
	}
}

// store turns panels back into the gradient: by kernels, which write blocks of 8
// by 8, and what is left one by one.
func (p *weightPart) store(grad, panels []float32) {
	w, depth := p.w, p.plan.c.depth()
	for o := 0; o < p.outs; o += p.panel {
		wide := p.wide(o)
		from, to := panels[o*p.taps:], grad[(p.out+o)*depth+p.tap:]
		for t := 0; t < p.taps; t += 8 {
			n, taps, turned := min(wide, p.outs-o), min(8, p.taps-t), 0
			if taps == 8 {
				turned = n / 8 * 8
				for r := range w.rows {
					w.rows[r] = &from[(t+r)*wide]
				}
				w.transpose(to[t:], depth, turned)
			}
			for i := turned; i < n; i++ {
				for r := t; r < t+taps; r++ {
					to[i*depth+r] = from[r*wide+i]
				}
			}
		}
	}
}
