package tensor

// columnJob is sums of the columns of lanes; its parts are runs of columns.
type columnJob struct {
	dst  *Grad
	x, y []float32 // y is nil, or multiplied with x
	n    int       // columns
	rows []int
	step int // columns of a part
}

// columnPart is the number of elements that is worth waking a goroutine.
const columnPart = 1 << 14

// ColSumLanes adds the column sums of each lane's rows of x (R, n). A chain of
// additions runs over the rows, ascending, from +0 (fast: from dst).
func (e *Engine) ColSumLanes(dst *Grad, x []float32, n int, rows []int) {
	e.columns("ColSumLanes", columnJob{dst: dst, x: x, n: n, rows: rows})
}

// ColDotLanes is ColSumLanes of x*y, rounded.
func (e *Engine) ColDotLanes(dst *Grad, x, y []float32, n int, rows []int) {
	size := volume("ColDotLanes", laneRows("ColDotLanes", rows), n)
	need("ColDotLanes", "y", len(y), size)
	dst.check("ColDotLanes", n, len(rows)-1, y[:size])
	e.columns("ColDotLanes", columnJob{dst: dst, x: x, y: y, n: n, rows: rows})
}

func (e *Engine) columns(op string, job columnJob) {
	rows, n, dst := job.rows, job.n, job.dst
	lanes, last := len(rows)-1, laneRows(op, rows)
	size := volume(op, last, n)
	need(op, "x", len(job.x), size)
	dst.check(op, n, lanes, job.x[:size])
	if dst.none() || n == 0 {
		return
	}
	j := &e.columnJob
	*j = job
	parts := max(min(e.threads, (last-rows[0])*n/columnPart), 1)
	j.step = (n + parts*sums - 1) / (parts * sums) * sums
	for _, w := range e.pool.workers {
		w.clearTops(lanes)
	}
	e.pool.run(j, (n+j.step-1)/j.step)
	if dst.Int != nil {
		e.mergeTops(dst.Max[:lanes])
	}
	*j = columnJob{}
}

func (j *columnJob) part(w *worker, i int) {
	from := i * j.step
	to := min(from+j.step, j.n)
	if j.dst.Float != nil {
		j.sum(w, j.dst.Float[from:to], from, j.rows[0], j.rows[len(j.rows)-1])
		return
	}
	w.sum = grow(w.sum, to-from)
	sum := w.sum[:to-from]
	for lane := range len(j.rows) - 1 {
		clear(sum)
		j.sum(w, sum, from, j.rows[lane], j.rows[lane+1])
		top := &w.tops[lane*laneWidth]
		*top = w.quantise(j.dst.Int[from:to], sum, j.dst.Scale, *top)
	}
}

// sum adds the columns of rows r0 to r1, from column from on, to sum.
func (j *columnJob) sum(w *worker, sum []float32, from, r0, r1 int) {
	if r0 == r1 {
		return
	}
	v, op := w.aimVec(len(sum)), w.k.columns
	v.p, v.x = start(sum), start(j.x[r0*j.n+from:])
	v.s0, v.s1 = uint64(4*j.n), uint64(r1-r0)
	if j.y != nil {
		v.y, op = start(j.y[r0*j.n+from:]), w.k.columnProducts
	}
	op(v)
}
