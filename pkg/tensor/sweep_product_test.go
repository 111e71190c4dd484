package tensor

import "math"

func productSweeps() []sweep {
	return []sweep{
		{[]string{"Gemm"}, 1000, func(c *trial) { sweepGemm(c, c.gemm()) }},
		{[]string{"Gemm"}, 192, func(c *trial) { sweepGemm(c, c.fewNarrow()) }},
		{[]string{"Gemm"}, 192, func(c *trial) { sweepGemm(c, c.fewKs()) }},
		{[]string{"Pack", "GemmPacked"}, 400, sweepPacked},
		{[]string{"GemmBatch"}, 100, sweepGemmBatch},
		{[]string{"GemmLanes"}, 400, sweepGemmLanes},
		{[]string{"ColSumLanes"}, 120, func(c *trial) { sweepColumns(c, false) }},
		{[]string{"ColDotLanes"}, 120, func(c *trial) { sweepColumns(c, true) }},
		{[]string{"AddLane"}, 150, sweepAddLane},
		{[]string{"ScatterAddLanes"}, 100, sweepScatterAdd},
	}
}

// turnedKind draws few rows, and a B that is turned on the way; wideKind a B that is
// read where it is, now and then with rows that share places in the caches.
const (
	turnedKind = 0
	wideKind   = 15
)

// gemm draws a product: one row or few, few columns, every number of columns,
// several blocks of k, of rows and of columns, enough for several threads, or
// nothing.
func (c *trial) gemm() Gemm {
	g := Gemm{M: c.upTo(40), N: c.upTo(40), K: c.upTo(40)}
	kind := c.r.IntN(16)
	switch kind {
	case turnedKind:
		g.M, g.N, g.K = 1+c.i%13, 30+c.upTo(50), 14+c.upTo(70)
	case 1:
		g.M, g.N, g.K = c.upTo(14), 1+c.i%70, c.upTo(70)
	case 2:
		g.M, g.N, g.K = c.upTo(3), c.upTo(90), c.upTo(300)
	case 3:
		g.M, g.N, g.K = c.upTo(90), c.upTo(20), c.upTo(300)
	case 4:
		g.M, g.N, g.K = c.upTo(26), c.upTo(50), 380+c.r.IntN(900)
	case 5:
		g.M, g.N, g.K = c.upTo(30), 500+c.r.IntN(600), c.upTo(12)
	case 6:
		g.M, g.N, g.K = 190+c.r.IntN(220), c.upTo(40), c.upTo(12)
	case 7:
		if c.i%3 == 0 {
			g.M, g.N, g.K = 80+c.r.IntN(60), 80+c.r.IntN(60), 90+c.r.IntN(20)
		}
	case 8:
		if c.i%4 == 0 {
			g.M, g.N, g.K = 193+c.r.IntN(20), c.upTo(10), 500+c.r.IntN(40)
		}
	case 9:
		if c.i%4 == 0 {
			g.M, g.N, g.K = 193+c.r.IntN(20), 500+c.r.IntN(60), c.upTo(4)
		}
	case 10:
		if c.i%4 == 0 {
			g.M, g.N, g.K = 120+c.r.IntN(40), 16*c.upTo(3), 1010+c.r.IntN(40)
		}
	case 11:
		g.M, g.N, g.K = c.upTo(20), c.upTo(17), c.upTo(1400)
	case 12:
		*[]*int{&g.M, &g.N, &g.K}[c.r.IntN(3)] = 0
	case 13:
		if c.i%4 == 0 {
			g.M, g.N, g.K = 510+c.r.IntN(20), c.upTo(40), c.upTo(12)
		} else if c.i%4 == 2 {
			g.M, g.N, g.K = 510+c.r.IntN(10), 2040+c.r.IntN(60), c.upTo(3)
		}
	case 14:
		if c.i%4 == 0 {
			g.M, g.N, g.K = 256+c.r.IntN(10), c.upTo(40), 1020+c.r.IntN(40)
		}
	case wideKind:
		g.M, g.N, g.K = 1+c.i%19, 1+c.upTo(300), 33+c.upTo(120)
		switch c.r.IntN(8) {
		case 0:
			g.N, g.K = 512*(1+c.r.IntN(2)), 120+c.upTo(180)
		case 1:
			g.Ldb = farFloats
		}
	}
	g.TransA, g.TransB, g.Accumulate = c.r.IntN(2) == 0, c.r.IntN(2) == 0, c.r.IntN(3) == 0
	if kind == turnedKind {
		g.TransA, g.TransB = false, true
	}
	g.TransB = g.TransB && kind != wideKind
	if c.r.IntN(2) == 0 {
		g.Act = Act(c.r.IntN(int(ActSoftplus) + 1))
	}
	if c.r.IntN(3) == 0 {
		g = g.dense()
		g.Lda, g.Ldb, g.Ldc = max(g.Lda, 1)+c.r.IntN(3), max(g.Ldb, 1)+c.r.IntN(3), max(g.Ldc, 1)+c.r.IntN(20)
	}
	return g
}

