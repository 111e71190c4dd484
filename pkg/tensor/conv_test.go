package tensor

import (
	"math"
	"testing"
)

// TestTapForm shows which form the cost rule chooses on AVX-512, and that other
// machines have no vectors across channels.
func TestTapForm(t *testing.T) {
	for _, e := range engines(t, 1) {
		for _, s := range []struct {
			in, out, size, kernel int
			want                  tapForm
		}{
			{1, 32, 28, 3, tapDirect}, // transposing a tile costs more than its nine products
			{16, 16, 32, 3, tapAcross},
			{16, 16, 32, 5, tapDirect}, // one vector of channels needs too many loads
			{16, 10, 32, 3, tapDirect}, // ten channels do not fill a vector, lines do
			{16, 16, 28, 3, tapAcross}, // lines of 28 do not fill vectors
			{32, 64, 14, 3, tapAcross},
			{64, 64, 32, 3, tapAcross},
			{512, 512, 7, 3, tapAcross},
			{64, 10, 7, 3, tapPanels},  // neither fills vectors
			{64, 64, 14, 1, tapPanels}, // no border: a plain product
		} {
			c := Conv{InC: s.in, OutC: s.out, H: s.size, W: s.size, KH: s.kernel, KW: s.kernel, PadH: s.kernel / 2, PadW: s.kernel / 2}.full()
			g, want := inputGrid(c), s.want
			got := e.k.tapForm(&g, s.out, c.depth())
			if e.ISA() == "avx512" && got != want || e.ISA() != "avx512" && got == tapAcross || e.ISA() == "portable" && got != tapPanels {
				t.Errorf("%s: %+v takes form %d", e.ISA(), s, got)
			}
		}
	}
}

// TestStrips checks that tiles cover lines and that none is too large.
func TestStrips(t *testing.T) {
	for most := 1; most <= 16; most++ {
		for width := 1; width <= 200; width++ {
			n, shared := strips(width, most)
			if own := width - shared; n*most < width || 2*shared > most || shared < 0 || shared > 0 && own > (n-1)*most {
				t.Errorf("%d places, at most %d: %d strips, %d shared", width, most, n, shared)
			}
		}
	}
	if n, shared := strips(32, 14); n != 3 || shared != 6 {
		t.Errorf("two lines of 32 are 13, 13, 6+6, 13 and 13, not %d strips with %d shared", n, shared)
	}
}

// TestTapsInPadding has what makes taps in the padding matter: weights that are not
// finite, and sums that are -0 before such a tap makes them +0. Only products next to
// nothing make a sum -0. Two lines of 7 are one tile, two of 20 share one, those of 45
// have some that touch no end.
func TestTapsInPadding(t *testing.T) {
	inf := float32(math.Inf(1))
	for _, width := range []int{7, 20, 45} {
		for line := range 5 {
			for _, step := range []int{3, 1} {
				for _, at := range []int{0, 2} {
					paddedTaps{line, step, at, 1, -1}.test(t, width)
					paddedTaps{line, step, at, inf, 1}.test(t, width)
					paddedTaps{line, step, at, inf - inf, 1}.test(t, width)
				}
			}
		}
	}
}

// paddedTaps are filters of 3 x 3 of which a row (step 3) or a column (1) is different,
// and a line of the output that has next to nothing in it.
type paddedTaps struct {
	line, step, at int
	first, other   float32
}

func (p paddedTaps) test(t *testing.T, width int) {
	c := Conv{N: bandImages, InC: 8, OutC: 32, H: 5, W: width, KH: 3, KW: 3, PadH: 1, PadW: 1}
	x, w := make([]float32, c.N*c.InC*c.H*c.W), make([]float32, c.OutC*c.InC*9)
	for i := range c.W {
		if p.step == 1 || i == c.W/2 { // for a row, far from the ends of the line
			x[p.line*c.W+i] = 1e-30 // channel 0 of image 0
		}
	}
	for i := range w {
		w[i] = p.other
		switch {
		case i/9%c.InC > 0 && i/p.step%3 == p.at:
			w[i] = p.first
		case i/9%c.InC == 0 && i/3%3 == 1:
			w[i] = -1e-30
		}
	}
	var want []float32
	for _, e := range engines(t, 1) {
		y := make([]float32, c.N*c.OutC*c.H*c.W)
		e.ConvForward(y, x, w, nil, c, ActNone)
		if want == nil {
			want = y
		}
		for i := range y {
			if math.Float32bits(y[i]) != math.Float32bits(want[i]) && (y[i] == y[i] || want[i] == want[i]) {
				t.Fatalf("%s, %d wide, %+v: element %d is %g, want %g", e.ISA(), width, p, i, y[i], want[i])
			}
		}
	}
}
