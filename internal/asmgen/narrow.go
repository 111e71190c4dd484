package main

import (
	"fmt"
	"strconv"

	"github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// narrows writes products of rows of A and of few rows of a B that is stored
// transposed. Nothing is turned: a vector has the products of 16 ks, and what it
// sums is joined at the end.
func narrows(c *build.Context, s isa, f layout) {
	for r, most := range s.narrowCols() {
		for cols := range most {
			n := &narrow{tile: tile{Context: c, isa: s, f: f, rows: r + 1}, cols: cols + 1}
			n.write()
		}
	}
}

// narrowCols is the most columns of kernels for one row, two, and so on: as many sums
// as there are registers for, of which each takes two of AVX2.
func (s isa) narrowCols() []int {
	if s.wide() {
		return []int{6, 6, 6, 6}
	}
	return []int{6, 3}
}

// narrowTable is Go that lists the kernels.
func narrowTable(s isa) string {
	text := fmt.Sprintf("\n// narrows_%s lists the kernels by rows and columns.\nfunc narrows_%[1]s() [][]func(*narrow) {\n\treturn [][]func(*narrow){\n", s.name)
	for r, most := range s.narrowCols() {
		text += "\t\t{"
		for cols := range most {
			if cols > 0 {
				text += ", "
			}
			text += fmt.Sprintf("narrow%dx%d_%s", r+1, cols+1, s.name)
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
	soon  reg.GPVirtual   // and what comes into the cache meanwhile
	sums  [][][]reg.VecVirtual
	panel operand.Mem // how many groups of rows are left
	c     operand.Mem // where C is
}

func (n *narrow) write() {
	n.t = function(n.Context, fmt.Sprintf("narrow%dx%d_%s", n.rows, n.cols, n.name), "narrow")
	n.panel = n.AllocLocal(8 * 2)
	n.c = n.panel.Offset(8)
	n.MOVQ(n.load("panels"), n.panel)
	n.MOVQ(n.load("c"), n.c)
	n.begin()
	n.at, n.soon = n.GP64(), n.GP64()
	n.Label("panel")
	n.clear()
	n.XORQ(n.at, n.at)
	n.CMPQ(n.at, n.field("whole"))
	n.JEQ(operand.LabelRef("tail"))
	n.MOVQ(n.field("soon"), n.soon)
	n.Label("run")
	n.step(func(int) func(operand.Mem, reg.VecVirtual) {
		return func(m operand.Mem, v reg.VecVirtual) { n.VMOVUPS(m, v) }
	})
	// What comes next is no stream of the processor's: rows are short, and taken by twos or fours.
	for _, p := range n.as[:(n.rows+1)/2] {
		n.PREFETCHT0(operand.Mem{Base: p, Index: n.soon, Scale: 1})
	}
	n.ADDQ(operand.Imm(64), n.at)
	n.ADDQ(operand.Imm(64), n.soon)
	n.CMPQ(n.at, n.field("whole"))
	n.JNE(operand.LabelRef("run"))
	n.Label("tail")
	n.tail()
	for i, blocks := range n.vectors() {
		n.finish(strconv.Itoa(i), blocks, n.join(blocks))
	}
	n.next()
	n.VZEROUPPER()
	n.RET()
}

// clear sets the sums to +0.
func (n *narrow) clear() {
	n.sums = make([][][]reg.VecVirtual, n.rows)
	for r := range n.sums {
		n.sums[r] = make([][]reg.VecVirtual, n.cols)
		for c := range n.cols {
			for range 16 / n.isa.lanes {
				v := n.vec(n.Context)
				n.zero(n.Context, v)
				n.sums[r][c] = append(n.sums[r][c], v)
			}
		}
	}
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

// next goes on to the next rows while there are panels.
func (n *narrow) next() {
	rows := func(name string) reg.GPVirtual {
		step := n.load(name)
		if n.rows == 3 { // a multiplication takes so long that it shows
			n.LEAQ(operand.Mem{Base: step, Index: step, Scale: 2}, step)
		} else {
			n.SHLQ(operand.Imm(uint64(n.rows/2)), step)
		}
		return step
	}
	n.ADDQ(rows("cRow"), n.c)
	step := rows("aRow")
	for _, p := range n.as {
		n.ADDQ(step, p)
	}
	n.DECQ(n.panel)
	n.JNE(operand.LabelRef("panel"))
}
