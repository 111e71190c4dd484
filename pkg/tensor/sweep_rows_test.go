package tensor

import (
	"math"
	"slices"
)

func rowSweeps() []sweep {
	return []sweep{
		{[]string{"RowSoftmax", "RowSoftmaxBackward"}, 200, func(c *trial) { sweepSoftmax(c, false) }},
		{[]string{"RowSoftmaxCausal", "RowSoftmaxCausalBackward"}, 120, func(c *trial) { sweepSoftmax(c, true) }},
		{[]string{"RowLogSumExp"}, 150, sweepLogSumExp},
		{[]string{"SoftmaxCrossEntropy"}, 200, sweepCrossEntropy},
		{[]string{"RowNorm"}, 150, sweepRowNorm},
		{[]string{"RowNormBackward"}, 150, sweepRowNormBackward},
		{[]string{"PlaneDots"}, 120, sweepPlaneDots},
		{[]string{"ChannelNormForward"}, 200, sweepChannelNorm},
		{[]string{"ChannelNormBackward"}, 200, sweepChannelNormBackward},
		{[]string{"ChannelAffine"}, 120, sweepChannelAffine},
		{[]string{"RowSums", "ArgMaxRows"}, 120, sweepRowSums},
		{[]string{"AddRows"}, 120, sweepAddRows},
		{[]string{"Transpose"}, 120, sweepTranspose},
		{[]string{"Gather"}, 120, sweepGather},
	}
}

// matrix draws the shape of rows: every length in turn, and enough for several
// threads now and then.
func (c *trial) matrix() (rows, cols int) {
	rows, cols = c.r.IntN(9), 1+c.i%100
	if c.r.IntN(24) == 0 {
		rows, cols = 60+c.r.IntN(60), 200+c.r.IntN(300)
	}
	return rows, cols
}

// greatestNum is the greatest of x, which is exact, or NaN.
func greatestNum(x []float32) num {
	top := -inf32
	for _, v := range x {
		if v > top || v != v {
			top = v
		}
	}
	return exact(top)
}

// expSum is the sum of exp(x - top).
func expSum(x []float32) (top, sum num) {
	top = greatestNum(x)
	return top, stridedNum(len(x), func(p num, i int) num { return p.add(exact(x[i]).sub(top).exp()) })
}

// width is the distance of the greatest from the smallest of x.
func width(x []float32) float64 { return float64(slices.Max(x)) - float64(slices.Min(x)) }

func sweepSoftmax(c *trial, causal bool) {
	rows, cols := c.matrix()
	count := rows
	if causal {
		cols = min(cols, 40)
		rows = count * cols
	}
	x, dy := c.in(rows*cols), c.in(rows*cols)
	y := c.over(x)
	dx := c.over(dy)
	c.batch(count, func(from, to int) {
		n := to - from
		if causal {
			from, to = from*cols, to*cols
		}
		y, dx := y[from*cols:to*cols], dx[from*cols:to*cols]
		if causal {
			c.e.RowSoftmaxCausal(y, x[from*cols:to*cols], n, cols)
			c.e.RowSoftmaxCausalBackward(dx, dy[from*cols:to*cols], y, n, cols)
		} else {
			c.e.RowSoftmax(y, x[from*cols:to*cols], n, cols)
			c.e.RowSoftmaxBackward(dx, dy[from*cols:to*cols], y, n, cols)
		}
	})
	wasX, wasDY := c.was(x), c.was(dy)
	sees := func(r int) int {
		if causal {
			return r%cols + 1
		}
		return cols
	}
	c.check("softmax", y, cols, func(i int) num {
		r, n := i/cols, sees(i/cols)
		if i%cols >= n {
			return num{}
		}
		x := wasX[r*cols:][:n]
		top, sum := expSum(x)
		d := exact(wasX[i]).sub(top).exp().mul(exact(1).div(sum))
		if d.v > 0x1p-100 { // no part of it is subnormal
			c.near("softmax, as stated,", i, float64(y[i]), d.v, unitError*(float64(n)/16+11+2*width(x))*d.v)
		}
		return d
	})
	c.check("gradient", dx, cols, func(i int) num {
		r, n := i/cols, sees(i/cols)
		if i%cols >= n {
			return num{}
		}
		dot := stridedNum(n, func(p num, j int) num { return fma(exact(wasDY[r*cols+j]), exact(y[r*cols+j]), p) })
		return exact(y[i]).mul(exact(wasDY[i]).sub(dot))
	})
}

