package main

import (
	"fmt"
	"math/bits"
	"slices"

	"github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// narrows writes products of rows of A and of few rows of a B that is stored
// transposed. Nothing is turned: a vector has the products of 16 ks, and what it
// sums is joined at the end.
func narrows(c *build.Context, s isa, f layout) {
	for _, rows := range []int{1, s.narrowRows()} {
		for cols := 1; cols <= s.narrowCols(); cols++ {
			n := &narrow{tile: tile{Context: c, isa: s, f: f, rows: rows}, cols: cols}
			n.write()
		}
	}
}

// narrowRows and narrowCols are the most sums that a kernel makes at once, in rows
// and columns: of AVX2 each takes two registers.
func (s isa) narrowRows() int { return s.lanes / 4 }
func (s isa) narrowCols() int { return 1 + s.lanes/4 }

// narrowTable is Go that lists the kernels.
func narrowTable(s isa) string {
	text := fmt.Sprintf("\n// narrows_%s lists the kernels by columns, for one row and for %d.\nfunc narrows_%[1]s() [2][]func(*narrow) {\n\treturn [2][]func(*narrow){\n", s.name, s.narrowRows())
	for _, rows := range []int{1, s.narrowRows()} {
		text += "\t\t{"
		for cols := 1; cols <= s.narrowCols(); cols++ {
			if cols > 1 {
				text += ", "
			}
			text += fmt.Sprintf("narrow%dx%d_%s", rows, cols, s.name)
		}
		text += "},\n"
	}
	return text + "\t}\n}\n"
}

// narrow writes one kernel.
type narrow struct {
	tile
	cols  int
	as    []reg.GPVirtual // rows of A
	bs    []reg.GPVirtual // rows of B
	at    reg.GPVirtual   // the present k, in bytes
	sums  [][][]reg.VecVirtual
	soon  []reg.GPVirtual // rows of A that come into the cache
	panel operand.Mem     // how many groups of rows are left
	c     operand.Mem     // where C is
}

func (n *narrow) write() {
	n.t = function(n.Context, fmt.Sprintf("narrow%dx%d_%s", n.rows, n.cols, n.name), "narrow")
	n.sums = make([][][]reg.VecVirtual, n.rows)
	for r := range n.sums {
		n.sums[r] = make([][]reg.VecVirtual, n.cols)
		for c := range n.cols {
			for range 16 / n.isa.lanes {
				n.sums[r][c] = append(n.sums[r][c], n.vec(n.Context))
			}
		}
	}
	n.panel = n.AllocLocal(8 * 2)
	n.c = n.panel.Offset(8)
	n.MOVQ(n.load("panels"), n.panel)
	n.MOVQ(n.load("c"), n.c)
	n.begin()
	n.at, n.soon = n.GP64(), []reg.GPVirtual{n.load("soon")}
	if n.rows > 2 {
		n.soon = append(n.soon, n.load("soon2"))
	}
	n.Label("panel")
	for _, row := range n.sums {
		for _, sum := range row {
			for _, v := range sum {
				n.zero(n.Context, v)
			}
		}
	}
	n.XORQ(n.at, n.at)
	n.CMPQ(n.at, n.field("whole"))
	n.JEQ(operand.LabelRef("tail"))
	n.Label("run")
	n.step(func(int) func(operand.Mem, reg.VecVirtual) {
		return func(m operand.Mem, v reg.VecVirtual) { n.VMOVUPS(m, v) }
	})
	// What comes next is no stream of the processor's: rows are short, and taken by twos or fours.
	for _, p := range n.soon {
		n.PREFETCHT0(operand.Mem{Base: p, Index: n.at, Scale: 1})
	}
	n.ADDQ(operand.Imm(64), n.at)
	n.CMPQ(n.at, n.field("whole"))
	n.JNE(operand.LabelRef("run"))
	n.Label("tail")
	n.tail()
	for first := 0; first < n.cols; first += 4 {
		n.finish(first, n.join(first))
	}
	n.next()
	n.VZEROUPPER()
	n.RET()
}

// begin reads where rows of A and B are.
func (n *narrow) begin() {
	n.as = []reg.GPVirtual{n.load("a")}
	step := n.load("aRow")
	for r := 1; r < n.rows; r++ {
		p := n.GP64()
		n.LEAQ(operand.Mem{Base: n.as[r-1], Index: step, Scale: 1}, p)
		n.as = append(n.as, p)
	}
	first, rows := n.load("b"), n.load("bRows")
	for c := range n.cols {
		p := n.GP64()
		n.MOVQ(operand.Mem{Base: rows, Disp: 8 * c}, p)
		n.ADDQ(first, p)
		n.bs = append(n.bs, p)
	}
}

// step adds the products of 16 ks, by halves if they take two registers. What get
// returns for a half loads one.
func (n *narrow) step(get func(half int) func(m operand.Mem, v reg.VecVirtual)) {
	for half := range 16 / n.isa.lanes {
		load := get(half)
		place := func(p reg.GPVirtual) operand.Mem {
			return operand.Mem{Base: p, Index: n.at, Scale: 1, Disp: half * n.bytes()}
		}
		a := make([]reg.VecVirtual, n.rows)
		for r := range a {
			a[r] = n.vec(n.Context)
			load(place(n.as[r]), a[r])
		}
		b := n.vec(n.Context)
		for c := range n.cols {
			load(place(n.bs[c]), b)
			for r := range a {
				n.VFMADD231PS(a[r], b, n.sums[r][c][half])
			}
		}
	}
}

// tail adds the products of the last ks, which are less than 16, as if zeros
// followed.
func (n *narrow) tail() {
	p := n.load("mask")
	n.TESTQ(p, p)
	n.JEQ(operand.LabelRef("summed"))
	n.step(func(half int) func(operand.Mem, reg.VecVirtual) {
		if half > 0 {
			p = n.load("mask2")
		}
		m := n.loadMask(n.Context, operand.Mem{Base: p})
		return func(from operand.Mem, v reg.VecVirtual) { n.loadPart(n.Context, m, from, v) }
	})
	n.Label("summed")
}

// block is how many columns there are from first on, 4 at most.
func (n *narrow) block(first int) int { return min(n.cols-first, 4) }

// join adds partial sums of up to 4 columns by halves: 16, 8, 4, 2, 1. The result
// has 128 bits for each row, and in them a float32 for each column.
func (n *narrow) join(first int) reg.VecVirtual {
	quarters := make([]reg.VecVirtual, n.block(first)) // 4 partial sums for each row
	for c := range quarters {
		sum := func(r int) []reg.VecVirtual { return n.sums[r%n.rows][first+c] }
		if n.wide() {
			low, high := n.fold(n.blocks, 0x44, 0xee, sum(0)[0], sum(1)[0]), n.fold(n.blocks, 0x44, 0xee, sum(2)[0], sum(3)[0])
			quarters[c] = n.fold(n.blocks, 0x88, 0xdd, low, high)
			continue
		}
		for r := range n.rows {
			n.VADDPS(sum(r)[1], sum(r)[0], sum(r)[0])
		}
		quarters[c] = n.fold(n.blocks, 0x20, 0x31, sum(0)[0], sum(1)[0])
	}
	col := func(c int) reg.VecVirtual { return quarters[min(c, len(quarters)-1)] }
	pairs := []reg.VecVirtual{n.fold(n.floats, 0x44, 0xee, col(0), col(1))}
	pairs = append(pairs, pairs[0])
	if len(quarters) > 2 {
		pairs[1] = n.fold(n.floats, 0x44, 0xee, col(2), col(3))
	}
	return n.fold(n.floats, 0x88, 0xdd, pairs[0], pairs[1])
}

// fold adds what two shuffles choose of x and y.
func (n *narrow) fold(shuffle func(choice uint64, x, y, to reg.VecVirtual), first, second uint64, x, y reg.VecVirtual) reg.VecVirtual {
	a, b := n.vec(n.Context), n.vec(n.Context)
	shuffle(first, x, y, a)
	shuffle(second, x, y, b)
	n.VADDPS(b, a, a)
	return a
}

// blocks chooses blocks of 128 bits of x, and then of y.
func (n *narrow) blocks(choice uint64, x, y, to reg.VecVirtual) {
	if n.wide() {
		n.VSHUFF32X4(operand.Imm(choice), y, x, to)
	} else {
		n.VPERM2F128(operand.Imm(choice), y, x, to)
	}
}

// floats does so within each block.
func (n *narrow) floats(choice uint64, x, y, to reg.VecVirtual) {
	n.VSHUFPS(operand.Imm(choice), y, x, to)
}

// finish adds C and the bias, applies max(0, x), and stores up to 4 columns of each
// row.
func (n *narrow) finish(first int, sums reg.VecVirtual) {
	rows := []operand.Op{sums.AsX()}
	for r := 1; r < n.rows; r++ {
		x := n.XMM()
		if n.wide() {
			n.VEXTRACTF32X4(operand.Imm(uint64(r)), sums, x)
		} else {
			n.VEXTRACTF128(operand.Imm(uint64(r)), sums, x)
		}
		rows = append(rows, x)
	}
	name := func(s string) string { return fmt.Sprintf("%s%d", s, first) }
	eachC := func(f func(x operand.Op, at operand.Mem)) {
		c, step := n.GP64(), n.load("cRow")
		n.MOVQ(n.c, c)
		for _, x := range rows {
			f(x, operand.Mem{Base: c, Disp: 4 * first})
			n.ADDQ(step, c)
		}
	}
	other := n.XMM()
	n.CMPQ(n.field("load"), operand.Imm(0))
	n.JEQ(operand.LabelRef(name("begun")))
	eachC(func(x operand.Op, at operand.Mem) {
		n.get(n.block(first), at, other)
		n.VADDPS(x, other, x)
	})
	n.Label(name("begun"))
	bias := n.load("bias")
	n.TESTQ(bias, bias)
	n.JEQ(operand.LabelRef(name("unbiased")))
	n.get(n.block(first), operand.Mem{Base: bias, Disp: 4 * first}, other)
	for _, x := range rows {
		n.VADDPS(other, x, x)
	}
	n.Label(name("unbiased"))
	n.CMPQ(n.field("relu"), operand.Imm(0))
	n.JEQ(operand.LabelRef(name("rectified")))
	n.VXORPS(other, other, other)
	for _, x := range rows {
		n.VMAXPS(x, other, x)
	}
	n.Label(name("rectified"))
	eachC(func(x operand.Op, at operand.Mem) { n.put(n.block(first), x, at) })
}

// get loads so many columns of a row, 4 at most.
func (n *narrow) get(cols int, from operand.Mem, to operand.Op) {
	switch cols {
	case 1:
		n.VMOVSS(from, to)
	case 2, 3:
		n.VMOVSD(from, to)
	default:
		n.VMOVUPS(from, to)
	}
	if cols == 3 {
		n.VINSERTPS(operand.Imm(0x20), from.Offset(8), to, to)
	}
}

// put stores them.
func (n *narrow) put(cols int, from operand.Op, to operand.Mem) {
	switch cols {
	case 1:
		n.VMOVSS(from, to)
	case 2, 3:
		n.VMOVLPS(from, to)
	default:
		n.VMOVUPS(from, to)
	}
	if cols == 3 {
		n.VEXTRACTPS(operand.Imm(2), from, to.Offset(8))
	}
}

// next goes on to the next rows while there are panels.
func (n *narrow) next() {
	rows := func(name string) reg.GPVirtual {
		step := n.load(name)
		n.SHLQ(operand.Imm(uint64(bits.TrailingZeros(uint(n.rows)))), step)
		return step
	}
	n.ADDQ(rows("cRow"), n.c)
	step := rows("aRow")
	for _, p := range slices.Concat(n.as, n.soon) {
		n.ADDQ(step, p)
	}
	n.DECQ(n.panel)
	n.JNE(operand.LabelRef("panel"))
}
