package dataset

import (
	"image"
	"image/color"
	"image/draw"
)

// planes returns the red, green and blue bytes of an image, row by row.
func planes(img image.Image) (rgb [3][]byte, w, h int) {
	b := img.Bounds()
	w, h = b.Dx(), b.Dy()
	for c := range rgb {
		rgb[c] = make([]byte, w*h)
	}
	switch src := img.(type) {
	case *image.YCbCr:
		fromYCbCr(&rgb, src, w, h)
	case *image.Gray:
		for y := range h {
			row := src.Pix[y*src.Stride : y*src.Stride+w]
			for c := range rgb {
				copy(rgb[c][y*w:], row)
			}
		}
	default:
		all := image.NewRGBA(image.Rect(0, 0, w, h))
		draw.Draw(all, all.Bounds(), img, b.Min, draw.Src)
		for i := range w * h {
			rgb[0][i], rgb[1][i], rgb[2][i] = all.Pix[4*i], all.Pix[4*i+1], all.Pix[4*i+2]
		}
	}
	return rgb, w, h
}

// grey puts the brightness into r, by the weights of BT.601.
func grey(r, g, b []byte) {
	for i := range r {
		r[i] = byte((19595*uint32(r[i]) + 38470*uint32(g[i]) + 7471*uint32(b[i]) + 1<<15) >> 16)
	}
}

// fromYCbCr converts a JPEG's colours. Colour that is stored at half the
// resolution is interpolated, as the common JPEG library does: networks trained
// on its pictures notice the difference.
func fromYCbCr(rgb *[3][]byte, src *image.YCbCr, w, h int) {
	cb := chroma{src.Cb, src.CStride, (w + 1) / 2, (h + 1) / 2, make([]int32, (w+1)/2), make([]byte, w+1)}
	cr := chroma{src.Cr, src.CStride, (w + 1) / 2, (h + 1) / 2, make([]int32, (w+1)/2), make([]byte, w+1)}
	for y := range h {
		for _, c := range []*chroma{&cb, &cr} {
			switch src.SubsampleRatio {
			case image.YCbCrSubsampleRatio420:
				c.row420(y)
			case image.YCbCrSubsampleRatio422:
				c.row422(y)
			default:
				for x := range w {
					c.out[x] = c.pix[src.COffset(src.Rect.Min.X+x, src.Rect.Min.Y+y)]
				}
			}
		}
		for x := range w {
			r, g, b := color.YCbCrToRGB(src.Y[y*src.YStride+x], cb.out[x], cr.out[x])
			rgb[0][y*w+x], rgb[1][y*w+x], rgb[2][y*w+x] = r, g, b
		}
	}
}

// chroma is a plane of colour at half the width, and perhaps half the height.
type chroma struct {
	pix    []byte
	stride int
	w, h   int
	sums   []int32
	out    []byte // one row at full width
}

// row420 makes row y: three parts of the nearest stored row and column, one part
// of the next nearest. Rounding alternates, so that it has no bias.
func (c *chroma) row420(y int) {
	near := y / 2
	next := near + 1
	if y%2 == 0 {
		next = near - 1
	}
	next = min(max(next, 0), c.h-1)
	a, b := c.pix[near*c.stride:], c.pix[next*c.stride:]
	for i := range c.sums {
		c.sums[i] = 3*int32(a[i]) + int32(b[i])
	}
	for i, s := range c.sums {
		left, right := s, s
		if i > 0 {
			left = c.sums[i-1]
		}
		if i < c.w-1 {
			right = c.sums[i+1]
		}
		c.put(2*i, byte((3*s+left+8)>>4))
		c.put(2*i+1, byte((3*s+right+7)>>4))
	}
}

// row422 makes row y, whose colour is stored at full height.
func (c *chroma) row422(y int) {
	a := c.pix[y*c.stride : y*c.stride+c.w]
	for i, v := range a {
		s := int32(v)
		left, right := s, s
		if i > 0 {
			left = int32(a[i-1])
		}
		if i < c.w-1 {
			right = int32(a[i+1])
		}
		c.put(2*i, byte((3*s+left+1)>>2))
		c.put(2*i+1, byte((3*s+right+2)>>2))
	}
}

func (c *chroma) put(x int, v byte) {
	if x < len(c.out) {
		c.out[x] = v
	}
}
