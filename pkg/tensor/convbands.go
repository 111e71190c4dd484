package tensor

// Taps in the padding multiply +0. That changes nothing unless a weight is not
// finite, or a sum is -0, which becomes +0. So kernels across channels leave out the
// rows of taps that lie there for a whole line and, of filters three wide, the taps
// that lie there for the first or the last place of a line. The image then needs no
// border and is read where it is. Without those taps a sum is the same, or -0 where it
// would be +0, and it stays so until it is no longer 0: only a sum that ends as -0 can
// be wrong. That takes a product next to nothing; kernels look for it, and the image
// is then computed with all taps.

// bandImages is how many images make it worth to pack filters of bands.
const bandImages = 4

// band is output lines with the same taps outside of the padding: in each channel,
// some that follow each other.
type band struct {
	line, lines int
	from, taps  int
	offsets     []int32 // in bytes
	rowStep     int     // elements of the image from output row to output row
	filters     int     // where its filters begin, behind those of the grid: so many ks
	bare        bool    // it reads no border at all, so the image needs none
}

// next is how far apart channels are, in bytes; 0 if there is one only.
func (b *band) next() uintptr {
	if len(b.offsets) == b.taps {
		return 0
	}
	return uintptr(b.offsets[b.taps] - b.offsets[0])
}

// cut finds the bands of an image, which may be bare. It returns how many ks all
// their filters have.
func (g *grid) cut(channels int, bare bool) int {
	all := len(g.offsets) / channels
	whole := band{lines: g.outH, taps: all, offsets: g.offsetsBytes, rowStep: g.outRowStep}
	g.whole = []band{whole}
	bare = bare && g.threes
	for line := range g.outH {
		from, taps := g.inside(line, all)
		if taps == 0 {
			from, taps, bare = 0, all, false
		}
		if last := len(g.bands) - 1; last >= 0 && g.bands[last].from == from && g.bands[last].taps == taps {
			g.bands[last].lines++
			continue
		}
		g.bands = append(g.bands, band{line: line, lines: 1, from: from, taps: taps})
	}
	if bare {
		whole.offsets, whole.rowStep = g.bareOffsets(), g.outRowStep/g.rowStep*g.width
	}
	ks := len(g.offsets)
	for i := range g.bands {
		b := &g.bands[i]
		b.offsets, b.rowStep, b.bare = whole.offsets, whole.rowStep, bare
		if b.taps == all {
			continue
		}
		b.filters, b.offsets = ks, nil
		for ch := range channels {
			b.offsets = append(b.offsets, whole.offsets[ch*all+b.from:][:b.taps]...)
		}
		ks += len(b.offsets)
	}
	return ks
}

// inside is which of the taps of a channel do not lie in the padding above or below
// for an output line.
func (g *grid) inside(line, all int) (from, taps int) {
	for i, at := range g.offsets[:all] {
		if row := (int(at)+line*g.outRowStep)/g.rowStep - g.top; row >= 0 && row < g.height {
			if taps == 0 {
				from = i
			}
			taps++
		}
	}
	return from, taps
}

// bareOffsets are the offsets, in bytes, of taps of an image without a border.
func (g *grid) bareOffsets() []int32 {
	bare := *g
	bare.planeStep = g.height * g.width
	bare.place(g, func(row, col int) int { return (row-g.top)*g.width + col - g.left })
	return bare.offsetsBytes
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
