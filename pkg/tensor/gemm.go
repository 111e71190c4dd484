package tensor

// Gemm describes a matrix product C = A·B with C (M, N), A (M, K), B (K, N).
type Gemm struct {
	M, N, K int
	// TransA means that A is stored as (K, M), TransB that B is stored as (N, K).
	TransA, TransB bool
	// Accumulate starts every chain from C instead of +0, or adds C to strided ones.
	Accumulate bool
	// Bias, if not nil, has N elements; column j gets Bias[j] after its chain.
	Bias []float32
	// Act is applied last.
	Act Act
	// Lda, Ldb, Ldc are the distances of stored rows; 0 is the length of a row.
	Lda, Ldb, Ldc int
}

// narrowColumns is how many columns of C a product has at most whose elements are
// strided sums of the rows of A and of a B that is stored transposed: they do not
// fill a vector of columns. For each of them there must be narrowDepth ks, or the
// joining of sums takes longer than what it saves.
const (
	narrowColumns = 15
	narrowDepth   = 8
)

// narrow is whether the elements of the product are strided sums. It may depend on
// what does not change with the batch only.
func (g *Gemm) narrow() bool {
	return g.TransB && !g.TransA && g.N <= narrowColumns && g.K >= narrowDepth*g.N
}

// Gemm computes c. Element (i, j) is one chain of fused multiply-adds over k,
// ascending; but if only B is stored transposed, N is below 16, and K is 8*N or
// more, 16 strided chains, joined by halves, to which C is added. c must not overlap
// a or b.
func (e *Engine) Gemm(c, a, b []float32, g Gemm) {
	g.complete()
	sizeC, sizeA, sizeB := g.check("Gemm", len(c), len(a), len(b))
	apart("Gemm", c[:sizeC], a[:sizeA], b[:sizeB], g.Bias)
	e.product.set(c, a, b, &g)
	e.multiply(&e.product)
}

// set makes p, the zero product, the complete g as its parts see it. It does so field by
// field: to copy a whole one takes as long as a small product.
func (p *product) set(c, a, b []float32, g *Gemm) {
	p.m, p.n, p.k = g.M, g.N, g.K
	p.a, p.b, p.c = a, b, c
	p.aRow, p.aCol, p.bRow, p.bCol, p.cRow = g.Lda, 1, g.Ldb, 1, g.Ldc
	p.load, p.colBias, p.act, p.narrow = g.Accumulate, g.Bias, g.Act, g.narrow()
	if g.TransA {
		p.aRow, p.aCol = 1, g.Lda
	}
	if g.TransB {
		p.bRow, p.bCol = 1, g.Ldb
	}
	if p.act == ActReLU {
		p.act, p.relu = ActNone, true
	}
}

// multiply runs a product on all threads that are worth it. Then p is zero again.
func (e *Engine) multiply(p *product) {
	if p.m > 0 && p.n > 0 {
		if p.betterSwapped(e.k) {
			e.spare = grow(e.spare, p.m*p.n)
			*p = p.swap(e.spare)
		}
		e.pool.run(p, p.parts(e.k, e.threads))
	}
	*p = product{}
}

// complete replaces distances of 0 by the length of a row.
func (g *Gemm) complete() {
	pick := func(ld *int, trans bool, rows, cols int) {
		if trans {
			cols = rows
		}
		if *ld == 0 {
			*ld = cols
		}
	}
	pick(&g.Lda, g.TransA, g.M, g.K)
	pick(&g.Ldb, g.TransB, g.K, g.N)
	pick(&g.Ldc, false, g.M, g.N)
}

// check panics unless there are so many elements as the shape says, and returns
// how many that are.
func (g *Gemm) check(op string, haveC, haveA, haveB int) (c, a, b int) {
	volume(op, g.M, g.N, g.K)
	need(op, "row distance", min(g.Lda, g.Ldb, g.Ldc), 0)
	g.Act.check(op)
	extent := func(trans bool, ld, rows, cols int) int {
		if trans {
			rows, cols = cols, rows
		}
		if rows == 0 || cols == 0 {
			return 0
		}
		need(op, "row distance", ld, cols)
		return volume(op, rows-1, ld) + cols
	}
	c, a, b = extent(false, g.Ldc, g.M, g.N), extent(g.TransA, g.Lda, g.M, g.K), extent(g.TransB, g.Ldb, g.K, g.N)
	need(op, "c", haveC, c)
	need(op, "a", haveA, a)
	need(op, "b", haveB, b)
	if g.Bias != nil {
		need(op, "bias", len(g.Bias), g.N)
	}
	return c, a, b
}