// dense is g with all distances of rows.
func (g Gemm) dense() Gemm {
	g.complete()
	return g
}

// stored is how many elements a matrix takes whose rows lie ld apart.
func stored(trans bool, ld, rows, cols int) int {
	if trans {
		rows, cols = cols, rows
	}
	if rows == 0 || cols == 0 {
		return 0
	}
	return (rows-1)*ld + cols
}

// from is s from element i on, or nothing.
func from(s []float32, i int) []float32 { return s[min(i, len(s)):] }

// operands draws those of a product.
func (c *trial) operands(g *Gemm) (y, a, b []float32) {
	d := g.dense()
	y = c.out(stored(false, d.Ldc, g.M, g.N))
	a, b = c.in(stored(g.TransA, d.Lda, g.M, g.K)), c.in(stored(g.TransB, d.Ldb, g.K, g.N))
	if c.r.IntN(2) == 0 {
		g.Bias = c.in(g.N)
	}
	return y, a, b
}

// rowsOf is the part of a product that makes some rows of C.
func (g Gemm) rowsOf(y, a []float32, first, end int) (part Gemm, partY, partA []float32) {
	d := g.dense()
	part, step := g, d.Lda
	part.M = end - first
	if g.TransA {
		part.Lda, step = d.Lda, 1
	}
	return part, from(y, first*d.Ldc), from(a, first*step)
}

// fewNarrow draws narrow products of few rows and columns: every number of both.
func (c *trial) fewNarrow() Gemm {
	g := Gemm{M: 1 + c.i%4, N: 1 + c.i/4%6, TransB: true, Accumulate: c.r.IntN(2) == 0, Act: Act(c.r.IntN(int(ActReLU) + 1))}
	if c.r.IntN(2) == 0 {
		g.M, g.N = g.M+4*c.upTo(4), min(g.N+6*c.upTo(2), narrowColumns)
	}
	g.K = narrowDepth*g.N + c.upTo(300)
	return g
}

// fewKs draws products of few ks, every number of them for both forms of B, or of few
// rows and columns.
func (c *trial) fewKs() Gemm {
	g := Gemm{M: c.upTo(40), N: 7 + c.upTo(90), K: 1 + c.i%16, TransB: c.i/16%2 == 0, Accumulate: c.r.IntN(3) == 0, Act: Act(c.r.IntN(int(ActReLU) + 1))}
	if c.r.IntN(4) == 0 {
		g.M, g.N, g.K = c.upTo(18), 7+c.upTo(25), c.upTo(100)
	}
	if c.r.IntN(3) == 0 {
		g = g.dense()
		g.Lda, g.Ldb, g.Ldc = g.Lda+c.r.IntN(3), g.Ldb+1+c.r.IntN(3), g.Ldc+c.r.IntN(20)
	}
	return g
}

