package dataset

import (
	"math"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// newCanvas is an image of one channel with the numbers 1, 2, … and black -1.
func newCanvas(h, w int) *canvas {
	p := &canvas{x: make([]float32, h*w), spare: make([]float32, h*w), c: 1, h: h, w: w,
		pixelScale: pixelScale{black: []float32{-1}, gain: []float32{4}}}
	for i := range p.x {
		p.x[i] = float32(i + 1)
	}
	return p
}

func TestShift(t *testing.T) {
	for _, c := range []struct {
		dy, dx int
		fill   string
		want   []float32
	}{
		{0, 0, "black", []float32{1, 2, 3, 4, 5, 6, 7, 8, 9}},
		{1, -1, "black", []float32{-1, 4, 5, -1, 7, 8, -1, -1, -1}},
		{-2, 0, "edge", []float32{1, 2, 3, 1, 2, 3, 1, 2, 3}},
		{0, 2, "edge", []float32{3, 3, 3, 6, 6, 6, 9, 9, 9}},
		{1, 0, "reflect", []float32{4, 5, 6, 7, 8, 9, 4, 5, 6}},
		{0, -2, "reflect", []float32{3, 2, 1, 6, 5, 4, 9, 8, 7}},
	} {
		p := newCanvas(3, 3)
		p.shift(c.dy, c.dx, c.fill)
		if diff := cmp.Diff(c.want, p.x); diff != "" {
			t.Errorf("shift by %d, %d, %s (-want +got):\n%s", c.dy, c.dx, c.fill, diff)
		}
	}
	if got := []int{outside("reflect", -7, 3), outside("reflect", 9, 3), outside("reflect", 5, 1)}; !slices.Equal(got, []int{1, 1, 0}) {
		t.Errorf("far reflections %v", got)
	}
}

func TestFlip(t *testing.T) {
	p := newCanvas(3, 2)
	p.flip(false)
	if want := []float32{2, 1, 4, 3, 6, 5}; !slices.Equal(p.x, want) {
		t.Errorf("horizontal %v, want %v", p.x, want)
	}
	p.flip(true)
	if want := []float32{6, 5, 4, 3, 2, 1}; !slices.Equal(p.x, want) {
		t.Errorf("then vertical %v, want %v", p.x, want)
	}
}

func TestErase(t *testing.T) {
	p := newCanvas(3, 3)
	p.erase(1, 0, 2, 2)
	if want := []float32{1, 2, 3, 0, 0, 6, 0, 0, 9}; !slices.Equal(p.x, want) {
		t.Errorf("%v, want %v", p.x, want)
	}
}

// Interpolation is exact for a plane a*y + b*x, so wherever the source lies inside,
// a warped plane is the plane at the source. Float32 rounds numbers below 64 to
// 4e-6, some six times over.
func TestWarp(t *testing.T) {
	const n = 9
	sin, cos := sinCosPi(30.0 / 180)
	for name, a := range map[string]affine{
		"nothing":  {yy: 1, xx: 1},
		"turned":   {yy: cos, yx: sin, y0: 4 - 4*cos - 4*sin, xy: -sin, xx: cos, x0: 4 + 4*sin - 4*cos},
		"enlarged": {yy: 0.5, y0: 1.75, xx: 0.25, x0: 3},
	} {
		p := newCanvas(n, n)
		for i := range p.x {
			p.x[i] = 3*float32(i/n) + 2*float32(i%n)
		}
		p.warp(a, "black")
		inside := 0
		for y := range n {
			for x := range n {
				sy := a.y0 + a.yy*float64(y) + a.yx*float64(x)
				sx := a.x0 + a.xy*float64(y) + a.xx*float64(x)
				if sy < 0 || sx < 0 || sy > n-1 || sx > n-1 {
					continue
				}
				inside++
				if got, want := float64(p.x[y*n+x]), 3*sy+2*sx; math.Abs(got-want) > 3e-5 {
					t.Errorf("%s: (%d, %d) is %v, want %v", name, y, x, got, want)
				}
			}
		}
		if inside < n*n*3/5 {
			t.Errorf("%s: only %d pixels inside", name, inside)
		}
	}
}

// A quarter turn moves every pixel to another's place, counter-clockwise for a
// positive angle as seen with y pointing down, clockwise.
func TestQuarterTurn(t *testing.T) {
	p := newCanvas(3, 3)
	sin, cos := sinCosPi(0.5)
	p.warp(affine{yy: cos, yx: sin, y0: 1 - cos - sin, xy: -sin, xx: cos, x0: 1 + sin - cos}, "black")
	want := []float32{3, 6, 9, 2, 5, 8, 1, 4, 7}
	if diff := cmp.Diff(want, p.x, cmpopts.EquateApprox(0, 1e-5)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// A pixel v between 0 and 1 lies at black + v*gain; three channels of one pixel.
func TestColour(t *testing.T) {
	pixels := func(v ...float32) *canvas {
		p := &canvas{c: 3, h: 1, w: len(v) / 3, pixelScale: pixelScale{black: []float32{-1, 0, 2}, gain: []float32{4, 1, 0.5}}}
		for i, x := range v {
			c := i / p.w
			p.x = append(p.x, p.black[c]+x*p.gain[c])
		}
		return p
	}
	for name, c := range map[string]struct {
		factors [3]float32
		want    *canvas
	}{
		"nothing":    {[3]float32{1, 1, 1}, pixels(0.2, 0.6, 0.4, 0.8, 0.6, 1)},
		"brightness": {[3]float32{1.5, 1, 1}, pixels(0.3, 0.9, 0.6, 1, 0.9, 1)},
		// The two greys are 0.299*0.2+0.587*0.4+0.114*0.6 = 0.363 and 0.763; their mean is 0.563.
		"contrast":   {[3]float32{1, 0.5, 1}, pixels(0.3815, 0.5815, 0.4815, 0.6815, 0.5815, 0.7815)},
		"saturation": {[3]float32{1, 1, 0}, pixels(0.363, 0.763, 0.363, 0.763, 0.363, 0.763)},
	} {
		p := pixels(0.2, 0.6, 0.4, 0.8, 0.6, 1)
		p.colour(c.factors[0], c.factors[1], c.factors[2])
		if diff := cmp.Diff(c.want.x, p.x, cmpopts.EquateApprox(0, 1e-5)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// Row r becomes share*r + (1-share)*next, the last with the first as it was.
func TestMixNext(t *testing.T) {
	m := &microBatch{rows: 3, shares: []float32{0.5, 1, 0.75}, spare: make([]float32, 2)}
	x := []float32{0, 8, 4, 16, 8, 0}
	m.mixNext(x)
	if want := []float32{2, 12, 4, 16, 6, 2}; !slices.Equal(x, want) {
		t.Errorf("%v, want %v", x, want)
	}
	m.mixNext(nil)
}
