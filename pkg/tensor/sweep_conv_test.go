package tensor

import "math"

func convSweeps() []sweep {
	return []sweep{
		{[]string{"ConvForward"}, 450, sweepConvForward},
		{[]string{"ConvBackwardInput"}, 350, sweepConvInput},
		{[]string{"ConvBackwardWeightLanes"}, 450, sweepConvWeight},
		{[]string{"ConvBiasLanes"}, 100, sweepConvBias},
		{[]string{"MaxPoolForward", "MaxPoolBackward"}, 300, sweepMaxPool},
		{[]string{"AvgPoolForward", "AvgPoolBackward"}, 300, sweepAvgPool},
	}
}

// convolution draws a shape: any stride, padding, dilation and groups, or one of
// the usual ones, on planes that are read where they are or through panels.
func (c *trial) convolution() Conv {
	for {
		s := c.anyConvolution()
		if f := s.full(); f.H+2*f.PadH > f.DilH*(f.KH-1) && f.W+2*f.PadW > f.DilW*(f.KW-1) {
			return s
		}
	}
}

func (c *trial) anyConvolution() Conv {
	groups := 1 + c.r.IntN(2)*c.r.IntN(3)
	s := Conv{N: c.r.IntN(4), InC: groups * c.upTo(4), OutC: groups * c.upTo(20), H: c.upTo(14), W: 1 + c.i%35,
		KH: c.upTo(4), KW: c.upTo(4), StrideH: c.r.IntN(4), StrideW: c.r.IntN(4), PadH: c.r.IntN(3), PadW: c.r.IntN(3),
		DilH: c.r.IntN(3), DilW: c.r.IntN(3), Groups: groups}
	three := func() { s.KH, s.KW, s.PadH, s.PadW, s.DilH, s.DilW = 3, 3, 1, 1, 1, 1 }
	switch c.r.IntN(13) {
	case 0, 1, 2: // 3 by 3 at stride 1
		three()
		s.StrideH, s.StrideW = 1, 1
	case 3: // at stride 2
		three()
		s.StrideH, s.StrideW = 2, 2
	case 4: // depthwise
		three()
		s.InC, s.OutC, s.Groups = 5, 5*c.upTo(2), 5
	case 5: // 1 by 1
		s.KH, s.KW, s.PadH, s.PadW, s.Groups = 1, 1, 0, 0, 1
	case 6: // deep chains
		three()
		s.Groups, s.InC, s.OutC, s.StrideH, s.StrideW, s.H = 1, 30+c.r.IntN(30), c.upTo(9), 1, 1, c.upTo(9)
	case 7: // a large plane
		three()
		s.Groups, s.InC, s.OutC, s.StrideH, s.StrideW = 1, c.upTo(3), c.upTo(4), 1, 1
		s.N, s.H, s.W = c.upTo(2), 20+c.r.IntN(20), 33+c.r.IntN(40)
	case 8: // many filters
		s.Groups, s.InC, s.OutC, s.N, s.H = 1, c.upTo(3), 20+c.r.IntN(80), 1, c.upTo(6)
	case 9: // wide lines under every number of filters
		three()
		s.N, s.Groups, s.InC, s.OutC, s.StrideH, s.StrideW, s.H, s.W = 1, 1, c.upTo(2), 1+c.i%27, 1, 1, c.upTo(3), 17+c.r.IntN(60)
	case 10: // lines of the width of the output, which vectors run across
		s.Groups, s.InC, s.OutC, s.StrideH, s.StrideW = 1, c.upTo(2), 20+c.r.IntN(30), 1, 1
		s.KW, s.DilW = 3+2*c.r.IntN(2), 1+c.r.IntN(2)
		s.PadW = s.DilW * (s.KW - 1) / 2
	case 11:
		if c.i%10 == 0 { // a large plane under deep chains
			three()
			s.N, s.Groups, s.InC, s.OutC, s.StrideH, s.StrideW, s.H, s.W = 1, 1, 37+c.r.IntN(4), 2, 1, 1, 56, 64
		}
	}
	return s
}

