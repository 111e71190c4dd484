package tensor

// Taps in the padding multiply +0. That changes nothing unless a weight is not
// finite, or a sum is -0, which becomes +0. So kernels across channels leave out the
// rows of taps that lie there for a whole line, and, of filters three wide, the taps
// that lie there for the first or the last place of a line. Without them a sum is the same, or
// -0 where it would be +0, and it stays so until it is no longer 0: only a sum that
// ends as -0 can be wrong. That takes a product next to nothing; kernels look for it,
// and the image is then computed with all taps.

// bandImages is how many images make it worth to pack filters of bands.
const bandImages = 4

// band is output lines with the same taps outside of the padding: in each channel,
// some that follow each other.
type band struct {
	line, lines int
	from, taps  int
	offsets     []int32 // in bytes
	filters     int     // where its filters begin, behind those of the grid: so many ks
	sides       bool    // see grid.sides
}

// cut finds the bands of an image. It returns how many ks all their filters have.
func (g *grid) cut(channels int) int {
	all := len(g.offsets) / channels
	g.whole = []band{{lines: g.outH, taps: all, offsets: g.offsetsBytes}}
	ks, sides := len(g.offsets), g.sides()
	for line := range g.outH {
		from, taps := g.inside(line, all)
		if last := len(g.bands) - 1; last >= 0 && g.bands[last].from == from && g.bands[last].taps == taps {
			g.bands[last].lines++
			continue
		}
		b := band{line: line, lines: 1, from: from, taps: taps, offsets: g.offsetsBytes, sides: sides}
		if taps < all {
			b.filters, b.offsets = ks, nil
			for ch := range channels {
				b.offsets = append(b.offsets, g.offsetsBytes[ch*all+from:][:taps]...)
			}
			ks += len(b.offsets)
		}
		g.bands = append(g.bands, b)
	}
	return ks
}

// inside is which of the taps of a channel do not lie in the padding above or below
// for an output line: all, if none.
func (g *grid) inside(line, all int) (from, taps int) {
	for i, at := range g.offsets[:all] {
		if row := (int(at)+line*g.outRowStep)/g.rowStep - g.top; row >= 0 && row < g.height {
			if taps == 0 {
				from = i
			}
			taps++
		}
	}
	if taps == 0 {
		return 0, all
	}
	return from, taps
}

// sides is whether taps are threes that begin one place left of the output element:
// the first tap of the first place of a line then lies in the padding, and the last
// tap of the last place.
func (g *grid) sides() bool {
	for i, at := range g.offsets {
		if int(at)%g.rowStep-g.left != i%3-1 {
			return false
		}
	}
	return g.split == 1 && g.outW == g.width
}

// packBands copies the filters of bands, of m channels, from those with all taps,
// which begin at dst.
func (k *kernels) packBands(dst []float32, g *grid, m int) {
	for _, b := range g.bands {
		if b.filters == 0 {
			continue
		}
		depth, all := len(g.offsets), g.whole[0].taps
		for first := 0; first < m; first += k.panel() {
			wide := k.whole(min(k.panel(), m-first))
			to, from := dst[k.whole(m)*b.filters+first*len(b.offsets):], dst[first*depth+b.from*wide:]
			for ch := range depth / all {
				copy(to[ch*b.taps*wide:], from[ch*all*wide:][:b.taps*wide])
			}
		}
	}
}
