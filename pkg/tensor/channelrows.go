package tensor

// The passes of a ChannelNorm with planes of one element: vectors run along the
// channels, so that the sum of a channel is one chain over the rows.

// part5 is part i of the spare rows.
func (j *normJob) part5(i int) []float32 { return j.spare[i*j.Count:][:j.Count] }

func (j *normJob) forwardRows(w *worker) {
	mean, variance := j.Mean[:j.Count], j.Variance[:j.Count]
	clear(mean)
	for r := range j.Rows {
		w.add(mean, j.row(j.X, r))
	}
	w.scale(mean, mean, j.each())
	clear(variance)
	for r := range j.Rows {
		d := j.centred(w, r)
		j.addProduct(w, variance, d, d)
	}
	w.scale(variance, variance, j.each())
	scale, shift := j.part5(0), j.part5(1)
	for ch := range scale {
		weight, bias, root := j.factors(ch)
		scale[ch], shift[ch] = weight*root, -bias
	}
	for r := range j.Rows {
		y := j.row(j.y, r)
		w.affineRow(y, j.centred(w, r), scale, shift)
		if j.Plus != nil {
			w.add(y, j.row(j.Plus, r))
		}
		if j.Act != ActNone {
			w.actForward(y, y, j.Act)
		}
	}
}

// centred is x - mean of a row, until the next call.
func (j *normJob) centred(w *worker, r int) []float32 {
	d := j.part5(4)
	v := w.aimVec(j.Count)
	v.p, v.x, v.y = start(d), start(j.row(j.X, r)), start(j.Mean)
	w.k.opSub(v)
	return d
}

// addProduct adds x*y, rounded, to dst.
func (j *normJob) addProduct(w *worker, dst, x, y []float32) {
	product := j.part5(3)
	v := w.aimVec(j.Count)
	v.p, v.x, v.y = start(product), start(x), start(y)
	w.k.opMul(v)
	w.add(dst, product)
}

func (j *normJob) backwardRows(w *worker) {
	dw, db := j.dw[:j.Count], j.db[:j.Count]
	clear(dw)
	clear(db)
	for r := range j.Rows {
		dy := j.row(j.dy, r)
		if j.Act != ActNone {
			w.actBackward(dy, j.row(j.y, r), j.Act)
		}
		w.add(db, dy)
		j.addProduct(w, dw, dy, j.centred(w, r))
	}
	a, b, shift := j.part5(0), j.part5(1), j.part5(2)
	for ch := range a {
		a[ch], b[ch], shift[ch] = j.slopes(ch, db[ch], dw[ch])
	}
	if j.dx == nil {
		return
	}
	for r := range j.Rows {
		d := j.centred(w, r)
		v := w.aimVec(j.Count)
		v.p, v.x, v.y = start(j.row(j.dx, r)), start(j.row(j.dy, r)), start(d)
		v.z, v.u, v.a = start(a), start(b), start(shift)
		w.k.opChannelsBack(v)
	}
}