// acrossConvolution is one with vectors of channels: tiles of every number of
// places, one vector and two, whole ones and not. Lines are odd, so that one is left
// of pairs; their width is not that of the output, so that planes are not flat, or it
// is, and the image needs no border.
func (c *trial) acrossConvolution() Conv {
	i := c.i / 2
	pad := i / 64
	return Conv{N: 1 + c.r.IntN(6), InC: 8 + c.r.IntN(8), OutC: 16*(1+i/16%2) - i/32%2, H: 1 + 2*c.r.IntN(4), W: 3 + i%16 - 2*pad,
		KH: 3, KW: 3, PadH: 1, PadW: pad}
}

// tapConvolution has every number of taps in a line of filters, alone and by
// threes. Planes are small, so that gradients are narrow only
// of less than 8 filters.
func (c *trial) tapConvolution() Conv {
	i := c.i / 2
	more := i % 25 / 4
	return Conv{InC: 1 + i%25, OutC: c.upTo(16) + 16*(i/25%2), H: c.upTo(1 + more), W: 3 + c.r.IntN(5+more), KH: 1, KW: 1 + 2*(i/50%2)}
}

// narrowConvolution has a narrow gradient, as a rule: every number of weights, any number of
// elements, stride, padding, dilation and groups, now and then in several runs.
func (c *trial) narrowConvolution() Conv {
	groups := 1 + c.r.IntN(2)*c.r.IntN(3)
	s := Conv{InC: groups * (1 + c.i%narrowColumns), OutC: groups * c.upTo(20), H: 8 + c.r.IntN(10), W: 16 + c.r.IntN(30), KH: 1, KW: 1, Groups: groups}
	switch c.r.IntN(12) {
	case 0:
		s.H, s.W = 20+c.r.IntN(30), 50+c.r.IntN(40)
	case 1:
		s.H, s.W = c.upTo(2), 1000+c.r.IntN(2000)
	case 2:
		s.H, s.OutC = c.upTo(4), groups*c.upTo(narrowFilters-1)
	}
	if c.r.IntN(2) == 0 {
		s.KH, s.KW, s.StrideH, s.StrideW = c.upTo(3), c.upTo(5), c.upTo(2), c.upTo(2)
		s.PadH, s.PadW, s.DilH, s.DilW = c.r.IntN(3), c.r.IntN(3), c.upTo(2), c.upTo(2)
		s.InC, s.H = groups*c.upTo(narrowColumns/(s.KH*s.KW)), s.H+4
	}
	return s
}

// taps calls f with the places in x of the taps of element (n, o, h, w) of y,
// and in w; outside of x they are -1.
func (s Conv) taps(i int, f func(x, w int)) {
	oh, ow, ic, oc := s.OutH(), s.OutW(), s.InC/s.Groups, s.OutC/s.Groups
	n, o, h, w := i/(s.OutC*oh*ow), i/(oh*ow)%s.OutC, i/ow%oh, i%ow
	k := o * ic * s.KH * s.KW
	for ch := range ic {
		for kh := range s.KH {
			for kw := range s.KW {
				f(place(s.InC, s.H, s.W, n, o/oc*ic+ch, h*s.StrideH-s.PadH+kh*s.DilH, w*s.StrideW-s.PadW+kw*s.DilW), k)
				k++
			}
		}
	}
}

// place is where element (n, ch, h, w) is, -1 outside.
func place(chans, height, width, n, ch, h, w int) int {
	if h < 0 || h >= height || w < 0 || w >= width {
		return -1
	}
	return ((n*chans+ch)*height+h)*width + w
}

// padded is element i of x, +0 for -1.
func padded(x []float32, i int) num {
	if i < 0 {
		return num{}
	}
	return exact(x[i])
}