func sweepGemm(c *trial, g Gemm) {
	y, a, b := c.operands(&g)
	c.batch(g.M, func(first, end int) {
		part, y, a := g.rowsOf(y, a, first, end)
		c.e.Gemm(y, a, b, part)
	})
	c.checkGemm(y, a, b, g, g.narrow())
}

func sweepPacked(c *trial) {
	g := c.gemm()
	y, a, b := c.operands(&g)
	var p Packed
	if c.r.IntN(2) == 0 { // of an earlier, larger matrix
		c.e.Pack(&p, make([]float32, 2000), Gemm{N: 40, K: 50})
	}
	c.e.Pack(&p, b, g)
	c.batch(g.M, func(first, end int) {
		part, y, a := g.rowsOf(y, a, first, end)
		part.N, part.K, part.Ldb = 0, 0, 0
		if !g.TransA {
			part.Lda = g.dense().Lda
		}
		c.e.GemmPacked(y, a, &p, part)
	})
	c.checkGemm(y, a, b, g, false)
}

func sweepGemmBatch(c *trial) {
	g := Gemm{M: c.upTo(20), N: c.upTo(40), K: c.upTo(20), TransB: c.r.IntN(2) == 0, Accumulate: c.r.IntN(2) == 0}
	count := c.r.IntN(5)
	gap := c.r.IntN(3)
	sizeC, sizeA, sizeB := g.M*g.N+gap, g.M*g.K+gap, g.K*g.N+gap
	y, a, b := c.out(count*sizeC), c.in(count*sizeA), c.in(count*sizeB)
	c.batch(count, func(from, to int) {
		c.e.GemmBatch(y[from*sizeC:to*sizeC], a[from*sizeA:to*sizeA], b[from*sizeB:to*sizeB], g, to-from, sizeC, sizeA, sizeB)
	})
	c.check("product", y, g.K, func(i int) num {
		at, i := i/max(sizeC, 1), i%max(sizeC, 1)
		y := c.was(y)[at*sizeC:]
		if i >= g.M*g.N {
			return exact(y[i])
		}
		return c.gemmElement(y, c.was(a)[at*sizeA:], c.was(b)[at*sizeB:], g.dense(), g.narrow(), i/g.N, i%g.N)
	})
}

// checkGemm checks all that is stored of C, gaps between rows included.
func (c *trial) checkGemm(y, a, b []float32, g Gemm, narrow bool) {
	g = g.dense()
	was, wasA, wasB := c.was(y), c.was(a), c.was(b)
	c.check("product", y, g.K, func(i int) num {
		row, col := i/g.Ldc, i%g.Ldc
		if col >= g.N {
			return exact(was[i])
		}
		return c.gemmElement(was, wasA, wasB, g, narrow, row, col)
	})
}

// gemmElement is the definition of Gemm.
func (c *trial) gemmElement(y, a, b []float32, g Gemm, narrow bool, row, col int) (s num) {
	if g.Accumulate {
		s = exact(y[row*g.Ldc+col])
	}
	atA, stepA, atB, stepB := row*g.Lda, 1, col, g.Ldb
	if g.TransA {
		atA, stepA = row, g.Lda
	}
	if g.TransB {
		atB, stepB = col*g.Ldb, 1
	}
	at := func(x []float32, first, step, k int) num {
		if k >= g.K {
			return num{} // as if zeros followed
		}
		return exact(x[first+k*step])
	}
	product := func(s num, k int) num { return fma(at(a, atA, stepA, k), at(b, atB, stepB, k), s) }
	if narrow {
		sum := stridedNum((g.K+sums-1)/sums*sums, product)
		if s = s.add(sum); !g.Accumulate {
			s = sum
		}
	} else {
		for k := range g.K {
			s = product(s, k)
		}
	}
	if g.Bias != nil {
		s = s.add(exact(g.Bias[col]))
	}
	return s.act(g.Act, g.Act.slope())
}

