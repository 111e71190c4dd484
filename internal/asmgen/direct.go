package main

import (
	"fmt"

	"github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// directShape is how many vectors of a line, and lines, the sums of a tile cover.
type directShape struct{ per, lines int }

// directShapes lists the shapes of tiles of so many rows, by vectors of a line.
// They have at least eight sums, which hide the time that one takes.
func directShapes(rows int) []directShape {
	switch {
	case rows == 1:
		return []directShape{{1, 8}, {2, 4}, {4, 2}}
	case rows <= 3:
		return []directShape{{1, 4}, {2, 2}, {4, 1}}
	}
	return []directShape{{1, 2}, {2, 1}}
}

func (s directShape) name(rows int) string {
	return fmt.Sprintf("direct%dx%dx%d", rows, s.lines, s.per)
}

// directs writes the inner kernels of a convolution that reads its image where it
// is: row k of B begins at b + offsets[k], and the columns are lines.
func directs(c *build.Context, s isa, f layout) {
	for rows := 1; rows <= s.rows; rows++ {
		for _, shape := range directShapes(rows) {
			d := &direct{tile: tile{Context: c, isa: s, f: f, rows: rows, vecs: shape.per}, shape: shape}
			d.write()
		}
	}
}

// directTable is Go that lists the kernels.
func directTable(s isa) string {
	text := fmt.Sprintf("\n// directs_%s lists the kernels by rows and by vectors of a line: 1, 2, 4.\nfunc directs_%[1]s() [][]func(*tile) {\n\treturn [][]func(*tile){\n", s.name)
	for rows := 1; rows <= s.rows; rows++ {
		text += "\t\t{"
		for i, shape := range directShapes(rows) {
			if i > 0 {
				text += ", "
			}
			text += shape.name(rows) + "_" + s.name
		}
		text += "},\n"
	}
	return text + "\t}\n}\n"
}

// direct writes one kernel. vecs of its tile counts the vectors of one line; the
// sums of a row are those of its lines, one after the other.
type direct struct {
	tile
	shape   directShape
	bs      []reg.GPVirtual // lines of B
	offsets reg.GPVirtual
	soon    soon
}

func (d *direct) write() {
	d.t = function(d.Context, d.shape.name(d.rows)+"_"+d.name, "tile")
	d.acc = make([][]reg.VecVirtual, d.rows)
	for r := range d.acc {
		for range d.shape.per * d.shape.lines {
			d.acc[r] = append(d.acc[r], d.vec(d.Context))
		}
	}
	d.local = d.AllocLocal(8 * len(directMoves))
	for i, name := range directMoves {
		d.MOVQ(d.load(name), d.local.Offset(8*i))
	}
	d.soon = soonOf(&d.tile, tapSteps)
	d.Label("lines")
	d.bs = d.linesOf("b", "bLine")
	d.a = d.rowsOfA(d.load("a"))
	d.offsets, d.k = d.load("offsets"), d.load("k")
	d.clear()
	d.loop("k", tapSteps, d.step)
	d.finish()
	step := d.GP64()
	for i, name := range []string{"bLine", "cLine"} {
		d.MOVQ(d.field(name), step)
		d.IMUL3Q(operand.Imm(uint64(d.shape.lines)), step, step)
		d.ADDQ(step, d.local.Offset(8*i))
	}
	d.SUBQ(operand.Imm(uint64(d.shape.lines)), d.local.Offset(16))
	d.JGT(operand.LabelRef("lines"))
	d.VZEROUPPER()
	d.RET()
}

// directMoves are the fields that a kernel copies to its frame and changes there.
var directMoves = []string{"b", "c", "lines"}

// linesOf returns where the lines of b or c begin. Lines that do not exist are
// the last one.
func (d *direct) linesOf(name, step string) []reg.GPVirtual {
	at := d.local
	if name == "c" {
		at = d.local.Offset(8)
	}
	all := []reg.GPVirtual{d.GP64()}
	d.MOVQ(at, all[0])
	if d.shape.lines == 1 {
		return all
	}
	by, none := d.load(step), d.GP64()
	d.XORQ(none, none)
	for l := 1; l < d.shape.lines; l++ {
		d.CMPQ(d.local.Offset(16), operand.Imm(uint64(l)))
		d.CMOVQLE(none, by)
		p := d.GP64()
		d.LEAQ(operand.Mem{Base: all[l-1], Index: by, Scale: 1}, p)
		all = append(all, p)
	}
	return all
}

// step does one k. Few rows keep their numbers of A in registers, and take the
// vectors of B one by one; many do it the other way round.
func (d *direct) step() {
	i := d.soon.next()
	at := d.GP64()
	d.MOVLQSX(operand.Mem{Base: d.offsets, Disp: 4 * i}, at)
	a := func(r int) operand.Mem {
		m := d.rowOfA(r)
		m.Disp = 4 * i
		return m
	}
	b := func(v int) operand.Mem {
		return operand.Mem{Base: d.bs[v/d.shape.per], Index: at, Scale: 1, Disp: v % d.shape.per * d.bytes()}
	}
	if d.rows > 3 {
		d.manyRows(a, b)
	} else {
		d.fewRows(a, b)
	}
	d.soon.ask(d.Context)
	if n := d.soon.done(); n > 0 {
		d.ADDQ(operand.I32(4*n), d.offsets)
		d.ADDQ(operand.I32(4*n), d.a)
	}
}

func (d *direct) manyRows(a, b func(int) operand.Mem) {
	var bv [16]reg.VecVirtual
	for i := range d.acc[0] {
		bv[i] = d.vec(d.Context)
		d.VMOVUPS(b(i), bv[i])
	}
	for r := range d.rows {
		x := d.vec(d.Context)
		d.VBROADCASTSS(a(r), x)
		for i := range d.acc[r] {
			d.VFMADD231PS(bv[i], x, d.acc[r][i])
		}
	}
}

func (d *direct) fewRows(a, b func(int) operand.Mem) {
	var av [3]reg.VecVirtual
	for r := range d.rows {
		av[r] = d.vec(d.Context)
		d.VBROADCASTSS(a(r), av[r])
	}
	for i := range d.acc[0] {
		if d.rows == 1 {
			d.VFMADD231PS(b(i), av[0], d.acc[0][i])
			continue
		}
		v := d.vec(d.Context)
		d.VMOVUPS(b(i), v)
		for r := range d.rows {
			d.VFMADD231PS(v, av[r], d.acc[r][i])
		}
	}
}

// finish adds the bias, applies max(0, x) and stores. It asks for the place of the
// next tile, whose stores then need not wait.
func (d *direct) finish() {
	x, p := d.vec(d.Context), d.load("rowBias")
	d.TESTQ(p, p)
	d.JEQ(operand.LabelRef("noRowBias"))
	for r, row := range d.acc {
		d.VBROADCASTSS(operand.Mem{Base: p, Disp: 4 * r}, x)
		for _, v := range row {
			d.VADDPS(x, v, v)
		}
	}
	d.Label("noRowBias")
	d.rectify(x)
	cs, step, line := d.linesOf("c", "cLine"), d.load("cRow"), d.load("cLine")
	d.parts("store", func(last *mask) {
		for l, c := range cs {
			at := d.GP64()
			d.MOVQ(c, at)
			for r := range d.rows {
				for v := range d.vecs {
					if v*d.bytes()%64 == 0 {
						d.PREFETCHT0(operand.Mem{Base: at, Index: line, Scale: uint8(d.shape.lines), Disp: v * d.bytes()})
					}
					d.put(last, v, d.acc[r][l*d.vecs+v], operand.Mem{Base: at, Disp: v * d.bytes()})
				}
				if r < d.rows-1 {
					d.ADDQ(step, at)
				}
			}
		}
	})
}
