package tensor

// Packed is the right operand of matrix products in the form that kernels read,
// made once for several products. It belongs to the engine that made it. The zero
// Packed is ready for Pack.
type Packed struct {
	k, n  int
	panel int // columns of a panel
	b     []float32
}

// Pack makes p hold b, stored as (g.K, g.N), or (g.N, g.K) if g.TransB, for
// GemmPacked. A change of b needs another Pack; it allocates only where p is too
// small.
func (e *Engine) Pack(p *Packed, b []float32, g Gemm) {
	g.complete()
	g.M, g.Lda = 0, max(g.K, 1)
	g.check("Pack", 0, 0, len(b))
	*p = Packed{k: g.K, n: g.N, panel: e.k.panel(), b: grow(p.b, g.K*e.paddedColumns(g.N))}
	view := &product{n: g.N, k: g.K, b: b, bRow: g.Ldb, bCol: 1}
	if g.TransB {
		view.bRow, view.bCol = 1, g.Ldb
	}
	e.pool.workers[0].packPanels(view, p.b, 0, g.K, 0, g.N)
}

// paddedColumns is n rounded up to whole panels.
func (e *Engine) paddedColumns(n int) int {
	panel := e.k.panel()
	return (n + panel - 1) / panel * panel
}

// GemmPacked is Gemm with a right operand from Pack; g.N, g.K, g.TransB and
// g.Ldb are those of Pack and not read. Elements are chains however few columns
// there are.
func (e *Engine) GemmPacked(c, a []float32, b *Packed, g Gemm) {
	g.N, g.K, g.TransB, g.Ldb = b.n, b.k, false, 0
	g.complete()
	sizeC, sizeA, _ := g.check("GemmPacked", len(c), len(a), b.k*b.n)
	apart("GemmPacked", c[:sizeC], a[:sizeA], g.Bias)
	if b.panel != e.k.panel() {
		fail("GemmPacked", "b is not packed, or by an engine of another instruction set")
	}
	e.product.set(c, a, nil, &g)
	e.product.packed = b.b
	e.multiply(&e.product)
}
