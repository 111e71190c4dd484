package dataset

import (
	"math"

	"github.com/lockstep-ml/lockstep/pkg/nn"
)

// The augmentations that change numbers where they are.

func colourKind() augmentKind {
	field := func(name, summary string) nn.Field {
		return nn.Field{Name: name, Type: "number", Default: 0.0, Min: bound(0), Max: bound(1), Summary: summary}
	}
	return augmentKind{
		Entry: nn.Entry{Name: "colour", Summary: "changes brightness, contrast and saturation of the image, each by a random factor from 1-v to 1+v",
			Fields: []nn.Field{
				field("brightness", "how much all pixels may be scaled"),
				field("contrast", "how much pixels may move from or to the image's mean"),
				field("saturation", "how much colours may move from or to grey; images with three channels only"),
			}},
		fit: func(s *augmentSite) augmenter {
			v := [3]float64{s.Float("brightness"), s.Float("contrast"), s.Float("saturation")}
			switch {
			case s.image("colour") && s.in.Shape[0] != 3 && v[2] > 0:
				s.fail("saturation", "needs red, green and blue, but the images have %s", plural(s.in.Shape[0], "channel"))
			case v == [3]float64{}:
				s.fail("", "colour changes nothing; give brightness, contrast or saturation")
			}
			return eachImage(func(p *canvas, row int, d draws) {
				w := d.block(row, 0)
				var f [3]float32
				for i := range f {
					f[i] = float32(within(w[i], 1-v[i], 1+v[i]))
				}
				p.colour(f[0], f[1], f[2])
			})
		},
	}
}

// colour changes the pixels by three factors, which must not be negative. 1
// changes nothing. After each of the three a pixel is between black and white.
func (p *canvas) colour(brightness, contrast, saturation float32) {
	for c := range p.c {
		black, gain := p.black[c], p.gain[c]
		for i, x := range p.plane(p.x, c) {
			p.plane(p.x, c)[i] = clamp(brightness * ((x - black) / gain))
		}
	}
	if contrast != 1 {
		sum := 0.0
		for i := range p.h * p.w {
			sum += float64(p.grey(i))
		}
		mean := float32(sum / float64(p.h*p.w))
		for i, v := range p.x {
			p.x[i] = clamp(mix(mean, v, contrast))
		}
	}
	if saturation != 1 {
		p.saturate(saturation)
	}
	for c := range p.c {
		black, gain := p.black[c], p.gain[c]
		for i, v := range p.plane(p.x, c) {
			p.plane(p.x, c)[i] = black + float32(v*gain)
		}
	}
}

func clamp(v float32) float32 { return min(max(v, 0), 1) }

// saturate moves every pixel from or to its grey.
func (p *canvas) saturate(factor float32) {
	for i := range p.h * p.w {
		grey := p.grey(i)
		for c := range p.c {
			x := &p.x[c*p.h*p.w+i]
			*x = clamp(mix(grey, *x, factor))
		}
	}
}

// grey is the brightness of place i of an image between 0 and 1, by the weights of
// BT.601, or the mean of channels that are not red, green and blue.
func (p *canvas) grey(i int) float32 {
	size := p.h * p.w
	if p.c == 3 {
		return float32(0.299*p.x[i]) + float32(0.587*p.x[size+i]) + float32(0.114*p.x[2*size+i])
	}
	sum := float32(0)
	for c := range p.c {
		sum += p.x[c*size+i]
	}
	return sum / float32(p.c)
}

func eraseKind() augmentKind {
	share := func(name string, def float64, summary string) nn.Field {
		return nn.Field{Name: name, Type: "number", Default: def, Above: bound(0), Max: bound(1), Summary: summary}
	}
	most := share("most", 0.25, "the largest share of the image that is erased")
	most.Short = true
	return augmentKind{
		Entry: nn.Entry{Name: "erase", Summary: "sets a random rectangle to 0, which is the mean if the data are normalised",
			Fields: []nn.Field{
				most,
				share("least", 0.02, "the smallest share"),
				{Name: "ratio", Type: "number", Default: 3.0, Min: bound(1), Max: bound(100), Summary: "how much longer one side may be than the other"},
				probabilityField(0.5),
			}},
		fit: func(s *augmentSite) augmenter {
			s.image("erase")
			least, most := s.Float("least"), s.Float("most")
			if least > most {
				s.fail("most", "is %v, below least, %v", most, least)
			}
			stretch, probability := log(s.Float("ratio")), s.Float("probability")
			return eachImage(func(p *canvas, row int, d draws) {
				w := d.block(row, 0)
				if unit(w[0]) >= probability {
					return
				}
				area := within(w[1], least, most) * float64(p.h*p.w)
				ratio := exp(within(w[2], -stretch, stretch))
				h := min(int(math.Sqrt(area*ratio)+0.5), p.h)
				wide := min(int(math.Sqrt(area/ratio)+0.5), p.w)
				at := d.block(row, 1)
				p.erase(choose(at[0], p.h-h+1), choose(at[1], p.w-wide+1), h, wide)
			})
		},
	}
}

// erase sets h x w pixels to 0.
func (p *canvas) erase(top, left, h, w int) {
	for c := range p.c {
		for y := top; y < top+h; y++ {
			clear(p.plane(p.x, c)[y*p.w+left:][:w])
		}
	}
}

// noise adds draws of the normal distribution to every number of a record.
type noise struct{ deviation float32 }

func noiseKind() augmentKind {
	return augmentKind{
		Entry: nn.Entry{Name: "noise", Summary: "adds Gaussian noise to every number of the record, after normalisation",
			Fields: []nn.Field{
				{Name: "deviation", Type: "number", Required: true, Short: true, Above: bound(0), Max: bound(1e6), Summary: "standard deviation of what is added"},
			}},
		fit: func(s *augmentSite) augmenter {
			s.floats("noise")
			return noise{float32(s.Float("deviation"))}
		},
	}
}

func (n noise) apply(m *microBatch) {
	size := len(m.x) / m.rows
	for row := range m.rows {
		x := m.x[row*size : (row+1)*size]
		for i := 0; i < len(x); i += 4 {
			w := m.block(row, i/4)
			for j := range x[i:min(i+4, len(x))] {
				x[i+j] += float32(n.deviation * float32(normal(w[j])))
			}
		}
	}
}