// images are the parts of x and y that belong to some images.
func (s Conv) images(x, y []float32, from, to int) (part Conv, partX, partY []float32) {
	part = s
	part.N = to - from
	in, out := s.InC*s.H*s.W, s.OutC*s.OutH()*s.OutW()
	return part, x[from*in : to*in], y[from*out : to*out]
}

func (s Conv) sizes() (x, y, w int) {
	s = s.full()
	return s.N * s.InC * s.H * s.W, s.N * s.OutC * s.OutH() * s.OutW(), s.OutC * s.depth()
}

func sweepConvForward(c *trial) {
	s := c.convolution()
	if c.i < 256 && c.i%2 == 0 {
		s = c.acrossConvolution()
	}
	sizeX, sizeY, sizeW := s.sizes()
	x, y, w, act, bias := c.in(sizeX), c.out(sizeY), c.in(sizeW), ActNone, []float32(nil)
	if c.r.IntN(2) == 0 {
		bias = c.in(s.OutC)
	}
	if c.r.IntN(2) == 0 {
		act = Act(c.r.IntN(int(ActSoftplus) + 1))
	}
	c.batch(s.N, func(from, to int) {
		part, x, y := s.images(x, y, from, to)
		c.e.ConvForward(y, x, w, bias, part, act)
	})
	s = s.full()
	c.check("y", y, s.depth(), func(i int) (sum num) {
		s.taps(i, func(at, k int) { sum = fma(exact(w[k]), padded(x, at), sum) })
		if bias != nil {
			sum = sum.add(exact(bias[i/(s.OutH()*s.OutW())%s.OutC]))
		}
		return sum.act(act, act.slope())
	})
}

func sweepConvInput(c *trial) {
	s := c.convolution()
	if c.i < 256 && c.i%2 == 0 {
		s = c.acrossConvolution()
		s.InC, s.OutC = s.OutC, s.InC
		s.StrideH, s.StrideW = 1+c.r.IntN(2), 1+c.r.IntN(2)
	}
	sizeX, sizeY, sizeW := s.sizes()
	dx, dy, w := c.out(sizeX), c.in(sizeY), c.in(sizeW)
	c.batch(s.N, func(from, to int) {
		part, dx, dy := s.images(dx, dy, from, to)
		c.e.ConvBackwardInput(dx, dy, w, part)
	})
	s = s.full()
	oh, ow, ic, oc := s.OutH(), s.OutW(), s.InC/s.Groups, s.OutC/s.Groups
	c.check("dx", dx, oc*s.KH*s.KW, func(i int) (sum num) {
		n, ch, h, v := i/(s.InC*s.H*s.W), i/(s.H*s.W)%s.InC, i/s.W%s.H, i%s.W
		for o := ch / ic * oc; o < (ch/ic+1)*oc; o++ {
			for kh := s.KH - 1; kh >= 0; kh-- {
				for kw := s.KW - 1; kw >= 0; kw-- {
					y, x := h+s.PadH-kh*s.DilH, v+s.PadW-kw*s.DilW
					if y%s.StrideH != 0 || x%s.StrideW != 0 {
						continue
					}
					at := place(s.OutC, oh, ow, n, o, y/s.StrideH, x/s.StrideW)
					sum = fma(exact(w[((o*ic+ch%ic)*s.KH+kh)*s.KW+kw]), padded(dy, at), sum)
				}
			}
		}
		return sum
	})
}

