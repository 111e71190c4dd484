package tensor

// A convolution is a matrix product whose B is never stored:
//
//	y   (OutC, OH·OW)  = w (OutC, InC·KH·KW)     · taps of x (InC·KH·KW, OH·OW)
//	dx  (InC, H·W)     = turned w (InC, OutC·KH·KW) · taps of dy (OutC·KH·KW, H·W)
//	dwᵀ (InC·KH·KW, OutC) = taps of x (InC·KH·KW, OH·OW) · dyᵀ (OH·OW, OutC)
//
// image by image. A tap is a number of an image with a border of zeros: it lies
// at the place of the output element plus an offset that depends on k alone. So
// panels of B are copied straight from the image, 8 elements at once.

// grid is an image with a border and the taps on it.
type grid struct {
	// The image: so many rows and columns in each channel.
	height, width int
	// The stored form: top rows of zeros come first, left columns, then the row,
	// then zeros. If split > 1, the columns are stored by their remainder: part
	// wide columns 0, split, 2*split, … first.
	top, left  int
	wide       int // columns of a row for one remainder
	split      int
	read       []bool // of lines by their remainder: whether there are taps
	rowStep    int    // elements from row to row
	planeStep  int    // elements from channel to channel
	borderless bool
	// Taps are threes side by side, which begin one place left of the output element:
	// the first tap of the first place of a line lies in the padding, and the last tap
	// of the last place.
	threes bool

	outH, outW   int // output elements
	outRowStep   int // elements of the stored image from output row to output row
	offsets      []int32
	offsetsBytes []int32
	flat         []flatPlane // see flatten
	lead         int         // flat: elements before the first row of a plane
	bands, whole []band      // see cut; whole is one with all lines and taps
	filters      int         // where the filters of a group begin: so many ks
}

// phase is one of the products that make up dx: the elements (h0+stride*i,
// w0+stride*j) of dx all have the same taps.
type phase struct {
	grid
	h0, w0 int
	kernel []int // places of its taps in a filter, descending
	at, k  int   // where its turned weights begin, for group 0; depth of its chains
}

// convPlan is all that follows from a shape.
type convPlan struct {
	c      Conv
	x      grid // taps of x by y
	y      grid // the same, as y itself is computed
	phases []phase
	narrow *tapRows // not nil: the gradient of the weights is narrow
	// How many ks packed filters of a group have, for y and for dx.
	packedY, packedX int
}

// convPlan returns the plan of a shape, made at its first use.
func (e *Engine) convPlan(c Conv) *convPlan {
	c.N = 0
	p := e.plans[c]
	if p == nil {
		p = &convPlan{c: c, x: inputGrid(c), phases: outputPhases(c)}
		p.choose(e.k)
		p.narrow = p.rowsOfTaps()
		e.plans[c] = p
	}
	return p
}

// choose settles how y and dx are computed.
func (p *convPlan) choose(k *kernels) {
	ic, oc := p.c.InC/p.c.Groups, p.c.OutC/p.c.Groups
	p.y = p.x
	k.flatten(&p.y, oc, ic)
	k.align(&p.y, oc, ic)
	if len(p.phases) == 1 {
		k.flatten(&p.phases[0].grid, ic, oc)
		k.align(&p.phases[0].grid, ic, oc)
	}
	if k.tapForm(&p.y, oc, len(p.y.offsets)) == tapAcross {
		p.packedY = p.y.cut(ic, true)
	}
	for i := range p.phases {
		ph := &p.phases[i]
		ph.filters = p.packedX
		if k.tapForm(&ph.grid, ic, ph.k) == tapAcross {
			p.packedX += ph.cut(oc, len(p.phases) == 1)
		}
	}
}

// finish fills in what follows from rows and columns, and adds offsets for the
// taps (dh, dw), which are places relative to the top left of the stored image.
func (g *grid) finish(rows, cols, channels int, taps [][2]int) {
	g.wide = (cols + g.split - 1) / g.split
	g.rowStep = g.wide * g.split
	g.planeStep = rows * g.rowStep
	for ch := range channels {
		for _, t := range taps {
			at := ch*g.planeStep + t[0]*g.rowStep + t[1]%g.split*g.wide + t[1]/g.split
			g.offsets = append(g.offsets, int32(at))
			g.offsetsBytes = append(g.offsetsBytes, int32(4*at))
		}
	}
	g.threes = g.split == 1 && g.outW == g.width
	for i, at := range g.offsets {
		g.threes = g.threes && int(at)%g.rowStep-g.left == i%3-1
	}
}

