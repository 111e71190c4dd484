package main

import (
	"fmt"

	"github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// heldRows is how many rows of A are summed at once, to hide the time that one product
// takes.
const heldRows = 4

// helds writes the kernels of products of very few ks: what a vector of columns needs
// of B stays in registers while the rows of A pass by. B is read where it is, once, and
// turned on the way if it is stored transposed.
func helds(c *build.Context, s isa, f layout) {
	for _, turned := range []bool{false, true} {
		for ks := 1; ks <= s.heldK(); ks++ {
			h := &held{tile: tile{Context: c, isa: s, f: f, rows: heldRows, vecs: 1}, turned: turned, ks: ks}
			h.write()
		}
	}
}

// heldK is the most ks of such a product.
func (s isa) heldK() int { return s.lanes }

// heldTable is Go that lists the kernels.
func heldTable(s isa) string {
	text := fmt.Sprintf("\n// helds_%s lists the kernels by ks, for a B as it is and for one that is stored transposed.\nfunc helds_%[1]s() [2][]func(*tile) {\n\treturn [2][]func(*tile){\n", s.name)
	for _, kind := range []string{"held", "heldTurned"} {
		text += "\t\t{"
		for ks := 1; ks <= s.heldK(); ks++ {
			text += fmt.Sprintf("%s%d_%s, ", kind, ks, s.name)
		}
		text += "},\n"
	}
	return text + "\t}\n}\n"
}

// held writes one kernel.
type held struct {
	tile
	turned  bool
	ks      int
	columns []reg.VecVirtual  // of B, k by k
	spare   [4]reg.VecVirtual // as are the sums while B is turned
	bias    reg.VecVirtual
	more    reg.GPVirtual       // not 0: something comes after the sums
	parts   []reg.OpmaskVirtual // of a vector, that gather reads
}

func (h *held) write() {
	kind := "held"
	if h.turned {
		kind = "heldTurned"
	}
	h.t = function(h.Context, fmt.Sprintf("%s%d_%s", kind, h.ks, h.isa.name), "tile")
	for range h.ks {
		h.columns = append(h.columns, h.vec(h.Context))
	}
	for i := range h.spare {
		h.acc = append(h.acc, []reg.VecVirtual{h.vec(h.Context)})
		h.spare[i] = h.vec(h.Context)
	}
	h.av, h.bias = h.spare[:2], h.spare[2]
	h.local = h.AllocLocal(8 * len(moves))
	for _, name := range []string{"b", "c", "colBias", "panels"} {
		h.MOVQ(h.load(name), h.moving(name))
	}
	if h.turned && h.wide() {
		h.masks()
	}
	h.Label("panel")
	h.b, h.bRow = h.GP64(), h.load("bRow")
	h.MOVQ(h.moving("b"), h.b)
	if h.turned {
		h.turnB()
	} else {
		h.readB()
	}
	h.addLater()
	h.pass()
	h.advance("b", "c")
	h.DECQ(h.moving("panels"))
	h.JNE(operand.LabelRef("panel"))
	h.VZEROUPPER()
	h.RET()
}

// addLater gets the bias of the columns, if there is one.
func (h *held) addLater() {
	p := h.GP64()
	h.more = h.load("relu")
	h.MOVQ(h.moving("colBias"), p)
	h.TESTQ(p, p)
	h.JEQ(operand.LabelRef("noBias"))
	h.VMOVUPS(operand.Mem{Base: p}, h.bias)
	h.advance("colBias")
	h.ORQ(p, h.more)
	h.Label("noBias")
}

func (h *held) readB() {
	for k, v := range h.columns {
		if k > 0 {
			h.ADDQ(h.bRow, h.b)
		}
		h.VMOVUPS(operand.Mem{Base: h.b}, v)
	}
}

// turnB reads 4 ks at a time of the rows of the stored B. A register has those of row i
// in its first 128 bits, of rows i+4, i+8 and i+12 in the others, so that only shuffles
// within 128 bits are left. The last 4 ks overlap those before them.
func (h *held) turnB() {
	rows, odd := []reg.GPVirtual{h.b}, h.oddMultiples(h.bRow, 4)
	for i := 1; i < h.isa.lanes/4; i++ {
		p := h.GP64()
		h.LEAQ(operand.Mem{Base: rows[i-1], Index: h.bRow, Scale: 4}, p)
		rows = append(rows, p)
	}
	for k := 0; k < h.ks; k += 4 {
		from := max(min(k, h.ks-4), 0)
		for i, acc := range h.acc {
			h.gather(acc[0], func(q int) operand.Mem { return multiple(rows[q], odd, i).Offset(4 * from) })
		}
		pairs := h.spare
		for i := range 2 {
			x, y := h.acc[2*i][0], h.acc[2*i+1][0]
			if k-from < 2 {
				h.VUNPCKLPS(y, x, pairs[2*i])
			}
			if h.ks-from > 2 {
				h.VUNPCKHPS(y, x, pairs[2*i+1])
			}
		}
		for to := k; to < min(k+4, h.ks); to++ {
			x, y := pairs[(to-from)/2], pairs[2+(to-from)/2]
			if (to-from)%2 == 0 {
				h.VUNPCKLPD(y, x, h.columns[to])
			} else {
				h.VUNPCKHPD(y, x, h.columns[to])
			}
		}
	}
}

// gather reads 4 ks of every fourth row, or all ks if they are fewer.
func (h *held) gather(to reg.VecVirtual, row func(q int) operand.Mem) {
	few := h.ks < 4
	if few && !h.wide() {
		second, part, words := h.spare[0].AsX(), h.spare[1].AsX(), h.load("mask")
		h.VMOVUPS(operand.Mem{Base: words}, part)
		h.VMASKMOVPS(row(0), part, to.AsX())
		h.VMASKMOVPS(row(1), part, second)
		h.VINSERTF128(operand.Imm(1), second, to, to)
		return
	}
	if few {
		h.VMOVUPS_Z(row(0), h.parts[0], to.AsX())
	} else {
		h.VMOVUPS(row(0), to.AsX())
	}
	if !h.wide() {
		h.VINSERTF128(operand.Imm(1), row(1), to, to)
		return
	}
	for q, part := range h.parts[1:] {
		h.VBROADCASTF32X4(row(q+1), part, to) // one instruction less on its way than VINSERTF32X4
	}
}

// masks makes those of the quarters of a vector.
func (h *held) masks() {
	for q := range h.isa.lanes / 4 {
		r, k := h.GP32(), h.K()
		h.MOVL(operand.U32((1<<min(h.ks, 4)-1)<<(4*q)), r)
		h.KMOVW(r, k)
		h.parts = append(h.parts, k)
	}
}

// pass lets all rows of A pass by.
func (h *held) pass() {
	h.k = h.load("k")
	a, c, step := h.load("a"), h.GP64(), h.load("cRow")
	h.MOVQ(h.moving("c"), c)
	aOdd, cOdd := h.oddMultiples(h.load("aRow"), heldRows), h.oddMultiples(step, heldRows)
	some := func(label string, n int) {
		h.Label(label)
		h.sum(label, n, func(r, k int) operand.Mem { return multiple(a, aOdd, r).Offset(4 * k) },
			func(r int) operand.Mem { return multiple(c, cOdd, r) })
		h.LEAQ(operand.Mem{Base: a, Index: aOdd[1], Scale: uint8(n)}, a)
		h.LEAQ(operand.Mem{Base: c, Index: step, Scale: uint8(n)}, c)
		h.SUBQ(operand.Imm(uint64(n)), h.k)
		h.JGE(operand.LabelRef(label))
	}
	h.SUBQ(operand.Imm(heldRows), h.k)
	h.JLT(operand.LabelRef("rest"))
	some("rows", heldRows)
	h.Label("rest")
	h.ADDQ(operand.Imm(heldRows-1), h.k)
	h.JLT(operand.LabelRef("passed"))
	some("row", 1)
	h.Label("passed")
}

// sum computes n rows.
func (h *held) sum(label string, n int, a func(r, k int) operand.Mem, c func(r int) operand.Mem) {
	acc := h.acc[:n]
	for _, s := range acc {
		h.zero(h.Context, s[0])
	}
	h.CMPQ(h.field("load"), operand.Imm(0))
	h.JEQ(operand.LabelRef(label + "Begun"))
	for r, s := range acc {
		h.VMOVUPS(c(r), s[0])
	}
	h.Label(label + "Begun")
	for k, b := range h.columns {
		for r, s := range acc {
			if h.wide() {
				h.VFMADD231PS_BCST(a(r, k), b, s[0])
			} else {
				h.VBROADCASTSS(a(r, k), h.av[r%2])
				h.VFMADD231PS(h.av[r%2], b, s[0])
			}
		}
	}
	h.TESTQ(h.more, h.more)
	h.JEQ(operand.LabelRef(label + "Ended"))
	h.CMPQ(h.moving("colBias"), operand.Imm(0))
	h.JEQ(operand.LabelRef(label + "Added"))
	for _, s := range acc {
		h.VADDPS(h.bias, s[0], s[0])
	}
	h.Label(label + "Added")
	h.CMPQ(h.field("relu"), operand.Imm(0))
	h.JEQ(operand.LabelRef(label + "Ended"))
	h.zero(h.Context, h.av[0])
	for _, s := range acc {
		h.VMAXPS(s[0], h.av[0], s[0])
	}
	h.Label(label + "Ended")
	for r, s := range acc {
		h.VMOVUPS(s[0], c(r))
	}
}