// act is the definition of an activation.
func (a num) act(act Act, slope float32) num {
	by := func(op func(*vector), exact func(x float64) float64, steep, ulp float64) num {
		y := a.function(func(x float32) float32 { return scalar(op, slope, x) }, exact, steep, ulp)
		y.e += ulp * (math.Abs(a.v) + a.e) * 0x1p-149 // of products, see ulpGELU
		return y
	}
	steep := max(1, math.Abs(float64(slope)))
	switch act {
	case ActReLU:
		return num{max32(0, a.f), max(0, a.v), a.e}
	case ActSigmoid:
		return a.sigmoid()
	case ActTanh:
		return a.tanh()
	case ActGELU:
		return by(vecGELU, func(x float64) float64 { return x * normal64(x) }, 1.13, ulpGELU)
	case ActSiLU:
		return by(vecSiLU, func(x float64) float64 { return x * sigmoid64(x) }, 1.1, ulpSiLU)
	case ActSoftplus:
		return by(vecSoftplus, softplus64, 1, ulpSoftplus)
	case ActLeakyReLU:
		return by(vecLeaky, func(x float64) float64 { return bent64(x, x*float64(slope)) }, steep, 0.5)
	case ActELU:
		ulp := float64(ulpELU)
		if slope != 1 {
			ulp += 0.5 // of the product with the slope
		}
		return by(vecELU, func(x float64) float64 { return bent64(x, math.Expm1(x)*float64(slope)) }, steep, ulp)
	}
	return a
}

// bent64 is x above 0, else below.
func bent64(x, below float64) float64 {
	if x > 0 {
		return x
	}
	return below
}

// scalar is a kernel of plain Go on one element of each argument.
func scalar(op func(*vector), s0 float32, args ...float32) float32 {
	v := &vector{n: 1, s0: bits(s0)}
	var y float32
	v.p = start([]float32{0})
	v.x = start(args)
	if len(args) > 1 {
		v.y = start(args[1:])
	}
	op(v)
	y = *(*float32)(v.p)
	return y
}

// grad draws a gradient of n elements: of fast or of exact arithmetic, or none.
func (c *trial) grad(n, lanes int) *Grad {
	switch c.r.IntN(8) {
	case 0:
		return &Grad{}
	case 1, 2, 3:
		return &Grad{Float: c.out(n)}
	}
	g := &Grad{Int: c.outInts(n), Max: c.out(lanes), Scale: float32(math.Ldexp(1, 8+c.r.IntN(8)))}
	for i := range g.Max {
		g.Max[i] = abs32(g.Max[i])
	}
	copy(c.was(g.Max), g.Max)
	return g
}

// checkGrad checks a gradient. chain goes on with the chain of element i over
// rows from to to.
func (c *trial) checkGrad(g *Grad, rows []int, steps int, chain func(s num, i, from, to int) num) {
	c.t.Helper()
	if g.Float != nil {
		was := c.was(g.Float)
		c.check("gradient", g.Float, steps, func(i int) num { return chain(exact(was[i]), i, rows[0], rows[len(rows)-1]) })
	}
	if g.Int == nil || !c.define {
		return
	}
	was, top := c.wasInts(g.Int), append([]float32(nil), c.was(g.Max)...)
	seen := 0
	for i := range c.picked(len(g.Int), steps) {
		want, v, e := was[i], float64(was[i]), 0.0
		for lane := range len(rows) - 1 {
			s := chain(num{}, i, rows[lane], rows[lane+1])
			want += roundInt(s.f * g.Scale)
			top[lane] = math.Float32frombits(max(math.Float32bits(top[lane]), math.Float32bits(abs32(s.f))))
			scale := float64(g.Scale)
			if math.Abs(s.v*scale) > 1<<30 {
				e = math.Inf(1) // may be out of range, or wrap
			}
			v, e = v+s.v*scale, e+s.e*scale+0.5
		}
		if g.Int[i] != want {
			c.t.Fatalf("%s: gradient %d is %d, by definition %d", c.what, i, g.Int[i], want)
		}
		c.near("gradient", i, float64(g.Int[i]), v, e)
		seen++
	}
	for lane, v := range top {
		if got := g.Max[lane]; !same(got, v) && (seen == len(g.Int) || got < v) {
			c.t.Fatalf("%s: the greatest of lane %d is %g, want %g", c.what, lane, got, v)
		}
	}
}

