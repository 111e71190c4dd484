package tensor

// Channels is the shape of images whose channels are treated apart: (Rows,
// Count, Plane). Dense layers have a plane of 1.
type Channels struct{ Rows, Count, Plane int }

func (c Channels) size() int { return c.Rows * c.Count * c.Plane }

// channelJob works on a plane at a time, or on a row of channels if planes are
// single elements. Its parts are runs of rows.
type channelJob struct {
	Channels
	plane, row func(*vector) // kernels with scalars, and with a vector for each scalar
	out, x, y  []float32
	factor     [3][]float32
	step       int
}

// ChannelAffine sets y to x*scale - shift, both rounded, with one scale and one
// shift for each channel. y may be x.
func (e *Engine) ChannelAffine(y, x, scale, shift []float32, c Channels) {
	need2("ChannelAffine", c.size(), len(x), len(y))
	need2("ChannelAffine", c.Count, len(scale), len(shift))
	e.channelJob = channelJob{Channels: c, plane: e.k.opChannel, row: e.k.opChannels, out: y, x: x, factor: [3][]float32{scale, shift}}
	e.runChannels()
}

// ChannelCombine sets dx to (a*dy - b*x) - shift, all rounded, with one a, b and
// shift for each channel. dx may be dy or x.
func (e *Engine) ChannelCombine(dx, dy, x, a, b, shift []float32, c Channels) {
	need2("ChannelCombine", c.size(), len(dy), len(x))
	need("ChannelCombine", "dx", len(dx), c.size())
	need2("ChannelCombine", c.Count, len(a), len(b))
	need("ChannelCombine", "shift", len(shift), c.Count)
	e.channelJob = channelJob{Channels: c, plane: e.k.opChannelBack, row: e.k.opChannelsBack, out: dx, x: dy, y: x, factor: [3][]float32{a, b, shift}}
	e.runChannels()
}

func (e *Engine) runChannels() {
	j := &e.channelJob
	parts := max(min(e.threads, j.size()/eachPart), 1)
	j.step = max((j.Rows+parts-1)/parts, 1)
	e.pool.run(j, (j.Rows+j.step-1)/j.step)
	e.channelJob = channelJob{}
}

func (j *channelJob) part(w *worker, i int) {
	for r := i * j.step; r < min((i+1)*j.step, j.Rows); r++ {
		at := r * j.Count * j.Plane
		if j.Plane == 1 {
			j.rowOf(w, at)
			continue
		}
		for c := range j.Count {
			v := w.aimVec(j.Plane)
			from := at + c*j.Plane
			v.p, v.x = start(j.out[from:]), start(j.x[from:])
			if j.y != nil {
				v.y = start(j.y[from:])
				v.s2 = bits(j.factor[2][c])
			}
			v.s0, v.s1 = bits(j.factor[0][c]), bits(j.factor[1][c])
			j.plane(v)
		}
	}
}

func (j *channelJob) rowOf(w *worker, at int) {
	v := w.aimVec(j.Count)
	v.p, v.x = start(j.out[at:]), start(j.x[at:])
	if j.y == nil {
		v.y, v.z = start(j.factor[0]), start(j.factor[1])
	} else {
		v.y, v.z, v.u, v.a = start(j.y[at:]), start(j.factor[0]), start(j.factor[1]), start(j.factor[2])
	}
	j.row(v)
}

// ChannelSums sets dst to the sum of x for each channel: planes are summed in 16
// strided partial sums, and added row by row, ascending.
func (e *Engine) ChannelSums(dst, x []float32, c Channels) {
	need("ChannelSums", "dst", len(dst), c.Count)
	need("ChannelSums", "x", len(x), c.size())
	w := e.pool.workers[0]
	dst = dst[:c.Count]
	clear(dst)
	for r := range c.Rows {
		x := x[r*c.Count*c.Plane:][:c.Count*c.Plane]
		if c.Plane == 1 {
			w.add(dst, x)
			continue
		}
		for i := range dst {
			dst[i] += w.sum32(x[i*c.Plane:][:c.Plane])
		}
	}
}

// ChannelDots sets dst to the sum of x*y for each channel: 16 strided chains of
// fused multiply-adds for a plane, added row by row, ascending.
func (e *Engine) ChannelDots(dst, x, y []float32, c Channels) {
	need("ChannelDots", "dst", len(dst), c.Count)
	need2("ChannelDots", c.size(), len(x), len(y))
	dst = dst[:c.Count]
	clear(dst)
	for r := range c.Rows {
		for i := range dst {
			at := (r*c.Count + i) * c.Plane
			if c.Plane == 1 {
				dst[i] += float32(x[at] * y[at])
			} else {
				dst[i] += e.Dot(x[at:][:c.Plane], y[at:][:c.Plane])
			}
		}
	}
}
