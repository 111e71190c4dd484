package tensor

import "math"

// Pool describes windows over the planes of x (N, C, H, W); y is (N, C, OH, OW).
// A zero stride counts as 1.
type Pool struct {
	N, C, H, W       int
	KH, KW           int
	StrideH, StrideW int
	PadH, PadW       int
}

// OutH is the height of the output.
func (p Pool) OutH() int { return outSize(p.H, p.KH, p.StrideH, p.PadH, 1) }

// OutW is the width of the output.
func (p Pool) OutW() int { return outSize(p.W, p.KW, p.StrideW, p.PadW, 1) }

func (p Pool) check(op string, x, y int) Pool {
	p.StrideH, p.StrideW = max(p.StrideH, 1), max(p.StrideW, 1)
	need(op, "x", x, p.N*p.C*p.H*p.W)
	need(op, "y", y, p.N*p.C*p.OutH()*p.OutW())
	return p
}

// windows calls f for every window: its place in y, the place of its plane in x
// and the part of the plane that it covers.
func (p Pool) windows(f func(i, plane, h0, h1, w0, w1 int)) {
	oh, ow := p.OutH(), p.OutW()
	i := 0
	for plane := range p.N * p.C {
		for h := range oh {
			for w := range ow {
				h0, w0 := h*p.StrideH-p.PadH, w*p.StrideW-p.PadW
				f(i, plane*p.H*p.W, max(h0, 0), min(h0+p.KH, p.H), max(w0, 0), min(w0+p.KW, p.W))
				i++
			}
		}
	}
}

// MaxPoolForward sets y to the greatest element of every window and argmax to
// its place in its plane, h*W + w. The first of equal ones counts; a NaN counts
// as the greatest.
func (e *Engine) MaxPoolForward(y []float32, argmax []int32, x []float32, p Pool) {
	p = p.check("MaxPoolForward", len(x), len(y))
	need("MaxPoolForward", "argmax", len(argmax), p.N*p.C*p.OutH()*p.OutW())
	p.windows(func(i, plane, h0, h1, w0, w1 int) {
		best, where := float32(math.Inf(-1)), h0*p.W+w0
		for h := h0; h < h1; h++ {
			for w := w0; w < w1; w++ {
				if v := x[plane+h*p.W+w]; v > best || v != v && best == best {
					best, where = v, h*p.W+w
				}
			}
		}
		y[i], argmax[i] = best, int32(where)
	})
}

// MaxPoolBackward sets dx: every element of dy is added to where the maximum of
// its window was, windows ascending.
func (e *Engine) MaxPoolBackward(dx, dy []float32, argmax []int32, p Pool) {
	p = p.check("MaxPoolBackward", len(dx), len(dy))
	clear(dx[:p.N*p.C*p.H*p.W])
	out := p.OutH() * p.OutW()
	for plane := range p.N * p.C {
		d := dx[plane*p.H*p.W:][:p.H*p.W]
		for i := plane * out; i < (plane+1)*out; i++ {
			d[argmax[i]] += dy[i]
		}
	}
}

// AvgPoolForward sets y to the sum of every window, added up in order, times
// 1/(KH*KW); padding counts as zeros.
func (e *Engine) AvgPoolForward(y, x []float32, p Pool) {
	p = p.check("AvgPoolForward", len(x), len(y))
	f := 1 / float32(p.KH*p.KW)
	p.windows(func(i, plane, h0, h1, w0, w1 int) {
		var s float32
		for h := h0; h < h1; h++ {
			for w := w0; w < w1; w++ {
				s += x[plane+h*p.W+w]
			}
		}
		y[i] = s * f
	})
}

// AvgPoolBackward sets dx: every element of dy, times 1/(KH*KW), is added to all
// of its window, windows ascending.
func (e *Engine) AvgPoolBackward(dx, dy []float32, p Pool) {
	p = p.check("AvgPoolBackward", len(dx), len(dy))
	clear(dx[:p.N*p.C*p.H*p.W])
	f := 1 / float32(p.KH*p.KW)
	p.windows(func(i, plane, h0, h1, w0, w1 int) {
		v := float32(dy[i] * f)
		for h := h0; h < h1; h++ {
			for w := w0; w < w1; w++ {
				dx[plane+h*p.W+w] += v
			}
		}
	})
}