// lanes cuts rows into lanes, some of which may have none.
func (c *trial) lanes(most int) []int {
	rows := []int{c.r.IntN(3)}
	for range 1 + c.r.IntN(9) {
		rows = append(rows, rows[len(rows)-1]+c.r.IntN(most))
	}
	return rows
}

// ofLanes calls f with the gradient and the rows of all lanes, or of two runs.
func (c *trial) ofLanes(g *Grad, rows []int, f func(g *Grad, rows []int)) {
	c.batch(len(rows)-1, func(from, to int) {
		part := *g
		if g.Int != nil {
			part.Max = g.Max[from:to]
		}
		f(&part, rows[from:to+1])
	})
}

func sweepGemmLanes(c *trial) {
	rows := c.lanes(8)
	m, n := 1+c.i%27, c.upTo(50) // rows: every height of a tile
	switch c.r.IntN(12) {
	case 0:
		m, n = 100+c.r.IntN(200), 100+c.r.IntN(100)
	case 1:
		rows = c.lanes(300)
		m, n = c.upTo(20), 1+c.i%70
	}
	last := rows[len(rows)-1]
	a, b := c.in(last*m), c.in(last*n)
	g := c.grad(m*n, len(rows)-1)
	c.ofLanes(g, rows, func(g *Grad, rows []int) { c.e.GemmLanes(g, a, b, m, n, rows) })
	c.checkGrad(g, rows, last+1, func(s num, i, from, to int) num {
		for r := from; r < to; r++ {
			s = fma(exact(a[r*m+i/n]), exact(b[r*n+i%n]), s)
		}
		return s
	})
}

// sweepColumns is for sums of the columns of x, or of products with y.
func sweepColumns(c *trial, products bool) {
	rows, n := c.lanes(6), c.length(3000)
	size := rows[len(rows)-1] * n
	x, y := c.in(size), c.in(size)
	g := c.grad(n, len(rows)-1)
	c.ofLanes(g, rows, func(g *Grad, rows []int) {
		if products {
			c.e.ColDotLanes(g, x, y, n, rows)
		} else {
			c.e.ColSumLanes(g, x, n, rows)
		}
	})
	c.checkGrad(g, rows, 60, func(s num, i, from, to int) num {
		for r := from; r < to; r++ {
			term := exact(x[r*n+i])
			if products {
				term = term.mul(exact(y[r*n+i]))
			}
			s = s.add(term)
		}
		return s
	})
}

func sweepAddLane(c *trial) {
	n := c.length(40000)
	x, g := c.in(n), c.grad(n, 3)
	c.batch(n, func(from, to int) {
		part := *g
		switch {
		case g.Float != nil:
			part.Float = g.Float[from:]
		case g.Int != nil:
			part.Int = g.Int[from:]
		}
		c.e.AddLane(&part, 1, x[from:to])
	})
	c.checkGrad(g, []int{0, 0, 1, 1}, 5, func(s num, i, from, to int) num {
		if from == to {
			return s
		}
		return s.add(exact(x[i]))
	})
}

func sweepScatterAdd(c *trial) {
	rows, dim, words := c.lanes(8), c.length(100), c.upTo(9)
	last := rows[len(rows)-1]
	dy, ids, g := c.in(last*dim), c.ints(last, words), c.grad(words*dim, len(rows)-1)
	c.ofLanes(g, rows, func(g *Grad, rows []int) { c.e.ScatterAddLanes(g, dy, ids, dim, words*dim, rows) })
	c.checkGrad(g, rows, 60, func(s num, i, from, to int) num {
		for r := from; r < to; r++ {
			if int(ids[r]) == i/dim {
				s = s.add(exact(dy[r*dim+i%dim]))
			}
		}
		return s
	})
}
