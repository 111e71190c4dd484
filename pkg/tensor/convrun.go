package tensor

import "slices"

// convJob is a forward or input gradient pass; its parts are images.
type convJob struct {
	plan    *convPlan
	kind    convKind
	x, y    []float32 // dx, dy
	w       []float32 // turned, for the input gradient
	bias    []float32
	act     Act
	parts   int
	n       int
	filters []float32 // the weights as vectors across channels read them
	packed  int       // how many of them a group has
	banded  bool      // filters of bands are packed, and may be used
}

type convKind int

const (
	convForward convKind = iota
	convInput
)

func (e *Engine) runConv(n int) {
	e.conv.n, e.conv.parts = n, min(n, e.threads)
	e.packFilters(&e.conv)
	e.pool.run(&e.conv, e.conv.parts)
	e.conv = convJob{}
}

func (j *convJob) part(w *worker, i int) {
	for n := j.n * i / j.parts; n < j.n*(i+1)/j.parts; n++ {
		for g := range j.plan.c.Groups {
			if j.kind == convForward {
				j.forward(w, n, g)
			} else {
				j.input(w, n, g)
			}
		}
	}
}

// forward computes the planes of one group of one image.
func (j *convJob) forward(w *worker, n, group int) {
	c, g := &j.plan.c, &j.plan.y
	ic, oc, out := c.InC/c.Groups, c.OutC/c.Groups, g.outH*g.outW
	first := n*c.OutC + group*oc
	p := &w.product
	*p = product{m: oc, n: out, k: ic * c.KH * c.KW, a: j.w[group*oc*c.depth():], aRow: c.depth(), aCol: 1,
		c: j.y[first*out:], cRow: out, act: j.act}
	if j.act == ActReLU {
		p.act, p.relu = ActNone, true
	}
	if j.bias != nil {
		p.rowBias = j.bias[group*oc:]
	}
	p.image, p.channels, p.taps = j.x[(n*c.InC+group*ic)*c.H*c.W:], ic, g
	p.filters, p.banded = j.groupFilters(w.k, g, oc, group), j.banded
	w.soonX, w.soonY = j.next(j.x, n, group, ic*c.H*c.W, oc*out), j.next(j.y, n, group, oc*out, oc*out)
	w.multiplyTaps(p)
}

// input computes the planes of one group of one image of dx: for each run of
// phases that share lines, one after the other into a buffer, and then their
// lines. With stride 1 there is one phase, and no buffer.
func (j *convJob) input(w *worker, n, group int) {
	c := &j.plan.c
	ic, oc, out := c.InC/c.Groups, c.OutC/c.Groups, c.OutH()*c.OutW()
	dx := j.x[(n*c.InC+group*ic)*c.H*c.W:][:ic*c.H*c.W]
	dy := j.y[(n*c.OutC+group*oc)*out:]
	w.soonX, w.soonY = j.next(j.y, n, group, oc*out, len(dx)), j.next(j.x, n, group, len(dx), len(dx))
	whole := c.StrideH == 1 && c.StrideW == 1
	one, run := len(j.plan.phases) == 1, min(c.StrideW, c.W)
	var img []float32
	if !one {
		img = w.image(&j.plan.phases[0].grid, dy, oc)
	}
	for first := 0; first < len(j.plan.phases); first += run {
		phases, to := j.plan.phases[first:first+run], dx
		if empty(phases) {
			clearLines(dx, &phases[0], c, ic)
			continue
		}
		if !whole {
			w.spare = grow(w.spare, ic*phases[0].outH*c.W)
			to = w.spare
		}
		for i := range phases {
			ph := &phases[i]
			size := ph.outH * ph.outW
			p := &w.product
			*p = product{m: ic, n: size, k: ph.k, a: j.w[group*oc*c.depth()+ph.at:], aRow: ph.k, aCol: 1, c: to, cRow: size}
			if ph.k == 0 {
				clear(to[:ic*size])
			} else {
				p.b, p.taps = img, &ph.grid
				if one {
					p.image, p.channels = dy, oc
				}
				p.filters, p.banded = j.groupFilters(w.k, &ph.grid, ic, group), j.banded
				w.multiplyTaps(p)
			}
			to = to[ic*size:]
		}
		if !whole {
			w.join(dx, w.spare, phases, c, ic)
		}
	}
}

// empty is whether phases have no taps: stride 2 of a filter of 1 by 1 leaves out
// every other line.
func empty(phases []phase) bool {
	return !slices.ContainsFunc(phases, func(p phase) bool { return p.k > 0 })
}

// clearLines sets the lines of phases that have no taps to +0.
func clearLines(dx []float32, p *phase, c *Conv, channels int) {
	for ch := range channels {
		for h := range p.outH {
			clear(dx[(ch*c.H+p.h0+h*c.StrideH)*c.W:][:c.W])
		}
	}
}

