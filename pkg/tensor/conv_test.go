package tensor

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

// at is x[n, ch, h, w], +0 outside.
func at(x []float32, chans, height, width, n, ch, h, w int) float32 {
	if h < 0 || h >= height || w < 0 || w >= width {
		return 0
	}
	return x[((n*chans+ch)*height+h)*width+w]
}

// convForwardLoop is the definition of ConvForward.
func convForwardLoop(y, x, w, bias []float32, c Conv, act Act) {
	c = c.full()
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
					if act == ActReLU {
						s = max32(0, s)
					}
					y[i] = s
					i++
				}
			}
		}
	}
}

// convInputLoop is the definition of ConvBackwardInput.
func convInputLoop(dx, dy, w []float32, c Conv) {
	c = c.full()
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

// convWeightLoop goes on with the chains of the gradient of the weights.
func convWeightLoop(g, x, dy []float32, c Conv, from, to int) {
	c = c.full()
	oh, ow, ic, oc := c.OutH(), c.OutW(), c.InC/c.Groups, c.OutC/c.Groups
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
}

// randomConv is a small convolution of any stride, padding, dilation, groups.
func randomConv(r *rand.Rand) Conv {
	for {
		groups := 1 + r.IntN(2)*r.IntN(3)
		c := Conv{N: 1 + r.IntN(4), InC: groups * (1 + r.IntN(4)), OutC: groups * (1 + r.IntN(20)), H: 1 + r.IntN(14), W: 1 + r.IntN(18),
			KH: 1 + r.IntN(4), KW: 1 + r.IntN(4), StrideH: r.IntN(4), StrideW: r.IntN(4), PadH: r.IntN(3), PadW: r.IntN(3),
			DilH: r.IntN(3), DilW: r.IntN(3), Groups: groups}
		if r.IntN(3) == 0 {
			c.KH, c.KW, c.StrideH, c.StrideW, c.PadH, c.PadW, c.DilH, c.DilW = 3, 3, 1, 1, 1, 1, 1, 1
		}
		if r.IntN(20) == 0 {
			c.W += 24
		}
		if f := c.full(); f.H+2*f.PadH > f.DilH*(f.KH-1) && f.W+2*f.PadW > f.DilW*(f.KW-1) {
			return c
		}
	}
}

func TestConvIsOneChain(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	for _, e := range append(engines(t, 1), engines(t, 3)...) {
		for range cases(e, 300) {
			c := randomConv(r)
			x, xOK := guarded(t, r, c.N*c.InC*c.H*c.W)
			w, wOK := guarded(t, r, c.OutC*c.InC/c.Groups*c.KH*c.KW)
			y, yOK := guarded(t, r, c.N*c.OutC*c.OutH()*c.OutW())
			dx, dxOK := guarded(t, r, len(x))
			what := fmt.Sprintf("%s %d threads %+v", e.ISA(), e.Threads(), c)

			act, bias := ActNone, []float32(nil)
			if r.IntN(2) == 0 {
				bias, _ = guarded(t, r, c.OutC)
				act = ActReLU
			}
			want := make([]float32, len(y))
			convForwardLoop(want, x, w, bias, c, act)
			e.ConvForward(y, x, w, bias, c, act)
			mustEqual(t, what+" forward", y, want)

			want = make([]float32, len(x))
			convInputLoop(want, y, w, c)
			e.ConvBackwardInput(dx, y, w, c)
			mustEqual(t, what+" input", dx, want)

			rows := []int{0, r.IntN(c.N + 1), c.N}
			got, exact := grads(r, len(w), 2)
			for lane := range 2 {
				g := make([]float32, len(w))
				convWeightLoop(g, x, y, c, rows[lane], rows[lane+1])
				exact.addLane(lane, g)
			}
			e.ConvBackwardWeightLanes(got, x, y, c, rows)
			mustEqualGrad(t, what+" weight", got, exact)

			fast, fastOK := guarded(t, r, len(w))
			want = append([]float32(nil), fast...)
			convWeightLoop(want, x, y, c, 0, c.N)
			e.ConvBackwardWeightLanes(&Grad{Float: fast}, x, y, c, rows)
			mustEqual(t, what+" fast weight", fast, want)
			for _, ok := range []func(string){xOK, wOK, yOK, dxOK, fastOK} {
				ok(what)
			}
		}
	}
}
