package main

import (
	"fmt"
	"slices"

	"github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// tiles writes the inner kernels of the matrix product: for each number of rows
// and of vectors, one that stores floats and one that adds integers for lanes.
func tiles(c *build.Context, s isa, f layout) {
	for rows := 1; rows <= s.rows; rows++ {
		for vecs := 1; vecs <= 2; vecs++ {
			for _, lanes := range []bool{false, true} {
				t := &tile{Context: c, isa: s, f: f, rows: rows, vecs: vecs, lanes: lanes}
				t.write()
			}
		}
	}
}

// tileTable is Go that lists the kernels.
func tileTable(s isa) string {
	text := fmt.Sprintf("\n// tiles_%s lists the kernels by vectors and rows.\nfunc tiles_%[1]s() (tiles, lanes [2][]func(*tile)) {\n", s.name)
	for _, kind := range []string{"tile", "lane"} {
		text += fmt.Sprintf("\t%ss = [2][]func(*tile){\n", kind)
		for vecs := 1; vecs <= 2; vecs++ {
			text += "\t\t{"
			for rows := 1; rows <= s.rows; rows++ {
				if rows > 1 {
					text += ", "
				}
				text += fmt.Sprintf("%s%dx%d_%s", kind, rows, vecs, s.name)
			}
			text += "},\n"
		}
		text += "\t}\n"
	}
	return text + "\treturn tiles, lanes\n}\n"
}

// tile writes one kernel. All its sums stay in registers while k runs:
//
//	acc[r][v] += a[r] * b[v]        r < rows, v < vecs
//
// Rows of A are reached from one pointer.
type tile struct {
	*build.Context
	isa
	f          layout
	rows, vecs int
	lanes      bool
	whole      bool // all vectors are

	t      reg.GPVirtual
	a      reg.GPVirtual
	odd    map[int]reg.GPVirtual // multiples of aRow
	b      reg.GPVirtual
	bRow   reg.GPVirtual
	bRow3  reg.GPVirtual
	k      reg.GPVirtual
	soon   reg.GPVirtual // what the cache is asked for next
	left   reg.GPVirtual // how often ks are written out before something else is asked for
	local  operand.Mem   // what changes from panel to panel: see moves
	acc    [][]reg.VecVirtual
	bv, av []reg.VecVirtual
}

func (t *tile) field(name string) operand.Mem {
	at, ok := t.f[name]
	if !ok {
		panic("tile has no field " + name)
	}
	return operand.Mem{Base: t.t, Disp: at}
}

func (t *tile) load(name string) reg.GPVirtual {
	r := t.GP64()
	t.MOVQ(t.field(name), r)
	return r
}

// moves are the fields that a kernel copies to its frame and changes there.
// lanes becomes the end of the sizes of the lanes.
var moves = []string{"a", "b", "c", "rowBias", "colBias", "panels", "lanes", "laneMax", "aheadSoon", "aheadLeft"}

// own is what else it keeps in its frame: ks that are left, what of the next tile
// of C is still to be asked for, and how far apart what is asked for lies.
var own = []string{"k", "cSoon", "cLeft", "soonStep"}

func (t *tile) moving(name string) operand.Mem {
	return t.local.Offset(8 * slices.Index(slices.Concat(moves, own), name))
}

func (t *tile) write() {
	kind := "tile"
	if t.lanes {
		kind = "lane"
	}
	t.t = function(t.Context, fmt.Sprintf("%s%dx%d_%s", kind, t.rows, t.vecs, t.name), "tile")
	t.acc = make([][]reg.VecVirtual, t.rows)
	for r := range t.acc {
		for range t.vecs {
			t.acc[r] = append(t.acc[r], t.vec(t.Context))
		}
	}
	for range t.vecs {
		t.bv = append(t.bv, t.vec(t.Context))
	}
	t.av = []reg.VecVirtual{t.vec(t.Context), t.vec(t.Context)}

	t.local = t.AllocLocal(8 * (len(moves) + len(own)))
	for _, name := range moves {
		t.MOVQ(t.load(name), t.moving(name))
	}
	t.Label("panel")
	t.a, t.b = t.GP64(), t.GP64()
	t.MOVQ(t.moving("a"), t.a)
	t.MOVQ(t.moving("b"), t.b)
	t.askForC()
	if t.lanes {
		t.laneLoop()
	} else {
		t.begin()
		t.MOVQ(t.load("k"), t.moving("k"))
		t.sum()
		t.finish()
	}
	t.next()
	t.VZEROUPPER()
	t.RET()
}

// next goes on to the next rows of A or columns of B, and to C, while there are panels.
func (t *tile) next() {
	t.advance("a", "b", "c")
	t.DECQ(t.moving("panels"))
	t.JNE(operand.LabelRef("panel"))
}

// advance moves pointers to the next panel.
func (t *tile) advance(names ...string) {
	step := t.GP64()
	for _, p := range names {
		t.MOVQ(t.field(p+"Next"), step)
		t.ADDQ(step, t.moving(p))
	}
}

// rowsOfA gets ready to reach rows of A from the first one.
func (t *tile) rowsOfA(first reg.GPVirtual) reg.GPVirtual {
	t.odd = t.oddMultiples(t.load("aRow"), t.rows)
	return first
}

// oddMultiples are those of the distance of rows that so many rows need.
func (t *tile) oddMultiples(step reg.GPVirtual, rows int) map[int]reg.GPVirtual {
	odd := map[int]reg.GPVirtual{1: step}
	for i := 3; i < rows; i += 2 {
		odd[i] = t.GP64()
		t.LEAQ(operand.Mem{Base: odd[i-2], Index: step, Scale: 2}, odd[i])
	}
	return odd
}

// multiple is row r from first on: an odd multiple, which addresses can take 1,
// 2, 4 or 8 times.
func multiple(first reg.GPVirtual, odd map[int]reg.GPVirtual, r int) operand.Mem {
	m := operand.Mem{Base: first}
	if r > 0 {
		m.Index, m.Scale = odd[r/(r&-r)], uint8(r&-r)
	}
	return m
}

// rowOfA is the present number of row r.
func (t *tile) rowOfA(r int) operand.Mem { return multiple(t.a, t.odd, r) }

// loop runs over k, so many steps at a time.
func (t *tile) loop(name string, steps int, step func()) {
	t.SUBQ(operand.Imm(uint64(steps)), t.k)
	t.JLT(operand.LabelRef(name + "Rest"))
	t.Label(name + "Steps")
	for range steps {
		step()
	}
	t.SUBQ(operand.Imm(uint64(steps)), t.k)
	t.JGE(operand.LabelRef(name + "Steps"))
	t.Label(name + "Rest")
	t.ADDQ(operand.Imm(uint64(steps)), t.k)
	t.JEQ(operand.LabelRef(name + "Done"))
	t.Label(name + "One")
	step()
	t.DECQ(t.k)
	t.JNE(operand.LabelRef(name + "One"))
	t.Label(name + "Done")
}

// eachC calls f for every vector of the tile with its place in C.
func (t *tile) eachC(f func(r, v int, at operand.Mem)) {
	c, step := t.GP64(), t.load("cRow")
	t.MOVQ(t.moving("c"), c)
	for r := range t.rows {
		for v := range t.vecs {
			f(r, v, operand.Mem{Base: c, Disp: v * t.bytes()})
		}
		if r < t.rows-1 {
			t.ADDQ(step, c)
		}
	}
}

// parts writes f twice: for tiles whose last vector is whole, and for those
// where only the elements of a mask exist. last is nil for whole vectors.
func (t *tile) parts(name string, f func(last *mask)) {
	if t.whole {
		f(nil)
		return
	}
	p := t.load("mask")
	t.TESTQ(p, p)
	t.JNE(operand.LabelRef(name + "Part"))
	f(nil)
	t.JMP(operand.LabelRef(name + "End"))
	t.Label(name + "Part")
	m := t.loadMask(t.Context, operand.Mem{Base: p})
	f(&m)
	t.Label(name + "End")
}

func (t *tile) get(last *mask, v int, from operand.Mem, to reg.VecVirtual) {
	if last != nil && v == t.vecs-1 {
		t.loadPart(t.Context, *last, from, to)
	} else {
		t.VMOVUPS(from, to)
	}
}

func (t *tile) put(last *mask, v int, from reg.VecVirtual, to operand.Mem) {
	if last != nil && v == t.vecs-1 {
		t.storePart(t.Context, *last, from, to)
	} else {
		t.VMOVUPS(from, to)
	}
}

func (t *tile) clear() {
	for _, row := range t.acc {
		for _, v := range row {
			t.zero(t.Context, v)
		}
	}
}

// begin sets the sums to +0, or to C.
func (t *tile) begin() {
	t.clear()
	t.CMPQ(t.field("load"), operand.Imm(0))
	t.JEQ(operand.LabelRef("begun"))
	t.parts("load", func(last *mask) {
		t.eachC(func(r, v int, at operand.Mem) { t.get(last, v, at, t.acc[r][v]) })
	})
	t.Label("begun")
}

// finish adds the bias of columns or of rows, applies max(0, x), and stores.
func (t *tile) finish() {
	p := t.GP64()
	t.MOVQ(t.moving("colBias"), p)
	t.TESTQ(p, p)
	t.JEQ(operand.LabelRef("noColBias"))
	t.parts("colBias", func(last *mask) {
		for v := range t.vecs {
			bias := t.bv[v%len(t.bv)]
			t.get(last, v, operand.Mem{Base: p, Disp: v * t.bytes()}, bias)
			for r := range t.rows {
				t.VADDPS(bias, t.acc[r][v], t.acc[r][v])
			}
		}
	})
	t.advance("colBias")
	t.Label("noColBias")
	t.rowBias()
	t.rectify(t.av[0])
	t.parts("store", func(last *mask) {
		t.eachC(func(r, v int, at operand.Mem) { t.put(last, v, t.acc[r][v], at) })
	})
}

// rectify applies max(0, x) if it is asked for.
func (t *tile) rectify(zero reg.VecVirtual) {
	t.CMPQ(t.field("relu"), operand.Imm(0))
	t.JEQ(operand.LabelRef("rectified"))
	t.zero(t.Context, zero)
	for _, row := range t.acc {
		for _, v := range row {
			t.VMAXPS(v, zero, v)
		}
	}
	t.Label("rectified")
}

// rowBias adds one number to each row.
func (t *tile) rowBias() {
	p := t.GP64()
	t.MOVQ(t.moving("rowBias"), p)
	t.TESTQ(p, p)
	t.JEQ(operand.LabelRef("noRowBias"))
	for r, row := range t.acc {
		t.VBROADCASTSS(operand.Mem{Base: p, Disp: 4 * r}, t.av[0])
		for _, v := range row {
			t.VADDPS(t.av[0], v, v)
		}
	}
	t.advance("rowBias")
	t.Label("noRowBias")
}
