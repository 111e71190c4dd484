package tensor

// Conv describes a two-dimensional convolution (a cross-correlation):
//
//	x, dx  (N, InC, H, W)       w, dw  (OutC, InC/Groups, KH, KW)
//	y, dy  (N, OutC, OH, OW)    b, db  (OutC)
//
// A zero StrideH, StrideW, DilH, DilW or Groups counts as 1.
type Conv struct {
	N, InC, H, W     int
	OutC, KH, KW     int
	StrideH, StrideW int
	PadH, PadW       int
	DilH, DilW       int
	Groups           int
}

// OutH is the height of the output.
func (c Conv) OutH() int { return outSize(c.H, c.KH, c.StrideH, c.PadH, c.DilH) }

// OutW is the width of the output.
func (c Conv) OutW() int { return outSize(c.W, c.KW, c.StrideW, c.PadW, c.DilW) }

func outSize(in, kernel, stride, pad, dil int) int {
	return (in+2*pad-max(dil, 1)*(kernel-1)-1)/max(stride, 1) + 1
}

func (c Conv) full() Conv {
	for _, p := range []*int{&c.StrideH, &c.StrideW, &c.DilH, &c.DilW, &c.Groups} {
		*p = max(*p, 1)
	}
	return c
}

func (c Conv) check(op string, x, y, w int) {
	need(op, "x", x, c.N*c.InC*c.H*c.W)
	need(op, "y", y, c.N*c.OutC*c.OutH()*c.OutW())
	need(op, "w", w, c.OutC*c.InC/c.Groups*c.KH*c.KW)
}

// at is x[n, ch, h, w], +0 outside.
func at(x []float32, chans, height, width, n, ch, h, w int) float32 {
	if h < 0 || h >= height || w < 0 || w >= width {
		return 0
	}
	return x[((n*chans+ch)*height+h)*width+w]
}

// ConvForward computes y. Every element is one chain of fused multiply-adds over
// (input channel, kh, kw), ascending, from +0; taps in the padding multiply +0.
// Then comes bias, which may be nil, then act.
func (e *Engine) ConvForward(y, x, w, bias []float32, c Conv, act Act) {
	c = c.full()
	c.check("ConvForward", len(x), len(y), len(w))
	oh, ow, ic, oc := c.OutH(), c.OutW(), c.InC/c.Groups, c.OutC/c.Groups
	i := 0
	for n := range c.N {
		for o := range c.OutC {
			for h := range oh {
				for v := range ow {
					var s float32
					k := o * ic * c.KH * c.KW
					for ch := range ic {
						for kh := range c.KH {
							for kw := range c.KW {
								s = fma32(w[k], at(x, c.InC, c.H, c.W, n, o/oc*ic+ch,
									h*c.StrideH-c.PadH+kh*c.DilH, v*c.StrideW-c.PadW+kw*c.DilW), s)
								k++
							}
						}
					}
					if bias != nil {
						s += bias[o]
					}
					y[i] = s
					i++
				}
			}
		}
	}
	e.ActForward(y[:i], y[:i], act)
}

// ConvBackwardInput computes dx. Every element is one chain of fused
// multiply-adds over (output channel, kh descending, kw descending), that is
// over dy ascending, from +0. Taps that fall between strides are left out; taps
// outside dy multiply +0.
func (e *Engine) ConvBackwardInput(dx, dy, w []float32, c Conv) {
	c = c.full()
	c.check("ConvBackwardInput", len(dx), len(dy), len(w))
	oh, ow, ic, oc := c.OutH(), c.OutW(), c.InC/c.Groups, c.OutC/c.Groups
	i := 0
	for n := range c.N {
		for ch := range c.InC {
			for h := range c.H {
				for v := range c.W {
					var s float32
					for o := ch / ic * oc; o < (ch/ic+1)*oc; o++ {
						for kh := c.KH - 1; kh >= 0; kh-- {
							for kw := c.KW - 1; kw >= 0; kw-- {
								y, x := h+c.PadH-kh*c.DilH, v+c.PadW-kw*c.DilW
								if y%c.StrideH != 0 || x%c.StrideW != 0 {
									continue
								}
								s = fma32(w[((o*ic+ch%ic)*c.KH+kh)*c.KW+kw],
									at(dy, c.OutC, oh, ow, n, o, y/c.StrideH, x/c.StrideW), s)
							}
						}
					}
					dx[i] = s
					i++
				}
			}
		}
	}
}

// ConvBackwardWeightLanes adds the gradient of w; rows are the images of the
// lanes. A chain of fused multiply-adds runs over (image, oh, ow), ascending;
// taps in the padding multiply +0.
func (e *Engine) ConvBackwardWeightLanes(dst *Grad, x, dy []float32, c Conv, rows []int) {
	c = c.full()
	oh, ow, ic, oc := c.OutH(), c.OutW(), c.InC/c.Groups, c.OutC/c.Groups
	e.lanes(dst, c.OutC*ic*c.KH*c.KW, rows, func(g []float32, from, to int) {
		for i := range g {
			kw, kh := i%c.KW, i/c.KW%c.KH
			ch, o := i/(c.KW*c.KH)%ic, i/(c.KW*c.KH*ic)
			s := g[i]
			for n := from; n < to; n++ {
				for h := range oh {
					for v := range ow {
						s = fma32(at(dy, c.OutC, oh, ow, n, o, h, v), at(x, c.InC, c.H, c.W, n, o/oc*ic+ch,
							h*c.StrideH-c.PadH+kh*c.DilH, v*c.StrideW-c.PadW+kw*c.DilW), s)
					}
				}
			}
			g[i] = s
		}
	})
}

// ConvBiasLanes adds the gradient of the bias: for each channel a chain of
// additions over (image, oh, ow), in 16 strided partial sums per plane that the
// fixed tree joins, then over the images ascending.
func (e *Engine) ConvBiasLanes(dst *Grad, dy []float32, c Conv, rows []int) {
	c = c.full()
	plane := c.OutH() * c.OutW()
	e.lanes(dst, c.OutC, rows, func(g []float32, from, to int) {
		for n := from; n < to; n++ {
			for o := range g {
				g[o] += e.sum32(dy[(n*c.OutC+o)*plane:][:plane])
			}
		}
	})
}
