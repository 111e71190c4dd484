package main

import (
	"slices"

	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// block is what 128 bits of a joined vector have: up to 4 columns of a row.
type block struct{ row, first, cols int }

// vectors are the blocks of each joined vector.
func (n *narrow) vectors() [][]block {
	var all []block
	for first := 0; first < n.cols; first += 4 {
		for r := range n.rows {
			all = append(all, block{r, first, min(n.cols-first, 4)})
		}
	}
	return slices.Collect(slices.Chunk(all, n.isa.lanes/4))
}

// join adds partial sums of blocks by halves: 16, 8, 4, 2, 1.
func (n *narrow) join(blocks []block) reg.VecVirtual {
	var quarters [4]reg.VecVirtual // 4 partial sums for each block
	for c := range quarters {
		sum := func(i int) reg.VecVirtual {
			if i >= len(blocks) || c >= blocks[i].cols {
				return nil
			}
			v := n.sums[blocks[i].row][blocks[i].first+c]
			if !n.wide() {
				n.VADDPS(v[1], v[0], v[0])
			}
			return v[0]
		}
		if n.wide() {
			low, high := n.fold(n.blocks, 0x44, 0xee, sum(0), sum(1)), n.fold(n.blocks, 0x44, 0xee, sum(2), sum(3))
			quarters[c] = n.fold(n.blocks, 0x88, 0xdd, low, high)
		} else {
			quarters[c] = n.fold(n.blocks, 0x20, 0x31, sum(0), sum(1))
		}
	}
	low, high := n.fold(n.floats, 0x44, 0xee, quarters[0], quarters[1]), n.fold(n.floats, 0x44, 0xee, quarters[2], quarters[3])
	return n.fold(n.floats, 0x88, 0xdd, low, high)
}

// fold adds what two shuffles choose of x and y. Either may be missing, and so is the
// result if both are.
func (n *narrow) fold(shuffle func(choice uint64, x, y, to reg.VecVirtual), first, second uint64, x, y reg.VecVirtual) reg.VecVirtual {
	if x == nil {
		x = y
	}
	if y == nil {
		y = x
	}
	if x == nil {
		return nil
	}
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

// finish adds C and the bias to blocks, applies max(0, x), and stores.
func (n *narrow) finish(name string, blocks []block, sums reg.VecVirtual) {
	x := []operand.Op{sums.AsX()}
	for i := 1; i < len(blocks); i++ {
		x = append(x, n.XMM())
		if n.wide() {
			n.VEXTRACTF32X4(operand.Imm(uint64(i)), sums, x[i])
		} else {
			n.VEXTRACTF128(operand.Imm(uint64(i)), sums, x[i])
		}
	}
	other := n.XMM()
	n.CMPQ(n.field("load"), operand.Imm(0))
	n.JEQ(operand.LabelRef("begun" + name))
	n.eachC(blocks, func(i int, at operand.Mem) {
		n.get(blocks[i].cols, at, other)
		n.VADDPS(x[i], other, x[i])
	})
	n.Label("begun" + name)
	bias := n.load("bias")
	n.TESTQ(bias, bias)
	n.JEQ(operand.LabelRef("unbiased" + name))
	for i, b := range blocks {
		n.get(b.cols, operand.Mem{Base: bias, Disp: 4 * b.first}, other)
		n.VADDPS(other, x[i], x[i])
	}
	n.Label("unbiased" + name)
	n.CMPQ(n.field("relu"), operand.Imm(0))
	n.JEQ(operand.LabelRef("rectified" + name))
	n.VXORPS(other, other, other)
	for i := range blocks {
		n.VMAXPS(x[i], other, x[i])
	}
	n.Label("rectified" + name)
	n.eachC(blocks, func(i int, at operand.Mem) { n.put(blocks[i].cols, x[i], at) })
}

// eachC calls f for every block with its place in C.
func (n *narrow) eachC(blocks []block, f func(i int, at operand.Mem)) {
	c := n.GP64()
	n.MOVQ(n.c, c)
	odd := n.oddMultiples(n.load("cRow"), n.rows)
	for i, b := range blocks {
		f(i, multiple(c, odd, b.row).Offset(4*b.first))
	}
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
