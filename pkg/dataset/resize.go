package dataset

import "math"

// resizer brings a box of a plane of bytes to another size: each new pixel is the
// mean of the old ones around its place, weighted by a triangle as wide as two new
// pixels (two old ones where the picture grows). First rows, then columns are
// resized; weights are integers, so the result is the same on every machine.
type resizer struct {
	src          []byte
	stride       int
	x0, y0, w, h int // the box
}

// weightBits is the precision of a weight; 8 more bits and the sum still fit 32.
const weightBits = 22

// taps are the weights of one new pixel: of the old pixels from first on.
type taps struct {
	first  int
	weight []int32
}

// to writes the box as tw x th pixels into dst.
func (r resizer) to(dst []byte, tw, th int) {
	if tw == r.w && th == r.h {
		for y := range th {
			at := (r.y0+y)*r.stride + r.x0
			copy(dst[y*tw:(y+1)*tw], r.src[at:at+tw])
		}
		return
	}
	across, down := triangle(r.w, tw), triangle(r.h, th)
	narrow := make([]byte, r.h*tw)
	for y := range r.h {
		at := (r.y0+y)*r.stride + r.x0
		row := r.src[at : at+r.w]
		for x, t := range across {
			narrow[y*tw+x] = t.sum(row[t.first:], 1)
		}
	}
	for y, t := range down {
		for x := range tw {
			dst[y*tw+x] = t.sum(narrow[t.first*tw+x:], tw)
		}
	}
}

// sum returns the weighted mean of every step-th byte.
func (t taps) sum(b []byte, step int) byte {
	sum := int64(1) << (weightBits - 1)
	for i, w := range t.weight {
		sum += int64(w) * int64(b[i*step])
	}
	return byte(min(max(sum>>weightBits, 0), 255))
}

// triangle returns the taps that bring n pixels to m.
func triangle(n, m int) []taps {
	out := make([]taps, m)
	scale := float64(n) / float64(m)
	reach := max(scale, 1)
	for i := range out {
		center := float64((float64(i) + 0.5) * scale)
		first := max(int(center-reach+0.5), 0)
		last := min(int(center+reach+0.5), n)
		raw := make([]float64, 0, last-first)
		total := 0.0
		for k := first; k < last; k++ {
			d := math.Abs(float64(k) - center + 0.5)
			w := max(0, 1-float64(d/reach))
			raw = append(raw, w)
			total += w
		}
		t := taps{first: first, weight: make([]int32, len(raw))}
		for k, w := range raw {
			t.weight[k] = int32(math.Round(w / total * (1 << weightBits)))
		}
		out[i] = t
	}
	return out
}
