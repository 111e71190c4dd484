package tensor

import "math"

// batchJob is products of one shape; its parts are runs of them.
type batchJob struct {
	product
	count                     int
	parts                     int
	swap                      bool
	strideC, strideA, strideB int
}

// GemmBatch computes count products that lie strideC, strideA, strideB elements
// apart.
func (e *Engine) GemmBatch(c, a, b []float32, g Gemm, count, strideC, strideA, strideB int) {
	g.complete()
	sizeC, sizeA, sizeB := g.check("GemmBatch", math.MaxInt, math.MaxInt, math.MaxInt)
	if volume("GemmBatch", count); count == 0 || sizeC == 0 {
		return
	}
	need("GemmBatch", "c", len(c), volume("GemmBatch", count-1, strideC)+sizeC)
	need("GemmBatch", "a", len(a), volume("GemmBatch", count-1, strideA)+sizeA)
	need("GemmBatch", "b", len(b), volume("GemmBatch", count-1, strideB)+sizeB)
	for i := range count {
		apart("GemmBatch", c[i*strideC:][:sizeC], a[i*strideA:][:sizeA], b[i*strideB:][:sizeB], g.Bias)
	}
	j := &e.batchJob
	*j = batchJob{count: count, strideC: strideC, strideA: strideA, strideB: strideB}
	j.set(c, a, b, &g)
	j.parts = min(e.threads, count, count*g.M*g.N*g.K/workPart)
	j.swap = j.betterSwapped(e.k)
	if j.parts <= 1 || j.product.parts(e.k, e.threads) > 1 {
		*j = batchJob{}
		for i := range count {
			e.Gemm(c[i*strideC:], a[i*strideA:], b[i*strideB:], g)
		}
		return
	}
	e.pool.run(j, j.parts)
	*j = batchJob{}
}

func (j *batchJob) part(w *worker, i int) {
	p := &w.product
	for n := j.count * i / j.parts; n < j.count*(i+1)/j.parts; n++ {
		*p = j.product
		p.c, p.a, p.b = p.c[n*j.strideC:], p.a[n*j.strideA:], p.b[n*j.strideB:]
		if j.swap {
			w.spare = grow(w.spare, p.m*p.n)
			*p = p.swap(w.spare)
		}
		w.compute(p, 0, p.m, 0, p.n)
	}
}
