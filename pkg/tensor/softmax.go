package tensor

// rowJob is work on the rows of matrices; its parts are runs of rows.
type rowJob struct {
	do         func(j *rowJob, w *worker, r int) // one row
	rows, cols int
	step       int
	y, x, z, u []float32
	dst, dst2  []float32
	classes    []int32
	eps        float32
	add        bool // the result is added
	causal     bool // row i of every square matrix has i+1 elements; others become 0
}

// eachRow runs do for every row.
func (e *Engine) eachRow(j rowJob) {
	e.rowJob = j
	p := &e.rowJob
	parts := max(min(e.threads, j.rows*j.cols/(eachPart/4)), 1)
	p.step = max((j.rows+parts-1)/parts, 1)
	e.pool.run(p, (j.rows+p.step-1)/p.step)
	e.rowJob = rowJob{}
}

func (j *rowJob) part(w *worker, i int) {
	for r := i * j.step; r < min((i+1)*j.step, j.rows); r++ {
		j.do(j, w, r)
	}
}

func (j *rowJob) row(s []float32, r int) []float32 { return s[r*j.cols:][:j.cols] }

// rowExp sets y to exp(x - max x) and returns the maximum and the sum.
func (w *worker) rowExp(y, x []float32) (top, sum float32) {
	top = w.greatest(x)
	v := w.aimVec(len(x))
	v.p, v.x, v.s0, v.part0 = start(y), start(x), bits(top), [sums]float32{}
	w.k.opExpSum(v)
	return top, tree(&v.part0)
}

// RowSoftmax sets y to exp(x)/sum(exp(x)) for each row of x (rows, cols). y may
// be x.
func (e *Engine) RowSoftmax(y, x []float32, rows, cols int) {
	n := volume("RowSoftmax", rows, cols)
	need2("RowSoftmax", n, len(x), len(y))
	inPlace("RowSoftmax", y[:n], x[:n])
	e.eachRow(rowJob{do: softmaxRow, rows: rows, cols: cols, y: y, x: x})
}

// RowSoftmaxCausal is RowSoftmax of count matrices (n, n), where row i has only
// its first i+1 elements: all others of y become +0.
func (e *Engine) RowSoftmaxCausal(y, x []float32, count, n int) {
	all := volume("RowSoftmaxCausal", count, n, n)
	need2("RowSoftmaxCausal", all, len(x), len(y))
	inPlace("RowSoftmaxCausal", y[:all], x[:all])
	e.eachRow(rowJob{do: softmaxRow, rows: count * n, cols: n, y: y, x: x, causal: true})
}

func softmaxRow(j *rowJob, w *worker, r int) {
	y := j.visible(j.y, r)
	_, sum := w.rowExp(y, j.row(j.x, r)[:len(y)])
	w.scale(y, y, 1/sum)
}

// visible is the part of row r of the result that counts. The rest becomes 0.
func (j *rowJob) visible(s []float32, r int) []float32 {
	row := j.row(s, r)
	if !j.causal {
		return row
	}
	n := r%j.cols + 1
	clear(row[n:])
	return row[:n]
}

// RowSoftmaxBackward sets dx to y * (dy - sum(y*dy)) for each row, where y is
// the softmax. dx may be dy.
func (e *Engine) RowSoftmaxBackward(dx, dy, y []float32, rows, cols int) {
	n := volume("RowSoftmaxBackward", rows, cols)
	need2("RowSoftmaxBackward", n, len(y), len(dy))
	need("RowSoftmaxBackward", "dx", len(dx), n)
	inPlace("RowSoftmaxBackward", dx[:n], dy[:n], y[:n])
	e.eachRow(rowJob{do: softmaxBackRow, rows: rows, cols: cols, dst: dx, x: dy, y: y})
}

// RowSoftmaxCausalBackward is RowSoftmaxBackward behind RowSoftmaxCausal.
func (e *Engine) RowSoftmaxCausalBackward(dx, dy, y []float32, count, n int) {
	all := volume("RowSoftmaxCausalBackward", count, n, n)
	need2("RowSoftmaxCausalBackward", all, len(y), len(dy))
	need("RowSoftmaxCausalBackward", "dx", len(dx), all)
	inPlace("RowSoftmaxCausalBackward", dx[:all], dy[:all], y[:all])
	e.eachRow(rowJob{do: softmaxBackRow, rows: count * n, cols: n, dst: dx, x: dy, y: y, causal: true})
}

func softmaxBackRow(j *rowJob, w *worker, r int) {
	dx := j.visible(j.dst, r)
	v := w.aimVec(len(dx))
	v.x, v.y, v.p, v.part0 = start(j.row(j.x, r)), start(j.row(j.y, r)), start(dx), [sums]float32{}
	w.k.opDot(v)
	v.s0 = bits(tree(&v.part0))
	w.k.opSoftmaxBack(v)
}

// RowLogSumExp sets dst to log(sum(exp(x))) for each row of x (rows, cols): Inf if
// there is one, -Inf if there is nothing else, NaN if there is one.
func (e *Engine) RowLogSumExp(dst, x []float32, rows, cols int) {
	need("RowLogSumExp", "dst", len(dst), rows)
	need("RowLogSumExp", "x", len(x), volume("RowLogSumExp", rows, cols))
	apart("RowLogSumExp", dst[:rows], x[:rows*cols])
	e.eachRow(rowJob{do: logSumExpRow, rows: rows, cols: cols, dst: dst, x: x})
}

func logSumExpRow(j *rowJob, w *worker, r int) {
	w.spare = grow(w.spare, j.cols)
	x := j.row(j.x, r)
	top, sum := w.rowExp(w.spare, x)
	if abs32(top) == inf32 && w.maxAbs(x) == inf32 {
		j.dst[r] = top // differences to it are no numbers
		return
	}
	j.dst[r] = top + log32(sum)
}

// SoftmaxCrossEntropy sets loss to -log(softmax(x)[class]) for each row of x
// (rows, cols) and dx to its gradient. dx may be nil
// or x.
func (e *Engine) SoftmaxCrossEntropy(dx, loss, x []float32, classes []int32, rows, cols int) {
	n := volume("SoftmaxCrossEntropy", rows, cols)
	need("SoftmaxCrossEntropy", "x", len(x), n)
	need2("SoftmaxCrossEntropy", rows, len(loss), len(classes))
	if dx != nil {
		need("SoftmaxCrossEntropy", "dx", len(dx), n)
		inPlace("SoftmaxCrossEntropy", dx[:n], x[:n])
	}
	apart("SoftmaxCrossEntropy", loss[:rows], x[:n], dx[:min(n, len(dx))])
	e.eachRow(rowJob{do: crossEntropyRow, rows: rows, cols: cols, dst: loss, dst2: dx, x: x, classes: classes})
}

func crossEntropyRow(j *rowJob, w *worker, r int) {
	x, y := j.row(j.x, r), []float32(nil)
	if j.dst2 != nil {
		y = j.row(j.dst2, r)
	} else {
		w.spare = grow(w.spare, j.cols)
		y = w.spare[:j.cols]
	}
	class := j.classes[r]
	at := x[class]
	top, sum := w.rowExp(y, x)
	j.dst[r] = log32(sum) - (at - top)
	if j.dst2 != nil {
		w.scale(y, y, 1/sum)
		y[class]--
	}
}
