package main

import (
	"fmt"
	"slices"

	"github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// acrossMost is the most places of a tile of so many vectors of channels: what
// registers hold, and what can be transposed.
func acrossMost(vecs int) int { return []int{16, 14}[vecs-1] }

// acrosses writes the inner kernels of a convolution whose vectors lie across the
// output channels: places that follow each other in a line, times vectors. They
// are for AVX-512: other registers hold too little of a tile to transpose it.
func acrosses(c *build.Context, s isa, f layout) {
	for vecs := 1; vecs <= 2; vecs++ {
		for places := 1; places <= acrossMost(vecs); places++ {
			a := &across{tile: tile{Context: c, isa: s, f: f, rows: places, vecs: vecs}}
			a.write()
		}
	}
}

// acrossTable is Go that lists the kernels.
func acrossTable(s isa) string {
	text := fmt.Sprintf("\n// acrosses_%s lists the kernels by vectors and places.\nfunc acrosses_%[1]s() [2][]func(*across) {\n\treturn [2][]func(*across){\n", s.name)
	for vecs := 1; vecs <= 2; vecs++ {
		text += "\t\t{"
		for places := 1; places <= acrossMost(vecs); places++ {
			if places > 1 {
				text += ", "
			}
			text += fmt.Sprintf("across%dx%d_%s", places, vecs, s.name)
		}
		text += "},\n"
	}
	return text + "\t}\n}\n"
}

// across writes one kernel. The rows of its tile are places; row k of B is the
// weights of tap k.
type across struct {
	tile
	x, x2, c, lines, offsets reg.GPVirtual // x2: the second half of the places
	next                     reg.GPVirtual // the place of x in the next channel
	flags                    map[string]reg.GPVirtual
	soon                     soon
	spare                    []reg.VecVirtual
}

func (a *across) write() {
	a.t = function(a.Context, fmt.Sprintf("across%dx%d_%s", a.rows, a.vecs, a.name), "across")
	a.acc = make([][]reg.VecVirtual, a.rows)
	for r := range a.acc {
		for range a.vecs {
			a.acc[r] = append(a.acc[r], a.vec(a.Context))
		}
	}
	a.x, a.c, a.lines = a.load("x"), a.load("c"), a.load("lines")
	a.x2 = a.load("gap")
	a.next = a.load("next")
	a.ADDQ(a.x, a.x2)
	a.ADDQ(a.x, a.next)
	a.flags = map[string]reg.GPVirtual{"left": a.load("left"), "right": a.load("right"), "inner": a.load("inner")}
	a.soon = soonOf(&a.tile, acrossSteps)
	a.Label("lines")
	a.b, a.offsets, a.k = a.load("w"), a.load("offsets"), a.load("k")
	a.clear()
	if a.vecs == 1 {
		a.threes()
	} else {
		a.loop("k", acrossSteps, a.step)
	}
	a.finish()
	a.ADDQ(a.field("xLine"), a.x)
	a.ADDQ(a.field("xLine"), a.x2)
	a.ADDQ(a.field("xLine"), a.next)
	a.ADDQ(a.field("cLine"), a.c)
	a.DECQ(a.lines)
	a.JNE(operand.LabelRef("lines"))
	a.VZEROUPPER()
	a.RET()
}

// step does one k.
func (a *across) step() {
	i := a.soon.next()
	at := a.GP64()
	a.MOVLQSX(operand.Mem{Base: a.offsets, Disp: 4 * i}, at)
	w := make([]reg.VecVirtual, a.vecs)
	for v := range w {
		w[v] = a.take()
		a.VMOVUPS(operand.Mem{Base: a.b, Disp: (i*a.vecs + v) * a.bytes()}, w[v])
	}
	for r := range a.acc {
		a.unlessPadded(r, i, func() { a.place(r, at, w) })
	}
	a.give(w...)
	if i == 0 && !a.soon.rest() {
		a.askNext(at)
	}
	a.soon.ask(a.Context)
	if n := a.soon.done(); n > 0 {
		a.ADDQ(operand.I32(4*n), a.offsets)
		a.ADDQ(operand.I32(n*a.vecs*a.bytes()), a.b)
	}
}

// askNext asks the first cache for the middle of what a tap finds in the next channel:
// filters run through that cache, so that little of an image stays there from line
// to line. To ask for both ends costs as much as it brings.
func (a *across) askNext(at reg.GPVirtual) {
	a.PREFETCHT0(operand.Mem{Base: a.next, Index: at, Scale: 1, Disp: 2 * a.rows})
}

// threes runs over k. One vector of channels would take a load for each product, but
// where taps are threes side by side, a number of the image serves three.
func (a *across) threes() {
	a.CMPQ(a.field("threes"), operand.Imm(0))
	a.JEQ(operand.LabelRef("kOne"))
	a.Label("kThree")
	at := a.GP64()
	a.MOVLQSX(operand.Mem{Base: a.offsets}, at)
	var w [3]reg.VecVirtual
	for i := range w {
		w[i] = a.take()
		a.VMOVUPS(operand.Mem{Base: a.b, Disp: i * a.bytes()}, w[i])
		a.soon.next()
		a.soon.ask(a.Context)
	}
	a.askNext(at)
	a.three(w, operand.Mem{Base: a.x, Index: at, Scale: 1}, 0, a.rows/2)
	a.three(w, operand.Mem{Base: a.x2, Index: at, Scale: 1}, a.rows/2, a.rows)
	a.give(w[:]...)
	a.ADDQ(operand.Imm(4*3), a.offsets)
	a.ADDQ(operand.I32(3*a.bytes()), a.b)
	a.SUBQ(operand.Imm(3), a.k)
	a.JNE(operand.LabelRef("kThree"))
	a.JMP(operand.LabelRef("kDone"))
	a.Label("kOne")
	a.step()
	a.DECQ(a.k)
	a.JNE(operand.LabelRef("kOne"))
	a.Label("kDone")
}

// three does three taps side by side, of which the first of place 0 is at x, for
// places from to to.
func (a *across) three(w [3]reg.VecVirtual, x operand.Mem, from, to int) {
	load := func(tap, r int) reg.VecVirtual {
		v := a.take()
		a.VBROADCASTSS(x.Offset(4*(r+tap)), v)
		return v
	}
	end := func(tap, r int) {
		a.unlessPadded(r, tap, func() {
			v := load(tap, r)
			a.VFMADD231PS(w[tap], v, a.acc[r][0])
			a.give(v)
		})
	}
	var mid []reg.VecVirtual
	for r := from; r < to; r++ {
		mid = append(mid, load(1, r))
	}
	for tap := range w {
		for r := from; r < to; r++ {
			if i := r + tap - 1 - from; i < 0 || i >= len(mid) {
				end(tap, r)
			} else {
				a.VFMADD231PS(w[tap], mid[i], a.acc[r][0])
			}
		}
	}
	a.give(mid...)
}

// place multiplies the weights w of a tap, which is at a place of the image, with
// what place r of the tile finds there.
func (a *across) place(r int, at reg.GPVirtual, w []reg.VecVirtual) {
	from := operand.Mem{Base: a.x, Index: at, Scale: 1, Disp: 4 * r}
	if r >= a.rows/2 {
		from.Base = a.x2
	}
	if a.vecs == 1 {
		a.VFMADD231PS_BCST(from, w[0], a.acc[r][0])
		return
	}
	x := a.take()
	a.VBROADCASTSS(from, x)
	for v := range w {
		a.VFMADD231PS(w[v], x, a.acc[r][v])
	}
	a.give(x)
}

// padded is the flag that says whether a tap of three lies in the padding for place
// r, "" if it cannot.
func (a *across) padded(r, tap int) string {
	switch {
	case a.soon.rest():
	case tap == 0 && r == 0:
		return "left"
	case tap == acrossSteps-1 && r == a.rows-1:
		return "right"
	case a.rows%2 == 0 && (tap == 0 && r == a.rows/2 || tap == acrossSteps-1 && r == a.rows/2-1):
		return "inner"
	}
	return ""
}

// unlessPadded writes f so that it is left out where padded says so.
func (a *across) unlessPadded(r, tap int, f func()) {
	flag := a.padded(r, tap)
	if flag == "" {
		f()
		return
	}
	a.TESTQ(a.flags[flag], a.flags[flag])
	end := fmt.Sprintf("%s%d", flag, tap)
	a.JNE(operand.LabelRef(end))
	f()
	a.Label(end)
}

// finish adds the bias, applies max(0, x), and stores the tile, a line of places
// for each channel that exists.
func (a *across) finish() {
	a.findMinus()
	p := a.load("bias")
	a.TESTQ(p, p)
	a.JEQ(operand.LabelRef("noBias"))
	for v := range a.vecs {
		x := a.take()
		a.VMOVUPS(operand.Mem{Base: p, Disp: v * a.bytes()}, x)
		for _, row := range a.acc {
			a.VADDPS(x, row[v], row[v])
		}
		a.give(x)
	}
	a.Label("noBias")
	zero := a.take()
	a.rectify(zero)
	a.give(zero)
	c, step, n := a.GP64(), a.load("cRow"), a.load("channels")
	a.MOVQ(a.c, c)
	bits, some := a.GP32(), a.K()
	a.MOVL(operand.U32(1<<a.rows-1), bits)
	a.KMOVW(bits, some)
	for v := range a.vecs {
		lines := a.turned(v)
		for i, line := range lines {
			if i+v > 0 {
				a.CMPQ(n, operand.Imm(uint64(v*a.isa.lanes+i)))
				a.JLE(operand.LabelRef("stored"))
			}
			a.VMOVUPS(line, some, operand.Mem{Base: c})
			a.ADDQ(step, c)
		}
		a.give(lines...)
	}
	a.Label("stored")
}

// findMinus notes in minus whether a sum is -0, the least integer, if it matters.
func (a *across) findMinus() {
	a.CMPQ(a.field("edge"), operand.Imm(0))
	a.JEQ(operand.LabelRef("edged"))
	low, zero, some, bits := a.take(), a.take(), a.K(), a.GP64()
	a.VMOVAPS(a.acc[0][0], low)
	for _, row := range a.acc {
		for _, v := range row {
			a.VPMINSD(v, low, low)
		}
	}
	a.VPTERNLOGD(operand.Imm(0xff), zero, zero, zero)
	a.VPSLLD(operand.Imm(31), zero, zero)
	a.VPCMPEQD(zero, low, some)
	a.KMOVW(some, bits.As32())
	a.ORQ(bits, a.field("minus"))
	a.give(low, zero)
	a.Label("edged")
}

// take returns a register that holds nothing, give returns some that are no
// longer needed: a tile leaves few.
func (a *across) take() reg.VecVirtual {
	if n := len(a.spare); n > 0 {
		v := a.spare[n-1]
		a.spare = a.spare[:n-1]
		return v
	}
	return a.vec(a.Context)
}

func (a *across) give(vs ...reg.VecVirtual) {
	for i, v := range vs {
		if !slices.Contains(vs[:i], v) {
			a.spare = append(a.spare, v)
		}
	}
}

// turned transposes vector v of all places: it returns a vector of places for
// each channel.
func (a *across) turned(v int) []reg.VecVirtual {
	// Quarters of vectors by themselves: part g of quads[i][j] has channel 4g+j
	// of places 4i to 4i+3.
	var quads [][4]reg.VecVirtual
	for r := 0; r < a.rows; r += 4 {
		row := func(i int) reg.VecVirtual { return a.acc[min(r+i, a.rows-1)][v] }
		quads = append(quads, a.turnQuad(row(0), row(1), row(2), row(3)))
	}
	out := make([]reg.VecVirtual, a.isa.lanes)
	for j := range 4 {
		var q []reg.VecVirtual
		for i := range a.isa.lanes / 4 {
			q = append(q, quads[min(i, len(quads)-1)][j])
		}
		for i, x := range a.mixed(q) {
			out[4*i+j] = x
		}
	}
	return out
}

// both returns op of two registers.
func (a *across) both(op func(...operand.Op), x, y reg.VecVirtual) reg.VecVirtual {
	z := a.take()
	op(y, x, z)
	return z
}

// turnQuad transposes four places within each quarter of a vector.
func (a *across) turnQuad(r0, r1, r2, r3 reg.VecVirtual) (out [4]reg.VecVirtual) {
	low, high := a.both(a.VUNPCKLPS, r0, r1), a.both(a.VUNPCKHPS, r0, r1)
	a.give(r0, r1)
	low2, high2 := low, high
	if r2 != r1 {
		low2, high2 = a.both(a.VUNPCKLPS, r2, r3), a.both(a.VUNPCKHPS, r2, r3)
		a.give(r2, r3)
	}
	out[0], out[1] = a.both(a.VUNPCKLPD, low, low2), a.both(a.VUNPCKHPD, low, low2)
	a.give(low, low2)
	out[2], out[3] = a.both(a.VUNPCKLPD, high, high2), a.both(a.VUNPCKHPD, high, high2)
	a.give(high, high2)
	return out
}

// mixed transposes quarters: of vectors q of places it makes one vector of places
// for each quarter.
func (a *across) mixed(q []reg.VecVirtual) []reg.VecVirtual {
	// evens has the even quarters of x, then those of y, odds the odd ones.
	parts := func(x, y reg.VecVirtual) (evens, odds reg.VecVirtual) {
		evens, odds = a.take(), a.take()
		a.VSHUFF32X4(operand.Imm(0x88), y, x, evens)
		a.VSHUFF32X4(operand.Imm(0xdd), y, x, odds)
		return evens, odds
	}
	even, odd := parts(q[0], q[1])
	a.give(q[0], q[1])
	even2, odd2 := even, odd
	if q[2] != q[1] {
		even2, odd2 = parts(q[2], q[3])
		a.give(q[2], q[3])
	}
	out := make([]reg.VecVirtual, 4)
	out[0], out[2] = parts(even, even2)
	a.give(even, even2)
	out[1], out[3] = parts(odd, odd2)
	a.give(odd, odd2)
	return out
}
