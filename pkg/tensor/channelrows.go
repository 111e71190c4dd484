package tensor

// The passes of a ChannelNorm with planes of one element: vectors run along the
// channels, so that the sum of a channel is one chain over the rows.

func (j *normJob) forwardRows(w *worker) {
	mean, variance := j.Mean[:j.Count], j.Variance[:j.Count]
	clear(mean)
	for r := range j.Rows {
		w.add(mean, j.row(j.x, r))
	}
	w.scale(mean, mean, j.each())
	clear(variance)
	for r := range j.Rows {
		d := j.row(j.Centred, r)
		v := w.aimVec(j.Count)
		v.p, v.x, v.y = start(d), start(j.row(j.x, r)), start(mean)
		w.k.opSub(v)
		j.addProduct(w, variance, d, d)
	}
	w.scale(variance, variance, j.each())
	scale, shift := j.spare[:j.Count], j.spare[j.Count:2*j.Count]
	for ch := range scale {
		weight, bias, root := j.factors(ch)
		scale[ch], shift[ch] = weight*root, -bias
	}
	for r := range j.Rows {
		y := j.row(j.y, r)
		w.affineRow(y, j.row(j.Centred, r), scale, shift)
		if j.Act != ActNone {
			w.actForward(y, y, j.Act)
		}
	}
}

// addProduct adds x*y, rounded, to dst.
func (j *normJob) addProduct(w *worker, dst, x, y []float32) {
	product := j.spare[2*j.Count:][:j.Count]
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
		j.addProduct(w, dw, dy, j.row(j.Centred, r))
	}
	a, b, shift := j.spare[:j.Count], j.spare[j.Count:2*j.Count], j.spare[2*j.Count:][:j.Count]
	for ch := range a {
		a[ch], b[ch], shift[ch] = j.slopes(ch, db[ch], dw[ch])
	}
	if j.dx == nil {
		return
	}
	for r := range j.Rows {
		v := w.aimVec(j.Count)
		v.p, v.x, v.y = start(j.row(j.dx, r)), start(j.row(j.dy, r)), start(j.row(j.Centred, r))
		v.z, v.u, v.a = start(a), start(b), start(shift)
		w.k.opChannelsBack(v)
	}
}
