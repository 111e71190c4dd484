package tensor

import "slices"

// Lines that do not fill vectors waste a part of each. Where the output is as wide
// as the image, planes can be stored so that each tap of all elements of an output
// plane lies side by side: once for each column of a filter, moved by it, with zeros
// where numbers came in from the next line. Vectors then run over the ends of lines,
// and only the last one of a plane has elements missing.

// flatPlane is how a plane is stored for a column of a filter: element i is i+move
// of the image where keep[i] is 1, else +0.
type flatPlane struct {
	move int
	keep []float32
}

// flatten makes the planes of an image flat if that is the faster way to compute m
// channels.
func (k *kernels) flatten(g *grid, m, channels int) {
	f := g.flattened(channels)
	if f == nil {
		return
	}
	// To store a number takes about a third of a cycle.
	depth, columns := len(g.offsets), len(f.flat)
	store := k.width * 3 / 4 * channels * (columns - 1) * f.planeStep / columns
	_, lined := k.tapCost(g, m, depth)
	if _, flat := k.tapCost(f, m, depth); flat+store < lined {
		*g = *f
	}
}

// flattened is the grid with flat planes, nil if there can be none, or they would be
// too large.
func (g *grid) flattened(channels int) *grid {
	if g.borderless || len(g.offsets) == 0 || g.split > 1 || g.outRowStep != g.rowStep || g.outW != g.width {
		return nil
	}
	// The image begins where a cache line does: most copies then lie across none.
	lead := -g.top * g.width & 15
	size := (lead + g.planeStep/g.rowStep*g.width + 15) &^ 15
	var moves []int
	for _, at := range g.offsets {
		if move := int(at)%g.rowStep - g.left; !slices.Contains(moves, move) {
			moves = append(moves, move)
		}
	}
	f := *g
	f.rowStep, f.outRowStep, f.planeStep, f.lead = g.width, g.width, len(moves)*size, lead
	if channels*f.planeStep > directImage {
		return nil
	}
	for _, move := range moves {
		f.flat = append(f.flat, flatPlane{move, g.keep(move)})
	}
	f.place(g, func(row, col int) int { return slices.Index(moves, col-g.left)*size + lead + row*g.width })
	return &f
}

// place puts the taps of was where f says: the place in a plane of a row and column.
func (g *grid) place(was *grid, f func(row, col int) int) {
	g.offsets, g.offsetsBytes = nil, nil
	for _, at := range was.offsets {
		plane, in := int(at)/was.planeStep, int(at)%was.planeStep
		to := plane*g.planeStep + f(in/was.rowStep, in%was.rowStep)
		g.offsets, g.offsetsBytes = append(g.offsets, int32(to)), append(g.offsetsBytes, int32(4*to))
	}
}

// align makes lines that fill vectors begin where vectors do, if they are read
// directly: no copy of a line and one load in three of those of a filter then
// lies across cache lines. The zeros right of a line are those left of the next.
func (k *kernels) align(g *grid, m, channels int) {
	if g.flat != nil || g.split > 1 || g.width%k.width != 0 || g.rowStep-g.width > k.width {
		return
	}
	f := *g
	f.left, f.rowStep = k.width, g.width+k.width
	f.outRowStep, f.planeStep = g.outRowStep/g.rowStep*f.rowStep, g.planeStep/g.rowStep*f.rowStep
	if channels*f.planeStep > maxImage {
		return
	}
	f.place(g, func(row, col int) int { return row*f.rowStep + col + f.left - g.left })
	if k.tapForm(&f, m, len(f.offsets)) == tapDirect {
		*g = f
	}
}

// keep says which elements of a plane that is moved so far are of their own line.
func (g *grid) keep(move int) []float32 {
	keep := make([]float32, g.height*g.width)
	for i := range keep {
		if col := i%g.width + move; col >= 0 && col < g.width {
			keep[i] = 1
		}
	}
	return keep
}

// copyFlat stores the channels of an image as flat planes.
func (w *worker) copyFlat(g *grid, x []float32, channels int) {
	plane, size := g.height*g.width, g.planeStep/len(g.flat)
	for ch := range channels {
		src := x[ch*plane:][:plane]
		for i, f := range g.flat {
			dst := w.img[ch*g.planeStep+i*size+g.lead+g.top*g.width:]
			from, to := max(0, -f.move), plane-max(0, f.move)
			if from < to {
				v := w.aimVec(to - from)
				v.p, v.x, v.y = start(dst[from:]), start(src[from+f.move:]), start(f.keep[from:])
				w.k.opReLUBack(v)
			}
		}
	}
}
