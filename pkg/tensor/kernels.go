package tensor

import "unsafe"

//go:generate go run -C ../../internal/asmgen . -out ../../pkg/tensor

// tile is what the inner kernel of a matrix product is told: it computes panels
// times rows x vecs*lanes elements of C, below each other or side by side. Distances
// are in bytes. Assembly knows the fields by their order; all have 8 bytes.
type tile struct {
	a       unsafe.Pointer // row 0, k 0
	aRow    uintptr        // from row to row
	aCol    uintptr        // from k to k: 4, or it takes longer
	b       unsafe.Pointer // k 0: one vector or two, or up to eight
	bRow    uintptr        // from k to k
	c       unsafe.Pointer
	cRow    uintptr
	k       int
	panels  int
	aNext   uintptr // …Next: from panel to panel
	bNext   uintptr
	cNext   uintptr
	mask    unsafe.Pointer // elements of the last vector that exist; nil: all
	load    int            // not 0: go on with the chains in C
	relu    int            // not 0: max(0, x) at the end
	colBias unsafe.Pointer // nil, or a number for each column
	rowBias unsafe.Pointer // nil, or a number for each row

	colBiasNext, rowBiasNext uintptr

	// While sums run, memory comes into the cache: a row of a panel of B, as it were,
	// for every 4 ks, so many of them.
	aheadSoon unsafe.Pointer
	aheadStep uintptr
	aheadLeft int

	// Only for lanes: C has integers.
	laneSize unsafe.Pointer // number of ks of each lane
	lanes    int            // how many
	laneMax  unsafe.Pointer // 16 partial maxima for each lane
	abs      uint64         // a word without the sign bit
	scale    uint64         // bits of the float32

	// Only for taps that are read from the image: bRow, colBias, panels and load
	// do not count. Columns are lines; row k of B begins at b + offsets[k].
	offsets              unsafe.Pointer // int32, in bytes
	lines                int
	bLine, cLine         uintptr // from line to line
	soonX, soonY         unsafe.Pointer
	soonXStep, soonYStep uintptr
}

// narrow is what a kernel is told that computes products of few columns from rows
// of A and of a B that is stored transposed: see kernels.narrow. Distances are in
// bytes.
type narrow struct {
	a, b        unsafe.Pointer
	aRow        uintptr
	bRows       unsafe.Pointer // where the rows of B begin, from b on: an int64 for each
	whole       int            // bytes of a row, in whole runs of 16 ks
	mask, mask2 unsafe.Pointer // which ks follow, from the first vector and from what is behind it; nil: none
	c           unsafe.Pointer
	cRow        uintptr
	bias        unsafe.Pointer // nil, or a number for each column
	load, relu  int            // not 0: begin with C; max(0, x) at the end
	panels      int            // groups of rows, below each other
	soon        uintptr        // from the first row of A to one that comes into the cache; with three rows or four, from the second too
}

// across is what the inner kernel of a convolution is told whose vectors lie
// across the output channels: a tile is places that follow each other in a line,
// times channels. Distances are in bytes.
type across struct {
	x                    unsafe.Pointer // the first place of the first line; tap k is offsets[k] from it
	xLine                uintptr        // from line to line
	gap                  uintptr        // between the first half of the places and the second, which may be in the next line
	next                 uintptr        // from channel to channel of the image: the next one is asked for
	offsets              unsafe.Pointer // int32
	w                    unsafe.Pointer // whole vectors of channels, k by k
	bias                 unsafe.Pointer // nil, or whole vectors of channels
	k                    int
	c                    unsafe.Pointer
	cRow, cLine          uintptr // from channel to channel, from line to line
	lines                int
	channels             int // that exist
	relu                 int // not 0: max(0, x) at the end
	edge                 int // not 0: minus becomes not 0 if a sum is -0
	minus                int
	left, right          int            // not 0: of every three ks, leave out the first of the first place, the last of the last
	inner                int            // not 0: the last of the first half of the places, and the first of the second half
	threes               int            // not 0: taps are threes side by side
	soonX, soonY         unsafe.Pointer // what will be read and written soon: the caches are told on the way
	soonXStep, soonYStep uintptr        // from k to k
}

// weigh is what a kernel of the gradient of weights is told: it goes on with the
// sums of some taps over the output elements of images, line by line. Distances
// are in bytes.
type weigh struct {
	image    unsafe.Pointer // where the taps of the first output element are, less offsets
	offsets  unsafe.Pointer // an int32 for each tap
	line     int            // length of a line of output elements
	lineGap  int            // from the end of a line to the next, in the image
	lines    int            // of an image
	imageGap int            // from the end of an image, and a lineGap, to the next
	images   int
	dy       unsafe.Pointer // one vector or two for each output element
	sums     unsafe.Pointer // one vector or two for each tap
	load     int            // not 0: go on with the chains in sums

	// What is asked for meanwhile, so that it is near when it is needed.
	ahead     uintptr
	aheadStep int // to the next, for every 4 output elements
}