// join puts the elements of phases that share lines where they belong in dx.
func (w *worker) join(dx, src []float32, phases []phase, c *Conv, channels int) {
	high := phases[0].outH
	for ch := range channels {
		for h := range high {
			line, from := dx[(ch*c.H+phases[0].h0+h*c.StrideH)*c.W:][:c.W], 0
			if len(phases) == 2 {
				odds := phases[1].outW
				v := w.aimVec(odds)
				v.p, v.x = start(line), start(src[(ch*high+h)*phases[0].outW:])
				v.y = start(src[channels*high*phases[0].outW+(ch*high+h)*odds:])
				w.k.opJoin(v)
				if odds < phases[0].outW {
					line[2*odds] = src[(ch*high+h)*phases[0].outW+odds]
				}
				continue
			}
			for i := range phases {
				wide := phases[i].outW
				for k, x := range src[from+(ch*high+h)*wide:][:wide] {
					line[phases[i].w0+k*c.StrideW] = x
				}
				from += channels * high * wide
			}
		}
	}
}

// image returns the image in its stored form: x itself, or a copy in w.img.
func (w *worker) image(g *grid, x []float32, channels int) []float32 {
	if g.borderless {
		return x
	}
	n := channels * g.planeStep
	if w.imageOf != g || len(w.img) < n+slack {
		w.img = grow(w.img, n)
		clear(w.img)
		w.imageOf = g
	}
	if g.flat != nil {
		w.copyFlat(g, x, channels)
		return w.img
	}
	if g.split == 1 {
		w.copyPlanes(g, x, channels)
		return w.img
	}
	for ch := range channels {
		w.splitPlane(g, w.img[ch*g.planeStep+g.top*g.rowStep:], x[ch*g.height*g.width:][:g.height*g.width])
	}
	return w.img
}

// copyPlanes copies the channels of an image.
func (w *worker) copyPlanes(g *grid, x []float32, channels int) {
	for ch := range channels {
		w.copyLines(w.img[ch*g.planeStep+g.top*g.rowStep+g.left:], g.rowStep, x[ch*g.height*g.width:], g.width, g.width, g.height)
	}
}

// copyLines copies lines of n floats, the last columns first: copies write up to 7
// zeros behind each line.
func (w *worker) copyLines(dst []float32, dstStep int, src []float32, srcStep, n, lines int) {
	for at := (n - 1) / 32 * 32; at >= 0; at -= 32 {
		wide := min(32, n-at)
		w.p.dst, w.p.dstStep = pointer(dst, at), uintptr(4*dstStep)
		w.p.src, w.p.srcStep = pointer(src, at), uintptr(4*srcStep)
		w.p.mask, w.p.n = w.k.masks8[(wide-1)%8+1], lines
		w.k.copy[(wide-1)/8](&w.p)
	}
}

// splitPlane stores the columns of a plane by their remainder. Lines that no tap
// reads are left out.
func (w *worker) splitPlane(g *grid, dst, src []float32) {
	for h := range g.height {
		if !g.read[(g.top+h)%len(g.read)] {
			continue
		}
		row, line := dst[h*g.rowStep:], src[h*g.width:][:g.width]
		part, at := g.left%g.split, g.left/g.split
		if g.split == 2 {
			v := w.aimVec(len(line) / 2)
			v.x, v.p, v.q = start(line), start(row[part*g.wide+at:]), start(row[(1-part)*g.wide+at+part:])
			w.k.opSplit(v)
			if len(line)%2 == 1 {
				row[part*g.wide+at+len(line)/2] = line[len(line)-1]
			}
			continue
		}
		for _, v := range line {
			row[part*g.wide+at] = v
			if part++; part == g.split {
				part, at = 0, at+1
			}
		}
	}
}

// packTaps copies rows k0 to k1 and columns j0 to j1 of the taps into one panel,
// 16 columns at once where they lie side by side.
func (w *worker) packTaps(p *product, panel []float32, k0, k1, j0, j1 int) {
	g, n := p.taps, j1-j0
	wide := (n + w.k.width - 1) / w.k.width * w.k.width
	for i := 0; i < wide; {
		dst, j := panel[i:], j0+i
		w.p = pack{dst: pointer(dst, 0), dstStep: uintptr(4 * wide), src: pointer(p.b, 0), offsets: pointer(g.offsetsBytes, k0), n: k1 - k0}
		h, c := j/g.outW, j%g.outW
		w.p.first = 4 * (h*g.outRowStep + c)
		switch side := min(g.outW-c, n-i); {
		case side >= 16:
			w.k.line[1](&w.p)
			i += 16
		case side >= 8:
			w.k.line[0](&w.p)
			i += 8
		default:
			w.packEight(g, j, max(min(8, n-i), 0))
			i += 8
		}
	}
}

// packEight copies the taps of n <= 8 output elements from j on. They lie in two
// rows of the output, or anywhere.
func (w *worker) packEight(g *grid, j, n int) {
	h, c := j/g.outW, j%g.outW
	one := min(n, g.outW-c)
	if n-one > g.outW {
		for i := range w.columns {
			at := j + min(i, n-1)
			w.columns[i] = int32(4 * (at/g.outW*g.outRowStep + at%g.outW))
		}
		w.p.columns = pointer(w.columns[:], 0)
		w.k.gather(&w.p)
		return
	}
	for i := range 8 {
		w.mask[0][i] = -int32(flag(i < one))
		w.mask[1][i] = -int32(flag(i >= one && i < n))
	}
	w.p.mask, w.p.mask2 = pointer(w.mask[0][:], 0), pointer(w.mask[1][:], 0)
	w.p.second = 4 * ((h+1)*g.outRowStep - one)
	w.k.taps(&w.p)
}
