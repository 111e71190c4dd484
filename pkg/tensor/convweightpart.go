package tensor

// weightPart is the work on some channels of a group: in and out are the first
// ones, tap is the place of the first tap in a filter.
type weightPart struct {
	*weightJob
	w         *worker
	in, ins   int // of x
	out, outs int // of dy
	tap, taps int
	span      int // taps of a row of a tile
	panel     int // columns of a panel
	cols      int // outs that fill vectors
	ahead     ahead
}

// Blocks have about so many output elements: it then does not matter how long
// sums take to load and to store. If one tile has all sums it matters more that
// panels are still in the first cache when they are used.
const (
	weightBlock = 512
	weightSmall = 128
)

func (j *weightJob) weightPart(w *worker, i int) *weightPart {
	c, k := &j.plan.c, w.k
	ic, oc := c.InC/c.Groups, c.OutC/c.Groups
	inCuts, outCuts := pieceCount(ic, j.ins), pieceCount(oc, j.outs)
	group, in, out := i/outCuts/inCuts, i/outCuts%inCuts*j.ins, i%outCuts*j.outs
	p := &w.weight
	*p = weightPart{weightJob: j, w: w, in: group*ic + in, ins: min(j.ins, ic-in), out: group*oc + out, outs: min(j.outs, oc-out)}
	p.tap, p.taps = in*c.KH*c.KW, p.ins*c.KH*c.KW
	p.cols = pieces(p.outs, 1, k.width)
	p.span, p.panel = 1, k.panel()
	if c.KW == 3 && c.DilW == 1 && c.StrideW == 1 && j.plan.x.outW > 1 {
		p.span, p.panel = 3, k.width
	}
	return p
}

// wide is the number of columns of the panel of output channels from o on.
func (p *weightPart) wide(o int) int { return min(p.panel, p.cols-o) }

// kernels are those for panels so wide.
func (p *weightPart) kernels(wide int) []func(*weigh) {
	return p.w.k.weight[2*flag(p.span > 1)+wide/p.w.k.width-1]
}

// images goes on with the chains over images n0 to n1, or begins them.
func (p *weightPart) images(n0, n1 int, load bool) {
	c, g := &p.plan.c, &p.plan.x
	plane, size := g.outH*g.outW, weightBlock
	if p.taps <= p.span*len(p.kernels(p.wide(0))) {
		size = weightSmall
	}
	together := max(size/plane, 1)
	if p.ins < c.InC {
		together = 1 // the channels of images do not follow each other
	}
	cuts := min(pieceCount(plane, size), g.outH)
	for n := n0; n < n1; n += together {
		count := min(together, n1-n)
		p.lookAhead(n+count, min(together, p.rows[len(p.rows)-1]-n-count))
		image := p.w.image(g, p.x[(n*c.InC+p.in)*c.H*c.W:], p.ins*count)
		for i := range cuts {
			p.block(image, n, count, g.outH*i/cuts, g.outH*(i+1)/cuts, load || n > n0 || i > 0)
		}
	}
}

// block goes on with the chains over lines h0 to h1 of some images.
func (p *weightPart) block(image []float32, n, images, h0, h1 int, load bool) {
	c, g, w := &p.plan.c, &p.plan.x, p.w
	plane, size := g.outH*g.outW, (h1-h0)*g.outW
	w.b = grow(w.b, p.panel*size*images)
	w.weigh = weigh{image: pointer(image, h0*g.outRowStep),
		line: 4 * g.outW, lineGap: 4 * (g.outRowStep - g.outW), lines: h1 - h0,
		imageGap: 4 * (p.ins*g.planeStep - (h1-h0)*g.outRowStep), images: images, load: flag(load)}
	for o := 0; o < p.outs; o += p.panel {
		wide, dy := p.wide(o), w.b
		for i := range images {
			p.turn(dy[i*size*wide:], wide, p.dy[((n+i)*c.OutC+p.out+o)*plane+h0*g.outW:], plane, p.outs-o, size)
		}
		w.weigh.dy = pointer(dy, 0)
		p.tiles(w.sum[o*p.taps:], wide, size*images)
	}
}

// tiles goes on with the sums of a panel over so many output elements.
func (p *weightPart) tiles(sums []float32, wide, size int) {
	w, kernels, rows := p.w, p.kernels(wide), p.taps/p.span
	n, step := pieceCount(rows, len(kernels)), 4
	if p.span > 1 {
		step = p.span
	}
	for i := range n {
		first, end := rows*i/n, rows*(i+1)/n
		cycles := (end - first) * p.span * wide / w.k.width * step / 2
		w.weigh.ahead, w.weigh.aheadStep = p.ahead.take(cycles, size/step)
		w.weigh.offsets, w.weigh.sums = pointer(p.plan.x.offsetsBytes, first*p.span), pointer(sums, first*p.span*wide)
		kernels[end-first-1](&w.weigh)
	}
}

// turn turns n rows of count floats that lie step apart into a panel so many
// floats wide. Columns that are missing are the last one again, whose sums are no
// new maxima. It writes up to 7 rows behind the last.
func (p *weightPart) turn(dst []float32, wide int, src []float32, step, n, count int) {
	w, col := p.w, 0
	for ; w.k.turn != nil && col+16 <= min(n, wide); col += 16 {
		w.p = pack{dst: pointer(dst, col), dstStep: uintptr(4 * wide), src: pointer(src, col*step), srcStep: uintptr(4 * step),
			first: 1, mask: w.k.masks8[count%4], n: count}
		w.p.ahead, w.p.aheadStep = p.ahead.take(8*turnCycles, count/8)
		w.k.turn(&w.p)
	}
	for ; col < wide; col += 8 {
		for r := range w.rows {
			w.rows[r] = &src[min(col+r, n-1)*step]
		}
		w.transpose(dst[col:], wide, count)
	}
}

// ahead is memory that will be needed soon, in two pieces. Kernels ask for it
// while they compute, so that it is near when its time comes.
type ahead struct {
	at, left [2]int
	rate     float32 // bytes in a cycle
}

// turnCycles is about how long it takes to turn 16 columns of one element.
const turnCycles = 4

// lookAhead chooses what to ask for during a block: the next images.
func (p *weightPart) lookAhead(n, images int) {
	c, plane := &p.plan.c, p.plan.x.outH*p.plan.x.outW
	p.ahead = ahead{}
	p.ahead.piece(0, p.dy, (n*c.OutC+p.out)*plane, images*p.outs*plane)
	p.ahead.piece(1, p.x, (n*c.InC+p.in)*c.H*c.W, images*p.ins*c.H*c.W)
	vecs := p.cols / p.w.k.width
	cycles := images * plane * vecs * (p.taps/2 + turnCycles)
	p.ahead.rate = float32(p.ahead.left[0]+p.ahead.left[1]) / float32(max(cycles, 1))
}

func (a *ahead) piece(i int, of []float32, from, n int) {
	a.at[i], a.left[i] = int(uintptr(start(of)))+4*from, 4*n
}

// take returns where to begin in so many steps of some cycles, and how far to go
// in each.
func (a *ahead) take(cycles, steps int) (at uintptr, step int) {
	i := flag(a.left[0] <= 0)
	at, step = uintptr(a.at[i]), int(float32(cycles)*a.rate)
	a.at[i] += step * steps
	a.left[i] -= step * steps
	return at, step
}