// pack is what a copy into a panel is told: n rows of dst. Which fields count
// depends on the copy.
type pack struct {
	dst, src         unsafe.Pointer
	dstStep, srcStep uintptr
	first, second    int            // taps: bytes from src; panels, turn: first is the number of panels or groups
	mask, mask2      unsafe.Pointer // taps: 8 words each
	rows             unsafe.Pointer // transpose: 8 pointers
	offsets          unsafe.Pointer // taps, gather: an int32 for each row, in bytes
	columns          unsafe.Pointer // gather: 8 int32, in bytes
	n                int
	dstNext, srcNext uintptr // turn: to the next 16 columns
	ahead            uintptr // turn: what comes into the cache meanwhile, 4 lines for every 8 rows
	aheadStep        int     // to the next
}

// vector is what a kernel is told that works element by element: inputs x to b,
// outputs p, q, r, scalars as bits, and 16 strided partial results each of up
// to two reductions, which go on from what is there: element i goes to partial
// result i mod 16.
type vector struct {
	n          int
	x, y, z, u unsafe.Pointer
	a, b       unsafe.Pointer
	p, q, r    unsafe.Pointer
	masks      *[17]unsafe.Pointer
	s0, s1, s2 uint64
	s3, s4, s5 uint64
	s6, s7, s8 uint64

	part0, part1 [16]float32
}

// wideTile is a kernel for so many vectors.
type wideTile struct {
	vecs int
	run  func(*tile)
}

// kernels is one implementation of the inner loops. Every one that the machine
// can run is listed by available, slowest first; the tests run them all.
type kernels struct {
	name string
	// width is the number of float32 in a vector, rows the most rows of a tile.
	// Panels of B have one vector or two.
	width, rows int

	// tile[v-1][r-1] computes tiles of r rows and v vectors, in float32; lane does
	// so for each lane by itself, scales, rounds and adds the integers to C.
	tile, lane [2][]func(*tile)

	// wide[r-1] computes tiles of r rows, widest first, from a B that is read where it
	// is; all vectors are whole. nil: there are none.
	wide [][]wideTile

	// turned[r-1] computes 32 columns of r rows from a B whose columns lie bRow
	// apart, over a multiple of width of k: it knows a, aRow, b, bRow, c, cRow, k and
	// load. nil: there are none.
	turned []func(*tile)

	// held[t][n-1] computes panels of a vector of k rows, k being the number of rows here
	// and n that of ks; aCol is 4, and there is no rowBias and no mask. For t = 1 the columns
	// of B lie bRow apart. nil: there are none.
	held [2][]func(*tile)

	// narrow[r-1][c-1] computes c columns of panels of r rows: strided sums over k. More
	// rows have no more columns.
	narrow [][]func(*narrow)

	// direct[r-1] computes tiles of r rows from taps in an image, with 1, 2 or 4
	// vectors of a line; the last may be missing. nil: there are none.
	direct [][]func(*tile)

	// weight goes on with the sums of taps: weight[v-1][r-1] for r taps and v
	// vectors of output channels, weight[2][r-1] for r times three taps side by
	// side and one vector. Lines for the last ones have two elements or more.
	weight [3][]func(*weigh)

	// across[v-1][p-1] computes tiles of p places and v vectors of channels. nil:
	// there are none.
	across [2][]func(*across)

	// masks[n] stands for the first n elements of a vector, masks8[n] for those
	// of the vectors that pack uses.
	masks  *[17]unsafe.Pointer
	masks8 *[17]unsafe.Pointer

	// copy[v-1] copies n rows of v vectors of 8; missing elements become +0.
	copy [4]func(*pack)
	// panels copies n rows of as many panels of B side by side as first says.
	panels func(*pack)
	// transpose is dst[k][j] = rows[j][k] for 8 columns j.
	transpose func(*pack)
	// turn is transpose for groups of 16 columns whose rows lie srcStep apart. nil:
	// there is none.
	turn func(*pack)
	// taps is dst[k][j] = src[first+offsets[k]+4j] for the columns of mask, second
	// in place of first for those of mask2, else +0.
	taps func(*pack)
	// line[v-1] is dst[k][j] = src[first+offsets[k]+4j] for v*8 columns.
	line [2]func(*pack)
	// gather is dst[k][j] = src[offsets[k]+columns[j]].
	gather func(*pack)

	vectors
	// sum64 adds n runs of 16 float32 x to 16 float64 p; squares64 their squares.
	sum64, squares64 func(*vector)
	// columns adds to n elements of p, row by row, those of x, columnProducts the
	// rounded products of those of x and y: s1 rows, at least one, that lie s0 bytes
	// apart.
	columns, columnProducts func(*vector)
	// philox writes the words of n times 8 blocks: see Engine.words.
	philox func(*vector)

	// peak does n rounds of 24 fused multiply-adds of vectors and nothing else.
	peak func(*pack)
}

// panel is the number of columns of a panel of B.
func (k *kernels) panel() int { return 2 * k.width }
