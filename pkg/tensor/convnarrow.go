package tensor

import "slices"

// The gradient of filters with few weights is, for each image and group, a product
// of few columns
//
//	dw (OutC, InC·KH·KW) += dy (OutC, OH·OW) · taps of x (InC·KH·KW, OH·OW)ᵀ
//
// whose operands have OH·OW elements side by side: see multiplyNarrow. Large planes
// are cut into runs of whole lines, or long lines into runs, so that what few rows of
// dy are multiplied with stays in the first cache until it meets the others.

// narrowRun is the most elements of a run.
const narrowRun = 1024

// Gradients are narrow where that is faster: a plane has narrowPlane elements or more
// for each weight of a filter, or there are less than narrowFilters, which would not
// fill the vectors of other kernels.
const (
	narrowPlane   = 20
	narrowFilters = 8
)

// narrow is whether the gradient of the weights is a narrow product.
func (c *Conv) narrow() bool {
	depth := c.depth()
	return depth <= narrowColumns && (c.OutH()*c.OutW() >= narrowPlane*depth || c.OutC/c.Groups < narrowFilters)
}

// runs is in how many runs of lines a plane is cut, and each of them again.
func (g *grid) runs() (lines, pieces int) {
	high := max(narrowRun/g.outW, 1)
	return pieceCount(g.outH, high), pieceCount(g.outW, narrowRun)
}

// tapRows is how the taps of an image become rows of OH·OW elements. Planes whose
// lines are as long as those of the output have them. Else those of a filter's column
// lie in one copy of the lines of a run, from different lines on.
type tapRows struct {
	grid
	copies []int   // where their first lines are in the stored image, outRowStep apart
	more   int     // lines of a copy that come behind those of a run
	size   int     // elements of a copy
	rows   []int64 // where each row begins, in bytes
}

// rowsOfTaps returns nil if the gradient of the weights is not narrow.
func (p *convPlan) rowsOfTaps() *tapRows {
	if !p.c.narrow() {
		return nil
	}
	t := &tapRows{grid: p.x}
	if flat := p.x.flattened(p.c.InC / p.c.Groups); flat != nil && t.outH > 1 {
		t.grid = *flat
	}
	var lines, of []int // of each tap: the line of its copy, the copy
	for _, at := range t.offsets {
		if t.outRowStep == t.outW || t.outH == 1 {
			t.rows = append(t.rows, 4*int64(at))
			continue
		}
		in := int(at) % t.planeStep
		first := int(at) - in + in%t.outRowStep
		if !slices.Contains(t.copies, first) {
			t.copies = append(t.copies, first)
		}
		lines, of = append(lines, in/t.outRowStep), append(of, slices.Index(t.copies, first))
		t.more = max(t.more, in/t.outRowStep)
	}
	cuts, _ := t.runs()
	t.size = (pieceCount(t.outH, cuts) + t.more) * t.outW
	for i := range lines {
		t.rows = append(t.rows, int64(4*(of[i]*t.size+lines[i]*t.outW)))
	}
	return t
}

// narrowPart is part if the gradient is narrow.
func (j *weightJob) narrowPart(w *worker, i int) {
	c := &j.plan.c
	oc, depth := c.OutC/c.Groups, c.depth()
	cuts := pieceCount(oc, j.outs)
	group, out := i/cuts, i%cuts*j.outs
	outs := min(j.outs, oc-out)
	at, size := (group*oc+out)*depth, outs*depth
	if j.dst.Float != nil {
		j.narrowImages(w, j.dst.Float[at:][:size], group, out, j.rows[0], j.rows[len(j.rows)-1])
		return
	}
	w.sum = grow(w.sum, size)
	for lane := range len(j.rows) - 1 {
		if j.rows[lane] == j.rows[lane+1] {
			continue
		}
		clear(w.sum[:size])
		j.narrowImages(w, w.sum[:size], group, out, j.rows[lane], j.rows[lane+1])
		top := &w.tops[lane*laneWidth]
		*top = w.quantise(j.dst.Int[at:][:size], w.sum[:size], j.dst.Scale, *top)
	}
}

// narrowImages adds the gradients of images n0 to n1 to those of some output channels
// of a group, from out on.
func (j *weightJob) narrowImages(w *worker, sums []float32, group, out, n0, n1 int) {
	c, t, depth := &j.plan.c, j.plan.narrow, j.plan.c.depth()
	ic, oc, plane := c.InC/c.Groups, c.OutC/c.Groups, t.outH*t.outW
	p := &w.product
	*p = product{m: len(sums) / depth, n: depth, aRow: plane, aCol: 1, bRow: 1, c: sums, cRow: depth, load: true, far: true}
	cuts, pieces := t.runs()
	for n := n0; n < n1; n++ {
		image := w.image(&t.grid, j.x[(n*c.InC+group*ic)*c.H*c.W:], ic)
		dy := j.dy[(n*c.OutC+group*oc+out)*plane:]
		for i := range cuts {
			from, to := t.outH*i/cuts, t.outH*(i+1)/cuts
			rows, size := w.copyTaps(t, image, from, to), (to-from)*t.outW
			for piece := range pieces {
				k := size * piece / pieces
				p.a, p.b, p.k = dy[from*t.outW+k:], rows[k:], size*(piece+1)/pieces-k
				w.multiplyNarrow(p, t.rows, 0, p.m, 0, p.n)
			}
		}
	}
}

// copyTaps returns what holds the rows of taps for lines from to to of the output: the
// image itself, or copies.
func (w *worker) copyTaps(t *tapRows, image []float32, from, to int) []float32 {
	if len(t.copies) == 0 {
		return image[from*t.outRowStep:]
	}
	w.b = grow(w.b, t.size*len(t.copies))
	for i, first := range t.copies {
		there := (t.planeStep-first%t.planeStep-t.outW)/t.outRowStep + 1
		lines := min(to+t.more, there) - from
		w.copyLines(w.b[i*t.size:], t.outW, image[first+from*t.outRowStep:], t.outRowStep, t.outW, lines)
	}
	return w.b
}
