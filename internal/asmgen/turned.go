package main

import (
	"fmt"
	"slices"

	"github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// turneds writes products of few rows of A and a B that is stored transposed:
// blocks of 16 columns by 8 ks are turned in registers and used right away. Such a
// block costs 32 instructions in the two places of products, 34 for one row, and each
// row 8: the one thing that it waits for while B is in the first or second cache.
// Every vector is made from 16 others by twos, which takes four of them. Pieces of
// rows copied side by side would save one or two, but copies take longer than that:
// loads are not free either while both places are taken.
func turneds(c *build.Context, s isa, f layout) {
	for rows := 1; rows <= s.rows; rows++ {
		t := &turned{tile: tile{Context: c, isa: s, f: f, rows: rows, vecs: 2}}
		if rows > 7 { // enough chains to hide the time that one product takes
			t.vecs = 1
		}
		t.write()
	}
}

// turnedTable is Go that lists the kernels.
func turnedTable(s isa) string {
	rows := 1
	if s.wide() {
		rows = s.rows
	}
	text := fmt.Sprintf("\n// turneds_%s lists the kernels by rows.\nfunc turneds_%[1]s() []func(*tile) {\n\treturn []func(*tile){", s.name)
	for r := 1; r <= rows; r++ {
		text += fmt.Sprintf("turned%d_%s, ", r, s.name)
	}
	return text + "}\n}\n"
}

// turned writes one kernel, for 32 columns. Its vectors of C are taken one after
// the other if there are many rows.
type turned struct {
	tile
	as      []reg.GPVirtual // the first rows of A
	aHigh   reg.GPVirtual   // from each of them to the one that is so many rows on
	bs      []reg.GPVirtual // every eighth row of B
	bOdd    map[int]reg.GPVirtual
	columns [2][8]reg.VecVirtual // of two blocks, turned: see turning
	upper   reg.OpmaskVirtual    // the second half of a vector
	second  reg.OpmaskVirtual    // every second element, if it blends
}

func (t *turned) write() {
	t.t = function(t.Context, fmt.Sprintf("turned%d_%s", t.rows, t.name), "tile")
	t.acc = make([][]reg.VecVirtual, t.rows)
	for r := range t.acc {
		for range t.vecs {
			t.acc[r] = append(t.acc[r], t.vec(t.Context))
		}
	}
	for i := range t.columns {
		for j := range t.columns[i] {
			t.columns[i][j] = t.ZMM()
		}
	}
	t.upper = t.bits(0xf0)
	if t.blends() {
		t.second = t.bits(0xaaaa)
	}
	t.local = t.AllocLocal(8 * 4)
	for i, name := range []string{"b", "c"} {
		t.MOVQ(t.load(name), t.local.Offset(8*i))
	}
	t.MOVQ(operand.I32(2/t.vecs), t.local.Offset(16))
	t.Label("columns")
	t.MOVQ(t.load("k"), t.local.Offset(24))
	t.start()
	t.pointAtA()
	t.bs, t.bOdd = []reg.GPVirtual{t.GP64()}, t.oddMultiples(t.load("bRow"), 8)
	t.MOVQ(t.local, t.bs[0])
	for i := 1; i < 2*t.vecs; i++ {
		t.bs = append(t.bs, t.GP64())
		t.LEAQ(operand.Mem{Base: t.bs[i-1], Index: t.bOdd[1], Scale: 8}, t.bs[i])
	}
	t.blocks()
	t.eachC(func(r, v int, at operand.Mem) { t.VMOVUPS(t.acc[r][v], at) })
	if t.vecs == 1 {
		t.nextColumns()
	}
	t.VZEROUPPER()
	t.RET()
}

// bits is a mask.
func (t *turned) bits(set uint32) reg.OpmaskVirtual {
	r, k := t.GP32(), t.K()
	t.MOVL(operand.U32(set), r)
	t.KMOVW(r, k)
	return k
}

// pointAtA points at as many rows of A as there are registers for: a product that
// adds up two for its address is two instructions on their way to their places.
func (t *turned) pointAtA() {
	step := t.load("aRow")
	t.as = []reg.GPVirtual{t.load("a")}
	for r := 1; r < min(t.rows, 8-2*t.vecs); r++ {
		t.as = append(t.as, t.GP64())
		t.LEAQ(operand.Mem{Base: t.as[r-1], Index: step, Scale: 1}, t.as[r])
	}
	if n := len(t.as); n < t.rows {
		t.aHigh = step
		t.IMUL3Q(operand.Imm(uint64(n)), step, t.aHigh)
	}
}

// rowOfA is the present number of row r.
func (t *turned) rowOfA(r int) operand.Mem {
	n := len(t.as)
	if r < n {
		return operand.Mem{Base: t.as[r]}
	}
	return operand.Mem{Base: t.as[r-n], Index: t.aHigh, Scale: 1}
}

// start sets the sums to +0, or to C.
func (t *turned) start() {
	t.clear()
	t.CMPQ(t.field("load"), operand.Imm(0))
	t.JEQ(operand.LabelRef("begun"))
	t.eachC(func(r, v int, at operand.Mem) { t.VMOVUPS(at, t.acc[r][v]) })
	t.Label("begun")
}

// nextColumns goes on to the second vector of C.
func (t *turned) nextColumns() {
	step := t.load("bRow")
	t.SHLQ(operand.Imm(4), step)
	t.ADDQ(step, t.local)
	t.ADDQ(operand.Imm(uint64(t.bytes())), t.local.Offset(8))
	t.DECQ(t.local.Offset(16))
	t.JNE(operand.LabelRef("columns"))
}

// eachC calls f for every vector with its place in C.
func (t *turned) eachC(f func(r, v int, at operand.Mem)) {
	c, step := t.GP64(), t.load("cRow")
	t.MOVQ(t.local.Offset(8), c)
	for r := range t.rows {
		for v := range t.vecs {
			f(r, v, operand.Mem{Base: c, Disp: v * t.bytes()})
		}
		t.ADDQ(step, c)
	}
}

// blocks runs over k, 16 at a time: both blocks of one vector, then of the next. So
// each cache line is used up at once: of 32 rows that lie half a page apart, only a
// part has room in the first cache.
func (t *turned) blocks() {
	for _, do := range t.turning(0, 0) {
		do()
	}
	last := 2*t.vecs - 1
	t.Label("blocks")
	for i := range last {
		t.block(i, t.turning(i+1, 0))
	}
	t.SUBQ(operand.Imm(16), t.local.Offset(24))
	t.JEQ(operand.LabelRef("last"))
	t.block(last, t.turning(0, 16))
	for _, p := range slices.Concat(t.as, t.bs) {
		t.ADDQ(operand.Imm(4*16), p)
	}
	t.JMP(operand.LabelRef("blocks"))
	t.Label("last")
	t.block(last, nil)
}

// vector is the one that a block belongs to, and place its first k.
func (t *turned) vector(block int) int { return block / 2 }
func (t *turned) place(block int) int  { return block % 2 * 8 }

// block adds the products of the columns that are turned, and does what turns the
// next ones meanwhile: an instruction here and there, for the processor looks
// ahead by less than a block.
func (t *turned) block(block int, meanwhile []func()) {
	now, done := t.columns[block%2], 0
	for k := range 8 {
		b, half := t.vec(t.Context), []uint64{0x88, 0xdd}[k/4] // ks 0 to 3, 4 to 7
		t.VSHUFF64X2(operand.Imm(half), now[4+k%4], now[k%4], b)
		for r := range t.rows {
			t.VFMADD231PS_BCST(t.rowOfA(r).Offset(4*(t.place(block)+k)), b, t.acc[r][t.vector(block)])
			for upTo := len(meanwhile) * (k*t.rows + r + 1) / (8 * t.rows); done < upTo; done++ {
				meanwhile[done]()
			}
		}
	}
}

// turning lists what turns the 16 columns by 8 ks of a block, so many ks behind
// where B is. Of its eight vectors, i has columns 0 to 3 for k = i, then for
// k = i+4, and so columns 4 to 7; vector 4+i the same of columns 8 to 15. Columns i
// and i+4 meet in one register, so that only shuffles within 128 bits are left.
func (t *turned) turning(block, ks int) (list []func()) {
	do := func(f func()) { list = append(list, f) }
	for q := range 2 {
		at := func(r int) operand.Mem {
			return multiple(t.bs[2*t.vector(block)+q], t.bOdd, r).Offset(4 * (t.place(block) + ks))
		}
		var z, u [4]reg.VecVirtual
		for i := range z {
			z[i], u[i] = t.ZMM(), t.ZMM()
			do(func() { t.VBROADCASTF64X4(at(i), z[i]) })
			do(func() { t.VBROADCASTF64X4(at(i+4), t.upper, z[i]) }) // one instruction less on its way than VINSERTF64X4
		}
		pair, of, picks := t.unpack, [4]int{0, 0, 1, 1}, [4]uint64{0x44, 0xee, 0x44, 0xee}
		if t.blends() && q == 0 {
			pair, of, picks = t.blend, [4]int{0, 1, 0, 1}, [4]uint64{0x44, 0x11, 0xee, 0xbb}
		}
		for i := range 2 {
			list = append(list, pair(z[2*i], z[2*i+1], u[2*i], u[2*i+1])...)
		}
		// In the order of ks: two of these columns, then two of those.
		for k, out := range t.columns[block%2][4*q : 4*q+4] {
			do(func() { t.VSHUFPS(operand.Imm(picks[k]), u[2+of[k]], u[of[k]], out) })
		}
	}
	return list
}

// unpack pairs columns x and y: u gets ks 0 and 1 of both, v ks 2 and 3.
func (t *turned) unpack(x, y, u, v reg.VecVirtual) []func() {
	return []func(){
		func() { t.VUNPCKLPS(y, x, u) },
		func() { t.VUNPCKHPS(y, x, v) },
	}
}

// blends is whether half of the pairs are made by blend. Products have two places in
// the processor, and only one of them shuffles, 24 times for a block: it is what a
// single row waits for.
func (t *turned) blends() bool { return t.rows == 1 }

// blend pairs columns x and y without a shuffle: u gets ks 0 and 2, v ks 1 and 3 with
// y before x. It changes y.
func (t *turned) blend(x, y, u, v reg.VecVirtual) []func() {
	return []func(){
		func() { t.VPROLQ(operand.Imm(32), y, y) },
		func() { t.VBLENDMPS(y, x, t.second, u) },
		func() { t.VBLENDMPS(x, y, t.second, v) },
	}
}