func inputGrid(c Conv) grid {
	g := grid{height: c.H, width: c.W, top: c.PadH, left: c.PadW, split: c.StrideW, outH: c.OutH(), outW: c.OutW(),
		read: make([]bool, c.StrideH)}
	var taps [][2]int
	for kh := range c.KH {
		for kw := range c.KW {
			taps = append(taps, [2]int{kh * c.DilH, kw * c.DilW})
		}
		g.read[kh*c.DilH%c.StrideH] = true
	}
	g.borderless = c.PadH == 0 && c.PadW == 0 && c.StrideW == 1
	g.finish(c.H+2*c.PadH, c.W+2*c.PadW, c.InC/c.Groups, taps)
	g.outRowStep = c.StrideH * g.rowStep
	return g
}

// shifts lists, for output elements x = first + stride*i, the taps k whose
// place x+pad-k*dil is a multiple of stride, descending, and where in y they
// begin.
func shifts(first, kernel, stride, pad, dil int) (taps, from []int) {
	for k := kernel - 1; k >= 0; k-- {
		if at := first + pad - k*dil; at%stride == 0 {
			taps, from = append(taps, k), append(from, at/stride)
		}
	}
	return taps, from
}

// outputPhases lists the phases by h0, then w0. All read the same stored image.
func outputPhases(c Conv) []phase {
	var all []phase
	at := 0
	top, rows := commonBorder(c.H, c.KH, c.StrideH, c.PadH, c.DilH, c.OutH())
	left, cols := commonBorder(c.W, c.KW, c.StrideW, c.PadW, c.DilW, c.OutW())
	for h0 := range min(c.StrideH, c.H) {
		for w0 := range min(c.StrideW, c.W) {
			khs, hs := shifts(h0, c.KH, c.StrideH, c.PadH, c.DilH)
			kws, ws := shifts(w0, c.KW, c.StrideW, c.PadW, c.DilW)
			p := phase{h0: h0, w0: w0, at: at, k: c.OutC / c.Groups * len(khs) * len(kws)}
			p.outH, p.outW = phaseSize(c.H, h0, c.StrideH), phaseSize(c.W, w0, c.StrideW)
			p.height, p.width, p.split = c.OutH(), c.OutW(), 1
			p.top, p.left = top, left
			p.borderless = top == 0 && left == 0 && rows == p.height && cols == p.width
			var taps [][2]int
			for i, h := range hs {
				for j, w := range ws {
					taps = append(taps, [2]int{top + h, left + w})
					p.kernel = append(p.kernel, khs[i]*c.KW+kws[j])
				}
			}
			p.finish(rows, cols, c.OutC/c.Groups, taps)
			p.outRowStep = p.rowStep
			all = append(all, p)
			at += p.k * c.InC / c.Groups
		}
	}
	return all
}

// phaseSize is how many of size elements are first, first+stride, ….
func phaseSize(size, first, stride int) int { return (size - first + stride - 1) / stride }

// commonBorder is the border of dy, in one direction, that serves all phases: how
// many zeros come before it, and the length with all zeros.
func commonBorder(in, kernel, stride, pad, dil, out int) (before, length int) {
	var after int
	for first := range min(stride, in) {
		_, from := shifts(first, kernel, stride, pad, dil)
		b, l := border(from, phaseSize(in, first, stride), out)
		before, after = max(before, b), max(after, l-b)
	}
	return before, before + after
}

// border is how many zeros are needed before size elements, and the length with
// all zeros, so that n elements can be read from each place of from on.
func border(from []int, n, size int) (before, length int) {
	length = size
	for _, f := range from {
		before = max(before, -f)
		length = max(length, f+n)
	}
	return before, before + length
}

// turn writes the weights as phases read them: for each group and phase (input
// channel, output channel, taps descending).
func (p *convPlan) turn(dst, w []float32) {
	c := p.c
	ic, oc := c.InC/c.Groups, c.OutC/c.Groups
	for g := range c.Groups {
		i := g * oc * ic * c.KH * c.KW
		for j := range p.phases {
			for ch := range ic {
				for o := range oc {
					src := w[((g*oc+o)*ic+ch)*c.KH*c.KW:][:c.KH*c.KW]
					for _, k := range p.phases[j].kernel {
						dst[i] = src[k]
						i++
					}
				}
			}
		}
	}
}
