package main

import (
	"fmt"

	"github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// wides writes the kernels of the matrix product that read B where it is. Its rows
// lie far apart, so that the processor does not see the next ones coming: tiles are
// wide, few rows high, and ask for what they need themselves.
func wides(c *build.Context, s isa, f layout) {
	for rows := 1; rows <= len(s.wideVecs()); rows++ {
		for _, vecs := range s.wideVecs()[rows-1] {
			w := &wide{tile{Context: c, isa: s, f: f, rows: rows, vecs: vecs, whole: true}}
			w.write()
		}
	}
}

// wideVecs is how many vectors there are in tiles of 1, 2, 3, … rows: about as many
// sums as there are registers for, and at least the eight that hide the time one
// product takes.
func (s isa) wideVecs() [][]int {
	if s.wide() {
		return [][]int{{8, 4}, {8, 4}, {8, 4}, {4}, {4}, {4}, {3}, {3}}
	}
	return [][]int{{8, 4}, {4}, {4}, {3}, {2}, {2}}
}

// wideTable is Go that lists the kernels.
func wideTable(s isa) string {
	text := fmt.Sprintf("\n// wides_%s lists the kernels by rows.\nfunc wides_%[1]s() [][]wideTile {\n\treturn [][]wideTile{\n", s.name)
	for r, all := range s.wideVecs() {
		text += "\t\t{"
		for _, vecs := range all {
			text += fmt.Sprintf("{%[2]d, wide%[1]dx%[2]d_%[3]s}, ", r+1, vecs, s.name)
		}
		text += "},\n"
	}
	return text + "\t}\n}\n"
}

// wide writes one kernel, a tile without a copy of B.
type wide struct{ tile }

// soonRows is how many ks ahead a row of B is asked for. One row of A is bound by
// what it reads: asking takes the place of reading.
const soonRows = 8

func (w *wide) write() {
	w.t = function(w.Context, fmt.Sprintf("wide%dx%d_%s", w.rows, w.vecs, w.name), "tile")
	for range w.rows {
		w.acc = append(w.acc, w.vectors(w.vecs))
	}
	w.av, w.bv = w.vectors(2), w.vectors(w.vecs)
	if w.low() {
		w.av, w.bv = w.vectors(w.rows), w.vectors(1)
	}
	w.local = w.AllocLocal(8 * len(moves))
	for _, name := range []string{"a", "b", "c", "rowBias", "colBias", "panels"} {
		w.MOVQ(w.load(name), w.moving(name))
	}
	w.Label("panel")
	w.a, w.b = w.GP64(), w.GP64()
	w.MOVQ(w.moving("a"), w.a)
	w.MOVQ(w.moving("b"), w.b)
	w.begin()
	w.sum()
	w.finish()
	w.next()
	w.VZEROUPPER()
	w.RET()
}

func (w *wide) vectors(n int) (all []reg.VecVirtual) {
	for range n {
		all = append(all, w.vec(w.Context))
	}
	return all
}

// low is whether a row of A is kept in registers, and not one of B.
func (w *wide) low() bool { return w.rows <= 3 }

// sum runs over k.
func (w *wide) sum() {
	w.a, w.bRow, w.bRow3 = w.rowsOfA(w.a), w.load("bRow"), w.GP64()
	w.LEAQ(operand.Mem{Base: w.bRow, Index: w.bRow, Scale: 2}, w.bRow3)
	w.soon = w.GP64()
	w.LEAQ(operand.Mem{Base: w.b, Index: w.bRow, Scale: soonRows}, w.soon)
	w.k = w.load("k")
	w.SUBQ(operand.Imm(stepsOut), w.k)
	w.JLT(operand.LabelRef("rest"))
	w.CMPQ(w.field("aCol"), operand.Imm(4))
	w.JNE(operand.LabelRef("rest"))
	w.Label("steps")
	for i := range stepsOut {
		w.step(i, stepsOut)
	}
	w.SUBQ(operand.Imm(stepsOut), w.k)
	w.JGE(operand.LabelRef("steps"))
	w.Label("rest")
	w.ADDQ(operand.Imm(stepsOut), w.k)
	w.JEQ(operand.LabelRef("summed"))
	w.Label("one")
	w.step(0, 1)
	w.DECQ(w.k)
	w.JNE(operand.LabelRef("one"))
	w.Label("summed")
}

// step does the i-th of n ks that are written out.
func (w *wide) step(i, n int) {
	b := func(base reg.GPVirtual, v int) operand.Mem {
		m := w.rowOfB(i, v)
		m.Base = base
		return m
	}
	for at := 0; at < w.vecs*w.bytes() && w.rows > 1; at += 64 {
		w.PREFETCHT0(b(w.soon, 0).Offset(at))
	}
	if w.low() {
		for r, av := range w.av {
			w.VBROADCASTSS(w.rowOfA(r).Offset(4*i), av)
		}
		for v := range w.vecs {
			w.VMOVUPS(b(w.b, v), w.bv[0])
			for r, av := range w.av {
				w.VFMADD231PS(w.bv[0], av, w.acc[r][v])
			}
		}
	} else {
		for v, bv := range w.bv {
			w.VMOVUPS(b(w.b, v), bv)
		}
		for r := range w.rows {
			av := w.av[r%2]
			w.VBROADCASTSS(w.rowOfA(r).Offset(4*i), av)
			for v, bv := range w.bv {
				w.VFMADD231PS(bv, av, w.acc[r][v])
			}
		}
	}
	if i == n-1 {
		w.nextK(n)
		w.LEAQ(operand.Mem{Base: w.soon, Index: w.bRow, Scale: uint8(n)}, w.soon)
	}
}
