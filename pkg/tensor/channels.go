package tensor

// Channels is the shape of images whose channels are treated apart: (Rows,
// Count, Plane). Dense layers have a plane of 1.
type Channels struct{ Rows, Count, Plane int }

func (c Channels) size() int { return c.Rows * c.Count * c.Plane }

// volume is size, of sizes that are none.
func (c Channels) volume(op string) int { return volume(op, c.Rows, c.Count, c.Plane) }

// plane is the plane of channel ch in row r of x.
func (c Channels) plane(x []float32, r, ch int) []float32 {
	return x[(r*c.Count+ch)*c.Plane:][:c.Plane]
}

// row is row r of x.
func (c Channels) row(x []float32, r int) []float32 {
	n := c.Count * c.Plane
	return x[r*n:][:n]
}

// ChannelAffine sets y to x*scale - shift, both rounded, with one scale and one
// shift for each channel. y may be x.
func (e *Engine) ChannelAffine(y, x, scale, shift []float32, c Channels) {
	n := c.volume("ChannelAffine")
	need2("ChannelAffine", n, len(x), len(y))
	need2("ChannelAffine", c.Count, len(scale), len(shift))
	inPlace("ChannelAffine", y[:n], x[:n])
	apart("ChannelAffine", y[:n], scale[:c.Count], shift[:c.Count])
	w := e.pool.workers[0]
	for r := range c.Rows {
		if c.Plane == 1 {
			w.affineRow(c.row(y, r), c.row(x, r), scale, shift)
			continue
		}
		for ch := range c.Count {
			w.affine(c.plane(y, r, ch), c.plane(x, r, ch), scale[ch], shift[ch])
		}
	}
}

func (w *worker) affine(y, x []float32, scale, shift float32) {
	v := w.aimVec(len(y))
	v.p, v.x, v.s0, v.s1 = start(y), start(x), bits(scale), bits(shift)
	w.k.opChannel(v)
}

// affineRow is affine for planes of one element.
func (w *worker) affineRow(y, x, scale, shift []float32) {
	v := w.aimVec(len(y))
	v.p, v.x, v.y, v.z = start(y), start(x), start(scale), start(shift)
	w.k.opChannels(v)
}

// PlaneDots sets, for each plane i of so many elements of dy and x, sums[i] to
// sum(dy) and dots[i] to sum(dy*(x - m)), each in 16 strided partial sums, where m
// is mean[i/share].
func (e *Engine) PlaneDots(sums, dots, dy, x, mean []float32, plane, share int) {
	n := len(sums)
	positive("PlaneDots", share)
	need2("PlaneDots", volume("PlaneDots", n, plane), len(dy), len(x))
	need("PlaneDots", "dots", len(dots), n)
	need("PlaneDots", "mean", len(mean), (n+share-1)/share)
	separate("PlaneDots", sums, dots[:n])
	apart("PlaneDots", sums, dy, x, mean)
	apart("PlaneDots", dots[:n], dy, x, mean)
	v := e.pool.workers[0].aimVec(plane)
	for i := range sums {
		v.x, v.y, v.s0 = start(dy[i*plane:]), start(x[i*plane:]), bits(mean[i/share])
		v.part0, v.part1 = [16]float32{}, [16]float32{}
		e.k.opPlaneSums(v)
		sums[i], dots[i] = tree(&v.part0), tree(&v.part1)
	}
}

// ChannelNorm is a normalisation of every channel to mean 0 and variance 1 over
// all rows and planes, n = Rows*Plane elements:
//
//	mean = sum(x)/n    d = x - mean    variance = sum(d²)/n
//	y = act(d*(weight*root) + bias + plus)    root = 1/sqrt(variance + epsilon)
//
// Sums are those of planes, each in 16 strided partial sums, added row by row,
// ascending.
type ChannelNorm struct {
	Channels
	Epsilon float32
	// X has the size of y.
	X []float32
	// Weight and Bias have Count elements; nil means 1 and 0.
	Weight, Bias []float32
	// Plus is nil, or has the size of x.
	Plus []float32
	// Mean and Variance have Count elements. Forward sets them.
	Mean, Variance []float32
	// Act is an activation whose derivative follows from y.
	Act Act
}

