package tensor

// RowNorm normalises every row of x (rows, cols) to mean 0 and variance 1:
//
//	mean = sum(x)/cols    hat = (x - mean) * root    y = hat*w + b
//	root = 1/sqrt(sum((x - mean)²)/cols + eps)
//
// y may be x. w and b have cols elements. hat (rows, cols) and root (rows) are for
// RowNormBackward.
func (e *Engine) RowNorm(y, hat, root, x, w, b []float32, rows, cols int, eps float32) {
	n := volume("RowNorm", rows, cols)
	need2("RowNorm", n, len(x), len(y))
	need("RowNorm", "hat", len(hat), n)
	need("RowNorm", "root", len(root), rows)
	need2("RowNorm", cols, len(w), len(b))
	inPlace("RowNorm", y[:n], x[:n])
	apart("RowNorm", hat[:n], x[:n], y[:n], w[:cols], b[:cols])
	apart("RowNorm", root[:rows], hat[:n], x[:n], y[:n], w[:cols], b[:cols])
	apart("RowNorm", y[:n], w[:cols], b[:cols])
	e.eachRow(rowJob{do: normRow, rows: rows, cols: cols, x: x, y: y, dst: root, dst2: hat, z: w, u: b, eps: eps})
}

func normRow(j *rowJob, w *worker, r int) {
	x, hat, each := j.row(j.x, r), j.row(j.dst2, r), 1/float32(j.cols)
	mean := w.sum32(x) * each
	v := w.aimVec(j.cols)
	v.x, v.p, v.s0, v.part0 = start(x), start(hat), bits(mean), [sums]float32{}
	w.k.opCentre(v)
	variance := float32(tree(&v.part0) * each)
	root := 1 / sqrt32(variance+j.eps)
	j.dst[r] = root
	v.x, v.p, v.q, v.y, v.z, v.s0 = start(hat), start(hat), start(j.row(j.y, r)), start(j.z), start(j.u), bits(root)
	w.k.opNormalise(v)
}

// RowNormBackward sets dx, for every row, with g = dy*w, to
//
//	dx = ((g - sum(g)/cols) - hat*(sum(g*hat)/cols)) * root
//
// or, if add is set, adds that to dx. dx may be dy. The
// gradients of w and b are the column sums of dy*hat and of dy.
func (e *Engine) RowNormBackward(dx, dy, hat, root, w []float32, rows, cols int, add bool) {
	n := volume("RowNormBackward", rows, cols)
	need2("RowNormBackward", n, len(dy), len(hat))
	need("RowNormBackward", "dx", len(dx), n)
	need("RowNormBackward", "root", len(root), rows)
	need("RowNormBackward", "w", len(w), cols)
	inPlace("RowNormBackward", dx[:n], dy[:n])
	apart("RowNormBackward", dx[:n], hat[:n], root[:rows], w[:cols])
	e.eachRow(rowJob{do: normBackRow, rows: rows, cols: cols, dst: dx, x: dy, y: hat, z: w, u: root, add: add})
}

func normBackRow(j *rowJob, w *worker, r int) {
	each := 1 / float32(j.cols)
	v := w.aimVec(j.cols)
	v.x, v.y, v.z = start(j.row(j.x, r)), start(j.z), start(j.row(j.y, r))
	v.part0, v.part1 = [sums]float32{}, [sums]float32{}
	w.k.opNormSums(v)
	v.s0, v.s1, v.s2 = bits(tree(&v.part0)*each), bits(tree(&v.part1)*each), bits(j.u[r])
	v.p = start(j.row(j.dst, r))
	if j.add {
		w.k.opNormBackAdd(v)
	} else {
		w.k.opNormBack(v)
	}
}