func sweepConvWeight(c *trial) {
	s := c.convolution()
	if c.i < 200 && c.i%2 == 0 {
		s = c.tapConvolution()
	} else if c.i >= 350 {
		s = c.narrowConvolution()
	}
	rows := []int{c.r.IntN(2)}
	for range c.upTo(3) {
		rows = append(rows, rows[len(rows)-1]+c.r.IntN(3))
	}
	s.N = rows[len(rows)-1]
	sizeX, sizeY, sizeW := s.sizes()
	x, dy, g := c.in(sizeX), c.in(sizeY), c.grad(sizeW, len(rows)-1)
	c.ofLanes(g, rows, func(g *Grad, rows []int) { c.e.ConvBackwardWeightLanes(g, x, dy, s, rows) })
	s = s.full()
	oh, ow, ic, oc := s.OutH(), s.OutW(), s.InC/s.Groups, s.OutC/s.Groups
	narrow := s.depth() < 16 && (oh*ow >= 20*s.depth() || oc < 8)
	c.checkGrad(g, rows, s.N*oh*ow+1, func(sum num, i, from, to int) num {
		kw, kh := i%s.KW, i/s.KW%s.KH
		ch, o := i/(s.KW*s.KH)%ic, i/(s.KW*s.KH*ic)
		for n := from; n < to; n++ {
			product := func(sum num, at int) num {
				h, v := at/ow, at%ow
				tap := place(s.InC, s.H, s.W, n, o/oc*ic+ch, h*s.StrideH-s.PadH+kh*s.DilH, v*s.StrideW-s.PadW+kw*s.DilW)
				return fma(exact(dy[(n*s.OutC+o)*oh*ow+at]), padded(x, tap), sum)
			}
			if !narrow {
				for at := range oh * ow {
					sum = product(sum, at)
				}
				continue
			}
			eachRun(oh, ow, func(from, to int) {
				sum = sum.add(stridedNum((to-from+sums-1)/sums*sums, func(sum num, i int) num {
					if from+i >= to {
						return fma(num{}, num{}, sum) // as if zeros followed
					}
					return product(sum, from+i)
				}))
			})
		}
		return sum
	})
}

// eachRun cuts a plane: into the fewest runs of lines that have 1024 elements at most,
// or lines, and these again.
func eachRun(oh, ow int, f func(from, to int)) {
	high := max(1024/ow, 1)
	cuts, pieces := (oh+high-1)/high, (ow+1023)/1024
	for i := range cuts {
		first, size := oh*i/cuts*ow, (oh*(i+1)/cuts-oh*i/cuts)*ow
		for j := range pieces {
			f(first+size*j/pieces, first+size*(j+1)/pieces)
		}
	}
}

func sweepConvBias(c *trial) {
	rows := c.lanes(3)
	s := Conv{InC: 1, OutC: c.upTo(20), H: c.upTo(4), W: 1 + c.i, KH: 1, KW: 1}
	dy, plane := c.in(rows[len(rows)-1]*s.OutC*s.H*s.W), s.H*s.W
	g := c.grad(s.OutC, len(rows)-1)
	c.ofLanes(g, rows, func(g *Grad, rows []int) { c.e.ConvBiasLanes(g, dy, s, rows) })
	c.checkGrad(g, rows, len(dy)/s.OutC+1, func(sum num, i, from, to int) num {
		for n := from; n < to; n++ {
			sum = sum.add(sumNum(dy[(n*s.OutC+i)*plane:][:plane]))
		}
		return sum
	})
}

// pool draws windows; half of them are 2 by 2 at stride 2.
func (c *trial) pool() Pool {
	p := Pool{N: c.r.IntN(4), C: c.upTo(3), H: 2 + c.r.IntN(12), W: 2 + c.i%70, KH: 2, KW: 2, StrideH: 2, StrideW: 2}
	if c.r.IntN(24) == 0 {
		p.N, p.C, p.H, p.W = c.upTo(4), 20, 60, 50+c.r.IntN(50)
	}
	if c.r.IntN(2) == 0 {
		p.KH, p.KW, p.StrideH, p.StrideW = c.upTo(min(p.H, 4)), c.upTo(min(p.W, 4)), c.r.IntN(4), c.r.IntN(4)
		p.PadH, p.PadW = c.r.IntN(p.KH), c.r.IntN(p.KW)
	}
	return p
}