func sweepLogSumExp(c *trial) {
	rows, cols := c.matrix()
	x, y := c.in(rows*cols), c.out(rows)
	c.batch(rows, func(from, to int) { c.e.RowLogSumExp(y[from:to], x[from*cols:to*cols], to-from, cols) })
	c.check("log-sum-exp", y, cols, func(r int) num {
		top, sum := expSum(x[r*cols:][:cols])
		if abs32(top.f) == inf32 {
			return top
		}
		d, n := top.add(sum.log()), float64(cols)
		if d.e < 1e30 {
			stated := n/16 + 8 + width(x[r*cols:][:cols]) + 3*math.Log(n) + math.Abs(d.v)
			c.near("log-sum-exp, as stated,", r, float64(y[r]), d.v, unitError*stated)
		}
		return d
	})
}

func sweepCrossEntropy(c *trial) {
	rows, cols := c.matrix()
	x, classes, loss, dx := c.in(rows*cols), c.ints(rows, cols), c.out(rows), []float32(nil)
	if c.r.IntN(3) > 0 {
		dx = c.out(rows * cols)
	}
	c.batch(rows, func(from, to int) {
		part := dx
		if dx != nil {
			part = dx[from*cols : to*cols]
		}
		c.e.SoftmaxCrossEntropy(part, loss[from:to], x[from*cols:to*cols], classes[from:to], to-from, cols)
	})
	c.check("loss", loss, cols, func(r int) num {
		top, sum := expSum(x[r*cols:][:cols])
		return sum.log().sub(exact(x[r*cols+int(classes[r])]).sub(top))
	})
	c.check("gradient", dx, cols, func(i int) num {
		top, sum := expSum(x[i/cols*cols:][:cols])
		y := exact(x[i]).sub(top).exp().mul(exact(1).div(sum))
		if int(classes[i/cols]) == i%cols {
			y = y.sub(exact(1))
		}
		return y
	})
}

// reciprocal is 1/n.
func reciprocal(n int) num { return exact(1).div(exact(float32(n))) }

func sweepRowNorm(c *trial) {
	const eps = 1e-5
	rows, cols := c.matrix()
	x, w, b := c.in(rows*cols), c.in(cols), c.in(cols)
	y, hat, root := c.out(rows*cols), c.out(rows*cols), c.out(rows)
	c.batch(rows, func(from, to int) {
		f, t := from*cols, to*cols
		c.e.RowNorm(y[f:t], hat[f:t], root[from:to], x[f:t], w, b, to-from, cols, eps)
	})
	// statistics are mean and 1/deviation of a row.
	statistics := func(r int) (mean, root num) {
		x := x[r*cols:][:cols]
		mean = sumNum(x).mul(reciprocal(cols))
		squares := stridedNum(cols, func(p num, i int) num {
			d := exact(x[i]).sub(mean)
			return fma(d, d, p)
		})
		return mean, exact(1).div(squares.mul(reciprocal(cols)).add(exact(eps)).sqrt())
	}
	normal := func(i int) num {
		mean, root := statistics(i / cols)
		d := exact(x[i]).sub(mean).mul(root)
		c.nearNormal(i, float64(hat[i]), d, cols/16+4, x[i/cols*cols:][:cols], root.v)
		return d
	}
	c.check("root", root, cols, func(r int) num {
		_, root := statistics(r)
		return root
	})
	c.check("hat", hat, 2*cols, normal)
	c.check("y", y, 2*cols, func(i int) num { return normal(i).mul(exact(w[i%cols])).add(exact(b[i%cols])) })
}

// nearNormal compares a normalised number with the bound that doc.go states, where
// that is small enough for the first order to tell.
func (c *trial) nearNormal(i int, got float64, d num, chain int, x []float32, root float64) {
	var size float64
	for _, v := range x {
		size += math.Abs(float64(v)) / float64(len(x))
	}
	if stated := unitError * float64(chain+8) * (1 + size*root); stated < 1e-4 && d.e < 1 {
		c.near("normalised number, as stated,", i, got, d.v, stated*(1+math.Abs(d.v)))
	}
}

func sweepRowNormBackward(c *trial) {
	rows, cols := c.matrix()
	dy, hat, root, w := c.in(rows*cols), c.in(rows*cols), c.in(rows), c.in(cols)
	dx, add := c.over(dy), c.r.IntN(2) == 0
	if add {
		dx = c.out(rows * cols)
	}
	c.batch(rows, func(from, to int) {
		f, t := from*cols, to*cols
		c.e.RowNormBackward(dx[f:t], dy[f:t], hat[f:t], root[from:to], w, to-from, cols, add)
	})
	was := c.was(dy)
	g := func(i int) num { return exact(was[i]).mul(exact(w[i%cols])) }
	c.check("dx", dx, 2*cols, func(i int) num {
		at := i / cols * cols
		shift := stridedNum(cols, func(p num, j int) num { return p.add(g(at + j)) }).mul(reciprocal(cols))
		slope := stridedNum(cols, func(p num, j int) num { return fma(g(at+j), exact(hat[at+j]), p) }).mul(reciprocal(cols))
		d := g(i).sub(shift).sub(exact(hat[i]).mul(slope)).mul(exact(root[i/cols]))
		if add {
			d = exact(c.was(dx)[i]).add(d)
		}
		return d
	})
}