// normJob is a pass of a ChannelNorm; its parts are runs of channels. Planes of
// one element are done row by row, in one part.
type normJob struct {
	ChannelNorm
	channel           func(j *normJob, w *worker, ch int)
	rows              func(j *normJob, w *worker)
	y, dx, dy, dw, db []float32
	spare             []float32 // 5*Count, of rows
	step              int
}

// ChannelNormForward sets y, n.Mean and n.Variance.
func (e *Engine) ChannelNormForward(y []float32, n ChannelNorm) {
	n.check("ChannelNormForward", len(y))
	n.separate("ChannelNormForward", y[:n.size()], n.Mean[:n.Count], n.Variance[:n.Count])
	e.runNorm(normJob{ChannelNorm: n, channel: (*normJob).forward, rows: (*normJob).forwardRows, y: y})
}

// ChannelNormBackward sets, with dy the gradient before the activation and xhat =
// d*root,
//
//	db = sum(dy)    dw = sum(dy*xhat)
//	dx = weight*root * (dy - db/n - xhat*dw/n)
//
// dw and db have Count elements. With n.Plus dy becomes the gradient by it, else
// what is left in it is of no use. dx may be nil or dy, y is not read without an
// activation.
func (e *Engine) ChannelNormBackward(dx, dw, db, dy, y []float32, n ChannelNorm) {
	n.check("ChannelNormBackward", len(dy))
	need2("ChannelNormBackward", n.Count, len(dw), len(db))
	if dx != nil {
		need("ChannelNormBackward", "dx", len(dx), n.size())
	}
	if n.Act != ActNone {
		need("ChannelNormBackward", "y", len(y), n.size())
	}
	size := n.size()
	dw, db, dy, dx = dw[:n.Count], db[:n.Count], dy[:size], dx[:min(size, len(dx))]
	n.separate("ChannelNormBackward", dw, db, dy)
	n.separate("ChannelNormBackward", dw, db, dx)
	for _, s := range [...][]float32{y, n.Mean, n.Variance} {
		apart("ChannelNormBackward", s, dw, db, dy, dx)
	}
	inPlace("ChannelNormBackward", dx, dy)
	e.runNorm(normJob{ChannelNorm: n, channel: (*normJob).backward, rows: (*normJob).backwardRows, y: y, dx: dx, dy: dy, dw: dw, db: db})
}

func (n *ChannelNorm) check(op string, y int) {
	need2(op, n.volume(op), len(n.X), y)
	need2(op, n.Count, len(n.Mean), len(n.Variance))
	if n.Weight != nil {
		need(op, "Weight", len(n.Weight), n.Count)
	}
	if n.Bias != nil {
		need(op, "Bias", len(n.Bias), n.Count)
	}
	if n.Plus != nil {
		need(op, "Plus", len(n.Plus), n.size())
	}
	if n.Act.check(op); n.Act.readsX() {
		fail(op, "the derivative of this activation does not follow from y")
	}
}

// separate panics if some results share elements, or share them with an operand.
func (n *ChannelNorm) separate(op string, results ...[]float32) {
	separate(op, results...)
	for _, s := range [...][]float32{n.X, n.Plus, n.Weight, n.Bias} {
		apart(op, s, results...)
	}
}

func (e *Engine) runNorm(j normJob) {
	if j.size() == 0 {
		return
	}
	parts := max(min(e.threads, j.size()/eachPart), 1)
	if j.Plane == 1 {
		e.spare = grow(e.spare, 5*j.Count)
		j.spare, parts = e.spare, 1
	}
	j.step = (j.Count + parts - 1) / parts
	e.normJob = j
	e.pool.run(&e.normJob, (j.Count+j.step-1)/j.step)
	e.normJob = normJob{}
}

func (j *normJob) part(w *worker, i int) {
	if j.Plane == 1 {
		j.rows(j, w)
		return
	}
	for ch := i * j.step; ch < min((i+1)*j.step, j.Count); ch++ {
		j.channel(j, w, ch)
	}
}

