package dataset

import (
	"math/bits"

	"github.com/lockstep-ml/lockstep/pkg/nn"
)

// The augmentations that move pixels. They work on images as they were stored:
// black is the 0 of a byte, whatever normalisation made of it.

// fillField says what comes from outside an image.
func fillField() nn.Field {
	return nn.Field{Name: "fill", Type: "text", Default: "black", Values: []string{"black", "edge", "reflect"},
		Summary: "what lies outside the image: black, the nearest pixel of the edge, or the image mirrored at it"}
}

// outside returns the coordinate in 0..n-1 that stands for i, or -1 for black.
func outside(fill string, i, n int) int {
	switch {
	case i >= 0 && i < n:
		return i
	case fill == "edge":
		return min(max(i, 0), n-1)
	case fill == "reflect" && n > 1:
		if i %= 2 * (n - 1); i < 0 {
			i += 2 * (n - 1)
		}
		if i >= n {
			i = 2*(n-1) - i
		}
		return i
	case fill == "reflect":
		return 0
	}
	return -1
}

func cropKind() augmentKind {
	return augmentKind{
		Entry: nn.Entry{Name: "crop", Summary: "pads the image on all sides and takes a piece of its size at a random place",
			Fields: []nn.Field{
				{Name: "padding", Type: "integer", Required: true, Short: true, Min: bound(1), Max: bound(mostSide), Summary: "pixels on every side: the image is shifted by at most so many"},
				fillField(),
			}},
		fit: func(s *augmentSite) augmenter {
			pad, fill := s.Int("padding"), s.Text("fill")
			if s.image("crop") && pad >= min(s.in.Shape[1], s.in.Shape[2]) {
				s.fail("padding", "is %d, which could shift an image of %d x %d out of sight", pad, s.in.Shape[1], s.in.Shape[2])
			}
			return eachImage(func(p *canvas, row int, d draws) {
				w := d.block(row, 0)
				p.shift(choose(w[0], 2*pad+1)-pad, choose(w[1], 2*pad+1)-pad, fill)
			})
		},
	}
}

// choose is a number below n, by multiplication and shift.
func choose(w uint32, n int) int {
	hi, _ := bits.Mul32(w, uint32(n))
	return int(hi)
}

// shift sets pixel (y, x) to the old pixel (y+dy, x+dx); |dy| < h and |dx| < w.
func (p *canvas) shift(dy, dx int, fill string) {
	if dy == 0 && dx == 0 {
		return
	}
	copy(p.spare, p.x)
	for c := range p.c {
		from, to := p.plane(p.spare, c), p.plane(p.x, c)
		for y := range p.h {
			out := to[y*p.w : (y+1)*p.w]
			sy := outside(fill, y+dy, p.h)
			if sy < 0 {
				paint(out, p.black[c])
				continue
			}
			row := from[sy*p.w : (sy+1)*p.w]
			lo, hi := max(-dx, 0), min(p.w-dx, p.w) // columns whose sources lie inside
			copy(out[lo:hi], row[lo+dx:hi+dx])
			p.border(out[:lo], row, dx, 0, fill, p.black[c])
			p.border(out[hi:], row, dx, hi, fill, p.black[c])
		}
	}
}

// border fills columns first and on of a row whose sources lie outside.
func (p *canvas) border(out, row []float32, dx, first int, fill string, black float32) {
	for i := range out {
		if sx := outside(fill, first+i+dx, p.w); sx >= 0 {
			out[i] = row[sx]
		} else {
			out[i] = black
		}
	}
}

func (p *canvas) plane(x []float32, c int) []float32 { return x[c*p.h*p.w : (c+1)*p.h*p.w] }

func paint(x []float32, v float32) {
	for i := range x {
		x[i] = v
	}
}

func flipKind() augmentKind {
	return augmentKind{
		Entry: nn.Entry{Name: "flip", Summary: "mirrors the image",
			Fields: []nn.Field{
				{Name: "axis", Type: "text", Default: "horizontal", Short: true, Values: []string{"horizontal", "vertical"}, Summary: "horizontal exchanges left and right, vertical top and bottom"},
				probabilityField(0.5),
			}},
		fit: func(s *augmentSite) augmenter {
			s.image("flip")
			vertical, probability := s.Text("axis") == "vertical", s.Float("probability")
			return eachImage(func(p *canvas, row int, d draws) {
				if unit(d.block(row, 0)[0]) < probability {
					p.flip(vertical)
				}
			})
		},
	}
}

func probabilityField(def float64) nn.Field {
	return nn.Field{Name: "probability", Type: "number", Default: def, Min: bound(0), Max: bound(1), Summary: "share of the records that it happens to"}
}

func (p *canvas) flip(vertical bool) {
	for c := range p.c {
		plane := p.plane(p.x, c)
		for y := range p.h {
			row := plane[y*p.w : (y+1)*p.w]
			switch other := p.h - 1 - y; {
			case !vertical:
				reverse(row)
			case y < other:
				swap(row, plane[other*p.w:(other+1)*p.w])
			}
		}
	}
}

func reverse(x []float32) {
	for i, j := 0, len(x)-1; i < j; i, j = i+1, j-1 {
		x[i], x[j] = x[j], x[i]
	}
}

func swap(a, b []float32) {
	for i := range a {
		a[i], b[i] = b[i], a[i]
	}
}
