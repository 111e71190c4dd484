package tensor

// Packed is the right operand of matrix products in the form that kernels read,
// made once for several products. It belongs to the engine that made it. The zero
// Packed is ready for Pack.
type Packed struct {
	k, n int
	b    []float32
}

// Pack makes p hold b, stored as (g.K, g.N), or (g.N, g.K) if g.TransB, for
// GemmPacked. A change of b needs another Pack; it allocates only where p is too
// small.
func (e *Engine) Pack(p *Packed, b []float32, g Gemm) {
	g = g.dense()
	g.M, g.Lda = 0, max(g.K, 1)
	g.check("Pack", 0, 0, len(b))
	blocks, padded := depthBlocks(g.K), e.paddedColumns(g.N)
	*p = Packed{k: g.K, n: g.N, b: grow(p.b, g.K*padded)}
	view := &product{n: g.N, k: g.K, b: b, bRow: g.Ldb, bCol: 1}
	if g.TransB {
		view.bRow, view.bCol = 1, g.Ldb
	}
	w := e.pool.workers[0]
	for i := range blocks {
		k0, k1 := g.K*i/blocks, g.K*(i+1)/blocks
		w.packB(view, k0, k1, 0, g.N)
		copy(p.b[k0*padded:k1*padded], w.b)
	}
}

// paddedColumns is n rounded up to whole panels.
func (e *Engine) paddedColumns(n int) int {
	panel := e.k.panel()
	return (n + panel - 1) / panel * panel
}

// GemmPacked is Gemm with a right operand from Pack; g.N, g.K, g.TransB and
// g.Ldb are those of Pack and not read.
func (e *Engine) GemmPacked(c, a []float32, b *Packed, g Gemm) {
	g.N, g.K, g.TransB, g.Ldb = b.n, b.k, false, 0
	g = g.dense()
	g.check("GemmPacked", len(c), len(a), b.k*b.n)
	p := &e.product
	*p = g.product(c, a, nil)
	p.packed = b.b
	e.multiply(p)
}
