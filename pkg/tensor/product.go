package tensor

// product is a matrix product as its parts see it: element (i, k) of A is
// a[i*aRow+k*aCol], element (k, j) of B is b[k*bRow+j*bCol], (i, j) of C is
// c[i*cRow+j].
//
// # How it is computed
//
// If B can be read where it is, or there are few rows, a block of A stays in the
// second cache:
//
//	for blocks of rows
//	  for blocks of k          the chain goes on from C
//	    for panels of B        copied, if they are worth it
//	      for panels of A
//	        one tile of C, in registers
//
// With many rows a block of B does:
//
//	for blocks of columns
//	  for blocks of k
//	    copy of the block of B
//	    for panels of A        copied; one panel stays in the first cache
//	      for panels of B
//	        one tile of C
//
// Rows of A are read k by k. If A is stored transposed it is turned; if B is, and
// is larger than A, the whole product is turned instead, and C at the end.
//
// While a tile is summed, what is needed next comes into the cache.
//
// The number of rows of a tile is chosen so that all tiles of a block are about
// equally high: 128 rows are 22 tiles of 6 or 5, not 21 of 6 and one of 2, which
// would wait for its own sums.
type product struct {
	m, n, k    int
	a, b, c    []float32
	aRow, aCol int
	bRow, bCol int
	cRow       int
	load, relu bool
	colBias    []float32
	rowBias    []float32
	act        Act       // applied at the end; relu is for max(0, x)
	to         []float32 // not nil: C goes there, transposed
	toRow      int
	taps       *grid     // not nil: B is the taps of image b
	filters    []float32 // for taps: A in panels across channels, see packFilters
	banded     bool      // for taps: filters of bands may be used
	packed     []float32 // not nil: all of B, in panels, block of k by block of k

	// How parts are cut: rows or columns, in pieces of step.
	byRows bool
	step   int
}

// workPart is the number of multiply-adds that is worth waking a goroutine.
const workPart = 1 << 18

// betterTurned is whether the transposed product is faster: columns of C fill
// vectors, rows do not, so a product of 64 by 10 wastes less as 10 by 64; and it
// may be A that is to be turned and not a B that is much larger. It must be worth
// it: C goes through memory once more.
func (p *product) betterTurned(k *kernels) bool {
	if p.load || p.taps != nil || p.packed != nil || p.m <= 2 {
		return false
	}
	now := cost(k, p.m, p.n, p.k, p.bRow == 1)
	return cost(k, p.n, p.m, p.k, p.aCol == 1)+p.m*p.n/turnCost < now-now/16
}

// turnCost is how many elements are turned in a cycle, or copied in a quarter of it.
const turnCost = 3

// cost estimates cycles: two multiply-adds of vectors in a cycle, but four cycles
// for the next one of the same chain; and the copy of B, which costs more if it
// is turned.
func cost(k *kernels, m, n, depth int, turned bool) int {
	vecs := (n + k.width - 1) / k.width
	chains := min(m, k.rows) * min(vecs, 2)
	sums := m * vecs * depth * 4 / min(chains, 8)
	if turned && m <= len(k.turned) {
		return vecs * depth * (m + 4) / 2 // on the way
	}
	if turned {
		return sums + n*depth/turnCost
	}
	return sums + n*depth/(4*turnCost)
}

// parts cuts the product for so many threads.
func (p *product) parts(k *kernels, threads int) int {
	n := min(threads, p.m*p.n*p.k/workPart)
	p.byRows = p.m > p.n
	size, unit := p.n, k.panel()
	if p.byRows {
		size, unit = p.m, k.rows
	}
	if n <= 1 {
		p.step = max(size, 1)
		return 1
	}
	p.step = (size + n*unit - 1) / (n * unit) * unit
	return (size + p.step - 1) / p.step
}

func (p *product) part(w *worker, i int) {
	i0, i1, j0, j1 := 0, p.m, 0, p.n
	if p.byRows {
		i0, i1 = i*p.step, min((i+1)*p.step, p.m)
	} else {
		j0, j1 = i*p.step, min((i+1)*p.step, p.n)
	}
	w.multiply(p, i0, i1, j0, j1)
	if p.to != nil {
		w.turnC(p, i0, i1, j0, j1)
	}
}

func (p *product) activate(w *worker, i0, i1, j0, j1 int) {
	if p.act == ActNone {
		return
	}
	for i := i0; i < i1; i++ {
		row := p.c[i*p.cRow+j0 : i*p.cRow+j1]
		w.actForward(row, row, p.act)
	}
}
