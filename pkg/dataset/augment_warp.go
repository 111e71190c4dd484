package dataset

import (
	"math"

	"github.com/lockstep-ml/lockstep/pkg/nn"
)

// The augmentations that resample an image: every new pixel is interpolated
// between the four old ones around the place that it comes from.

func rotationKind() augmentKind {
	return augmentKind{
		Entry: nn.Entry{Name: "rotation", Summary: "turns the image about its middle",
			Fields: []nn.Field{
				{Name: "degrees", Type: "number", Required: true, Short: true, Above: bound(0), Max: bound(180), Summary: "the largest angle, to either side"},
				fillField(),
			}},
		fit: func(s *augmentSite) augmenter {
			s.image("rotation")
			most, fill := s.Float("degrees")/180, s.Text("fill")
			return eachImage(func(p *canvas, row int, d draws) {
				sin, cos := sinCosPi(within(d.block(row, 0)[0], -most, most))
				y, x := float64(p.h-1)/2, float64(p.w-1)/2
				p.warp(affine{
					yy: cos, yx: sin, y0: y - float64(cos*y) - float64(sin*x),
					xy: -sin, xx: cos, x0: x + float64(sin*y) - float64(cos*x),
				}, fill)
			})
		},
	}
}

func resizeCropKind() augmentKind {
	return augmentKind{
		Entry: nn.Entry{Name: "resize_crop", Summary: "takes a piece of random size, proportions and place and enlarges it to the whole image",
			Fields: []nn.Field{
				{Name: "area", Type: "number", Default: 0.25, Short: true, Above: bound(0), Max: bound(1), Summary: "the smallest share of the image that a piece may be"},
				{Name: "ratio", Type: "number", Default: 4.0 / 3, Min: bound(1), Max: bound(100), Summary: "how much more one side may shrink than the other"},
			}},
		fit: func(s *augmentSite) augmenter {
			s.image("resize_crop")
			area, stretch := s.Float("area"), log(s.Float("ratio"))
			return eachImage(func(p *canvas, row int, d draws) {
				w := d.block(row, 0)
				size := within(w[0], area, 1)
				ratio := exp(within(w[1], -stretch, stretch))
				down, across := min(math.Sqrt(size*ratio), 1), min(math.Sqrt(size/ratio), 1)
				// The piece's pixels are as wide as the image's, shrunk about their middles.
				top := float64(unit(w[2]) * float64(p.h) * (1 - down))
				left := float64(unit(w[3]) * float64(p.w) * (1 - across))
				p.warp(affine{yy: down, y0: top + float64(down*0.5) - 0.5, xx: across, x0: left + float64(across*0.5) - 0.5}, "edge")
			})
		},
	}
}

// affine says where a new pixel (y, x) comes from:
//
//	(y0 + yy*y + yx*x, x0 + xy*y + xx*x)
type affine struct{ yy, yx, y0, xy, xx, x0 float64 }

// warp takes every pixel from where a says.
func (p *canvas) warp(a affine, fill string) {
	copy(p.spare, p.x)
	for y := range p.h {
		sy := a.y0 + float64(a.yy*float64(y))
		sx := a.x0 + float64(a.xy*float64(y))
		for x := range p.w {
			p.interpolate(y*p.w+x, sy+float64(a.yx*float64(x)), sx+float64(a.xx*float64(x)), fill)
		}
	}
}

// interpolate sets pixel at of all channels to the mean of the four around (y, x)
// in spare, weighted by nearness.
func (p *canvas) interpolate(at int, y, x float64, fill string) {
	fy, fx := math.Floor(y), math.Floor(x)
	dy, dx := float32(y-fy), float32(x-fx)
	y0, x0 := int(fy), int(fx)
	if size := p.h * p.w; y0 >= 0 && x0 >= 0 && y0 < p.h-1 && x0 < p.w-1 {
		for i := y0*p.w + x0; at < len(p.x); i, at = i+size, at+size {
			top, bottom := p.spare[i:i+2], p.spare[i+p.w:i+p.w+2]
			p.x[at] = mix(mix(top[0], top[1], dx), mix(bottom[0], bottom[1], dx), dy)
		}
		return
	}
	y1, x1 := outside(fill, y0+1, p.h), outside(fill, x0+1, p.w)
	y0, x0 = outside(fill, y0, p.h), outside(fill, x0, p.w)
	for c := range p.c {
		top := mix(p.at(c, y0, x0), p.at(c, y0, x1), dx)
		bottom := mix(p.at(c, y1, x0), p.at(c, y1, x1), dx)
		p.x[c*p.h*p.w+at] = mix(top, bottom, dy)
	}
}

// at is a pixel of spare; one outside is black.
func (p *canvas) at(c, y, x int) float32 {
	if y < 0 || x < 0 {
		return p.black[c]
	}
	return p.spare[(c*p.h+y)*p.w+x]
}

// mix goes from a to b as t goes from 0 to 1.
func mix(a, b, t float32) float32 { return a + float32(t*(b-a)) }
