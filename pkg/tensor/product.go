package tensor

// product is a matrix product as its parts see it: element (i, k) of A is
// a[i*aRow+k*aCol], element (k, j) of B is b[k*bRow+j*bCol], (i, j) of C is
// c[i*cRow+j].
//
// # How it is computed
//
// A block of A stays in the second cache:
//
//	for blocks of columns      that share copies; or all, if there is one block of rows
//	  for blocks of k          the chain goes on from C
//	    for blocks of rows     A turned or copied, if it is worth it
//	      for panels of B      copied, if they are worth it and not yet copied
//	        for panels of A
//	          one tile of C, in registers
//
// A B that is not turned is read where it is, if the rows of A are few or B's do not
// share places in the caches. Tiles of few rows are wider, and ask for the rows of B
// that come next. See multiplyInPlace.
//
// With many rows of an A that is not turned, and a B that is copied as it is, a block of
// B does:
//
//	for blocks of columns
//	  for blocks of k
//	    copy of the block of B
//	    for panels of A        one stays in the first cache
//	      for panels of B
//	        one tile of C
//
// If ks are few it is C that passes by, in long lines: panels of A outside, too, and a
// kernel does all panels of B, for a block of B. If they are fewer than registers and C
// is small, all that a vector of columns needs of B stays in registers: see held.
//
// Rows of A are read k by k; an A that is stored transposed is turned, unless it is
// read only once or is small, see skims. A B that is stored transposed is turned too:
// on the way, in registers, for very few rows. If it is much larger than A, the
// operands are swapped instead, and C is turned at the end: see betterSwapped.
//
// If the product is narrow nothing is turned: both are read along k, see
// multiplyNarrow.
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
	image      []float32 // for taps: the image without its border, and its channels
	channels   int
	filters    []float32 // for taps: A in panels across channels, see packFilters
	banded     bool      // for taps: filters of bands may be used
	packed     []float32 // not nil: all of B, in panels of all ks
	narrow     bool      // strided sums in place of chains
	far        bool      // narrow: A is in none of a core's caches, as a rule

	// How parts are cut: rows or columns, in pieces of step.
	byRows bool
	step   int
}

// workPart is the number of multiply-adds that is worth waking a goroutine.
const workPart = 1 << 18

// betterSwapped is whether the transposed product is faster: columns of C fill
// vectors, rows do not, so a product of 64 by 10 wastes less as 10 by 64; and it
// may be A that is to be turned and not a B that is much larger. It must be worth
// it: C goes through memory once more.
func (p *product) betterSwapped(k *kernels) bool {
	if p.load || p.taps != nil || p.packed != nil || p.narrow || p.m <= 2 {
		return false
	}
	now, swapped := p.cost(k), p.swap(nil)
	return swapped.cost(k)+p.m*p.n/turnCost < now-now/16
}

// swap is the transposed product, whose C is put into spare on its way: the chains
// are the same.
func (p *product) swap(spare []float32) product {
	return product{m: p.n, n: p.m, k: p.k, a: p.b, aRow: p.bCol, aCol: p.bRow, b: p.a, bRow: p.aCol, bCol: p.aRow,
		c: spare, cRow: p.m, to: p.c, toRow: p.cRow, relu: p.relu, rowBias: p.colBias, act: p.act}
}

// turnCost is how many elements are turned in a cycle, or copied in a quarter of it.
const turnCost = 3

// cost estimates cycles: two multiply-adds of vectors in a cycle, but four cycles
// for the next one of the same chain; and the copies of A and B, which cost more if
// they are turned.
func (p *product) cost(k *kernels) int {
	vecs := (p.n + k.width - 1) / k.width
	if p.n >= turnedColumns && p.turned(k, p.m) {
		return vecs * p.k * (p.m + 4) / 2
	}
	chains := min(p.m, k.rows) * min(vecs, 2)
	if p.direct(k, p.m) && k.wide != nil {
		chains = p.m * vecs
	}
	sums := p.m * vecs * p.k * 4 / min(chains, 8)
	switch {
	case p.bCol != 1:
		sums += p.n * p.k / turnCost
	case !p.direct(k, p.m):
		sums += p.n * p.k / (4 * turnCost)
	}
	if p.aCol != 1 && !p.skims(k, p.m, p.k) {
		sums += p.m * p.k / turnCost
	}
	return sums
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
	w.compute(p, i0, i1, j0, j1)
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