// channels draws images: planes of one element, which are done row by row, or of
// every length.
func (c *trial) channels() Channels {
	s := Channels{Rows: 1 + c.r.IntN(5), Count: 1 + c.r.IntN(24), Plane: 1 + c.i%70}
	switch c.r.IntN(12) {
	case 0, 1, 2:
		s.Plane, s.Count = 1, 1+c.i%70
	case 3:
		s.Rows, s.Plane = 4, 800+c.r.IntN(800)
	case 4:
		s.Rows = 0
	}
	return s
}

// norm draws a normalisation of channels.
func (c *trial) norm(s Channels) ChannelNorm {
	n := ChannelNorm{Channels: s, Epsilon: 1e-5, Mean: c.out(s.Count), Variance: c.out(s.Count), X: c.in(s.size())}
	if c.r.IntN(2) == 0 {
		n.Plus = c.in(s.size())
	}
	if c.r.IntN(3) > 0 {
		n.Weight = c.in(s.Count)
	}
	if c.r.IntN(3) > 0 {
		n.Bias = c.in(s.Count)
	}
	n.Act = []Act{ActNone, ActReLU, ActSigmoid, ActTanh, ActLeakyReLU}[c.r.IntN(5)]
	return n
}

// channelNum adds up over the rows of a channel: sums of planes, with planes of one
// element one after the other.
func channelNum(s Channels, ch int, plane, one func(p num, i int) num) (sum num) {
	for r := range s.Rows {
		at := (r*s.Count + ch) * s.Plane
		if s.Plane == 1 {
			sum = one(sum, at)
			continue
		}
		sum = sum.add(stridedNum(s.Plane, func(p num, j int) num { return plane(p, at+j) }))
	}
	return sum
}

// factor is element ch of a, or what stands for none.
func factor(a []float32, ch int, none float32) num {
	if a == nil {
		return exact(none)
	}
	return exact(a[ch])
}

func sweepPlaneDots(c *trial) {
	planes, plane, share := c.r.IntN(9), 1+c.i%100, 1+c.r.IntN(3)
	n := planes * share
	dy, x, mean, sums, dots := c.in(n*plane), c.in(n*plane), c.in(planes), c.out(n), c.out(n)
	c.e.PlaneDots(sums, dots, dy, x, mean, plane, share)
	c.check("sums", sums, plane, func(i int) num { return sumNum(dy[i*plane:][:plane]) })
	c.check("dots", dots, 2*plane, func(i int) num {
		return stridedNum(plane, func(p num, j int) num {
			at := i*plane + j
			return fma(exact(dy[at]), exact(x[at]).sub(exact(mean[i/share])), p)
		})
	})
}

func sweepChannelNorm(c *trial) {
	s := c.channels()
	n := c.norm(s)
	x, y := n.X, c.out(s.size())
	c.e.ChannelNormForward(y, n)
	if s.Rows == 0 {
		return
	}
	each := reciprocal(s.Rows * s.Plane)
	mean := func(ch int) num {
		plus := func(p num, i int) num { return p.add(exact(x[i])) }
		return channelNum(s, ch, plus, plus).mul(each)
	}
	variance := func(ch int) num {
		m := mean(ch)
		return channelNum(s, ch, func(p num, i int) num {
			d := exact(x[i]).sub(m)
			return fma(d, d, p)
		}, func(p num, i int) num {
			d := exact(x[i]).sub(m)
			return p.add(d.mul(d))
		}).mul(each)
	}
	channel := func(i int) int { return i / s.Plane % s.Count }
	steps := s.Rows * s.Plane
	c.check("mean", n.Mean, steps, mean)
	c.check("variance", n.Variance, 2*steps, variance)
	c.check("y", y, 3*steps, func(i int) num {
		ch := channel(i)
		root := exact(1).div(variance(ch).add(exact(n.Epsilon)).sqrt())
		d := exact(x[i]).sub(mean(ch)).mul(factor(n.Weight, ch, 1).mul(root))
		d = d.sub(factor(n.Bias, ch, 0).neg())
		if n.Plus != nil {
			d = d.add(exact(n.Plus[i]))
		}
		return d.act(n.Act, n.Act.slope())
	})
}