// factors are weight, bias and 1/deviation of a channel.
func (j *normJob) factors(ch int) (weight, bias, root float32) {
	weight, root = 1, 1/sqrt32(j.Variance[ch]+j.Epsilon)
	if j.Weight != nil {
		weight = j.Weight[ch]
	}
	if j.Bias != nil {
		bias = j.Bias[ch]
	}
	return weight, bias, root
}

// each is 1/n.
func (j *normJob) each() float32 { return 1 / float32(j.Rows*j.Plane) }

func (j *normJob) forward(w *worker, ch int) {
	var sum, squares float32
	for r := range j.Rows {
		sum += w.sum32(j.plane(j.X, r, ch))
	}
	j.Mean[ch] = float32(sum * j.each())
	for r := range j.Rows {
		v := w.aimVec(j.Plane)
		v.x, v.s0, v.part0 = start(j.plane(j.X, r, ch)), bits(j.Mean[ch]), [sums]float32{}
		w.k.opSquares(v)
		squares += tree(&v.part0)
	}
	j.Variance[ch] = float32(squares * j.each())
	weight, bias, root := j.factors(ch)
	op := j.forwardOp(w.k)
	for r := range j.Rows {
		y := j.plane(j.y, r, ch)
		v := w.aimVec(j.Plane)
		v.p, v.x, v.s0, v.s1, v.s2 = start(y), start(j.plane(j.X, r, ch)), bits(j.Mean[ch]), bits(weight*root), bits(-bias)
		if j.Plus != nil {
			v.y = start(j.plane(j.Plus, r, ch))
		}
		op(v)
		if j.Act != ActNone && j.Act != ActReLU {
			w.actForward(y, y, j.Act)
		}
	}
}

// forwardOp is the kernel from x to y, as far as max(0, y).
func (j *normJob) forwardOp(k *kernels) func(*vector) {
	switch relu := j.Act == ActReLU; {
	case j.Plus != nil && relu:
		return k.opPlanePlusReLU
	case j.Plus != nil:
		return k.opPlanePlus
	case relu:
		return k.opPlaneReLU
	}
	return k.opPlane
}

// backwardOps are the kernels for the sums and for dx. With Plus, or an activation
// other than max(0, x), dy has gone back through the activation.
func (j *normJob) backwardOps(k *kernels) (sums, dx func(*vector), activate bool) {
	if j.Act == ActReLU && j.Plus == nil {
		return k.opPlaneSumsReLU, k.opPlaneBackReLU, false
	}
	return k.opPlaneSums, k.opPlaneBack, j.Act != ActNone
}

func (j *normJob) backward(w *worker, ch int) {
	var sum, dots float32
	sums, op, activate := j.backwardOps(w.k)
	for r := range j.Rows {
		if activate {
			w.actBackward(j.plane(j.dy, r, ch), j.plane(j.y, r, ch), j.Act)
		}
		v := j.aimBack(w, r, ch)
		v.part0, v.part1 = [16]float32{}, [16]float32{}
		sums(v)
		sum += tree(&v.part0)
		dots += tree(&v.part1)
	}
	a, b, shift := j.slopes(ch, sum, dots)
	if j.dx == nil {
		return
	}
	for r := range j.Rows {
		v := j.aimBack(w, r, ch)
		v.p, v.s1, v.s2, v.s3 = start(j.plane(j.dx, r, ch)), bits(a), bits(b), bits(shift)
		op(v)
	}
}

// aimBack gets a kernel of backwardOps ready for a plane.
func (j *normJob) aimBack(w *worker, r, ch int) *vector {
	v := w.aimVec(j.Plane)
	v.x, v.y, v.s0 = start(j.plane(j.dy, r, ch)), start(j.plane(j.X, r, ch)), bits(j.Mean[ch])
	if j.Act != ActNone {
		v.z = start(j.plane(j.y, r, ch))
	}
	return v
}

// slopes sets dw and db of a channel from sum(dy) and sum(dy*d). dx is then
// a*dy - b*d - shift.
func (j *normJob) slopes(ch int, sum, dots float32) (a, b, shift float32) {
	weight, _, root := j.factors(ch)
	j.db[ch], j.dw[ch] = sum, float32(dots*root)
	a = float32(weight * root)
	b = float32(float32(a*root)*j.dw[ch]) * j.each()
	return a, b, float32(a*sum) * j.each()
}
