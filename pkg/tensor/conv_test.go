package tensor

import "testing"

// TestTapForm shows which form the cost rule chooses on AVX-512, and that other
// machines have no vectors across channels.
func TestTapForm(t *testing.T) {
	for _, e := range engines(t, 1) {
		for _, s := range []struct {
			in, out, size, kernel int
			want                  tapForm
		}{
			{1, 32, 28, 3, tapDirect},  // transposing a tile costs more than its nine products
			{16, 16, 32, 3, tapDirect}, // one vector of channels needs too many loads
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