// planes calls f for all planes at once, or for two runs of images.
func (c *trial) planes(p Pool, f func(p Pool, x0, x1, y0, y1 int)) {
	in, out := p.C*p.H*p.W, p.C*p.OutH()*p.OutW()
	c.batch(p.N, func(from, to int) {
		part := p
		part.N = to - from
		f(part, from*in, to*in, from*out, to*out)
	})
}

// window lists the places in x of output element i, ascending.
func (p Pool) window(i int) (places []int) {
	oh, ow := p.OutH(), p.OutW()
	for kh := range p.KH {
		for kw := range p.KW {
			at := place(1, p.H, p.W, i/(oh*ow), 0, i/ow%oh*max(p.StrideH, 1)-p.PadH+kh, i%ow*max(p.StrideW, 1)-p.PadW+kw)
			if at >= 0 {
				places = append(places, at)
			}
		}
	}
	return places
}

// gradients adds up for element i of x what add makes of the windows that hold it,
// ascending.
func (p Pool) gradients(i int, add func(sum num, y int) num) (sum num) {
	out := p.OutH() * p.OutW()
	plane := i / (p.H * p.W)
	for y := plane * out; y < (plane+1)*out; y++ {
		if h := y/p.OutW()%p.OutH()*max(p.StrideH, 1) - p.PadH; i/p.W%p.H < h || i/p.W%p.H >= h+p.KH {
			continue
		}
		for _, at := range p.window(y) {
			if at == i {
				sum = add(sum, y)
			}
		}
	}
	return sum
}

func sweepMaxPool(c *trial) {
	p := c.pool()
	in, out := p.N*p.C*p.H*p.W, p.N*p.C*p.OutH()*p.OutW()
	x, y, where, dx, dy := c.in(in), c.out(out), c.outInts(out), c.out(in), c.in(out)
	c.planes(p, func(p Pool, x0, x1, y0, y1 int) {
		c.e.MaxPoolForward(y[y0:y1], where[y0:y1], x[x0:x1], p)
		c.e.MaxPoolBackward(dx[x0:x1], dy[y0:y1], where[y0:y1], p)
	})
	c.check("y", y, p.KH*p.KW, func(i int) num {
		best, at := float32(math.Inf(-1)), -1
		for _, k := range p.window(i) {
			if at < 0 || x[k] > best || x[k] != x[k] && best == best {
				best, at = x[k], k
			}
		}
		if at %= p.H * p.W; int(where[i]) != at {
			c.t.Fatalf("%s: %+v: the place of %d is %d, want %d", c.what, p, i, where[i], at)
		}
		return exact(best)
	})
	c.check("dx", dx, p.KH*p.KW*p.OutH()*p.OutW(), func(i int) num {
		return p.gradients(i, func(sum num, y int) num {
			switch {
			case int(where[y]) != i%(p.H*p.W):
				return sum
			case p.whole():
				return exact(dy[y])
			}
			return sum.add(exact(dy[y]))
		})
	})
}

func sweepAvgPool(c *trial) {
	p := c.pool()
	in, out := p.N*p.C*p.H*p.W, p.N*p.C*p.OutH()*p.OutW()
	x, y, dx, dy := c.in(in), c.out(out), c.out(in), c.in(out)
	c.planes(p, func(p Pool, x0, x1, y0, y1 int) {
		c.e.AvgPoolForward(y[y0:y1], x[x0:x1], p)
		c.e.AvgPoolBackward(dx[x0:x1], dy[y0:y1], p)
	})
	each := exact(1).div(exact(float32(p.KH * p.KW)))
	c.check("y", y, p.KH*p.KW, func(i int) (sum num) {
		for _, k := range p.window(i) {
			sum = sum.add(exact(x[k]))
		}
		return sum.mul(each)
	})
	c.check("dx", dx, p.KH*p.KW*p.OutH()*p.OutW(), func(i int) num {
		return p.gradients(i, func(sum num, y int) num { return sum.add(exact(dy[y]).mul(each)) })
	})
}