func sweepChannelNormBackward(c *trial) {
	s := c.channels()
	n := c.norm(s)
	for _, v := range [][]float32{n.Mean, n.Variance} {
		c.find(v).out = false
	}
	for i, v := range n.Variance {
		n.Variance[i] = abs32(v)
	}
	copy(c.was(n.Variance), n.Variance)
	dy, y, dw, db := c.out(s.size()), c.in(s.size()), c.out(s.Count), c.out(s.Count)
	dx := dy
	switch c.r.IntN(4) {
	case 0:
		dx = nil
	case 1, 2:
		dx = c.out(s.size())
	}
	c.e.ChannelNormBackward(dx, dw, db, dy, y, n)
	if s.Rows == 0 {
		return
	}
	was, each := c.was(dy), reciprocal(s.Rows*s.Plane)
	g := func(i int) num { return exact(was[i]).slope(n.Act, 0, y[i], n.Act.slope()) }
	d := func(i int) num { return exact(n.X[i]).sub(exact(n.Mean[i/s.Plane%s.Count])) }
	root := func(ch int) num { return exact(1).div(exact(n.Variance[ch]).add(exact(n.Epsilon)).sqrt()) }
	sum := func(ch int) num {
		plus := func(p num, i int) num { return p.add(g(i)) }
		return channelNum(s, ch, plus, plus)
	}
	dot := func(ch int) num {
		return channelNum(s, ch, func(p num, i int) num { return fma(g(i), d(i), p) },
			func(p num, i int) num { return p.add(g(i).mul(d(i))) }).mul(root(ch))
	}
	steps := s.Rows * s.Plane
	c.check("db", db, steps, sum)
	c.check("dw", dw, steps, dot)
	if n.Plus != nil && (dx == nil || &dx[0] != &dy[0]) {
		c.check("dy", dy, 1, g)
	}
	c.check("dx", dx, 3*steps, func(i int) num {
		ch := i / s.Plane % s.Count
		a := factor(n.Weight, ch, 1).mul(root(ch))
		b, shift := a.mul(root(ch)).mul(dot(ch)).mul(each), a.mul(sum(ch)).mul(each)
		return a.mul(g(i)).sub(b.mul(d(i))).sub(shift)
	})
}

func sweepChannelAffine(c *trial) {
	s := c.channels()
	x, scale, shift := c.in(s.size()), c.in(s.Count), c.in(s.Count)
	y, n := c.over(x), s.Count*s.Plane
	c.batch(s.Rows, func(from, to int) {
		c.e.ChannelAffine(y[from*n:to*n], x[from*n:to*n], scale, shift, Channels{to - from, s.Count, s.Plane})
	})
	was := c.was(x)
	c.check("y", y, 2, func(i int) num {
		ch := i / s.Plane % s.Count
		return exact(was[i]).mul(exact(scale[ch])).sub(exact(shift[ch]))
	})
}

func sweepRowSums(c *trial) {
	rows, cols := c.matrix()
	x, sum, best := c.in(rows*cols), c.out(rows), c.outInts(rows)
	c.batch(rows, func(from, to int) {
		c.e.RowSums(sum[from:to], x[from*cols:to*cols], to-from, cols)
		c.e.ArgMaxRows(best[from:to], x[from*cols:to*cols], to-from, cols)
	})
	c.check("sum", sum, cols, func(r int) num {
		x, at := x[r*cols:][:cols], 0
		for j, v := range x {
			if v > x[at] || x[at] != x[at] && v == v {
				at = j
			}
		}
		if int(best[r]) != at {
			c.t.Fatalf("%s: the greatest of row %d is %d, want %d", c.what, r, best[r], at)
		}
		return sumNum(x)
	})
}

func sweepAddRows(c *trial) {
	rows, cols := c.matrix()
	x, row := c.out(rows*cols), c.in(cols)
	c.batch(rows, func(from, to int) { c.e.AddRows(x[from*cols:to*cols], row, to-from, cols) })
	was := c.was(x)
	c.check("x", x, 1, func(i int) num { return exact(was[i]).add(exact(row[i%cols])) })
}

func sweepTranspose(c *trial) {
	rows, cols := c.matrix()
	x, y := c.in(rows*cols), c.out(rows*cols)
	c.e.Transpose(y, x, rows, cols)
	c.check("y", y, 1, func(i int) num { return exact(x[i%rows*cols+i/rows]) })
}

func sweepGather(c *trial) {
	rows, dim := c.matrix()
	words := c.upTo(9)
	table, ids, y := c.in(words*dim), c.ints(rows, words), c.out(rows*dim)
	c.batch(rows, func(from, to int) { c.e.Gather(y[from*dim:to*dim], table, ids[from:to], dim) })
	c.check("y", y, 1, func(i int) num { return exact(table[int(ids[i/dim])*dim+i%dim]) })
}
