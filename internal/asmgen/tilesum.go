package main

import "github.com/mmcloughlin/avo/operand"

// stepsOut is how many ks of a product are written out.
const stepsOut = 4

// sum runs over k: only ks of A that follow each other are written out.
func (t *tile) sum() {
	t.a, t.bRow, t.bRow3 = t.rowsOfA(t.a), t.load("bRow"), t.GP64()
	t.LEAQ(operand.Mem{Base: t.bRow, Index: t.bRow, Scale: 2}, t.bRow3)
	t.soon, t.left = t.GP64(), t.GP64()
	t.CMPQ(t.field("aCol"), operand.Imm(4))
	t.JNE(operand.LabelRef("rest"))
	t.Label("ask")
	t.ask()
	t.Label("steps")
	for at := 0; at < 2*t.bytes(); at += 64 {
		t.PREFETCHT0(operand.Mem{Base: t.soon, Disp: at})
	}
	for i := range stepsOut {
		t.step(i, stepsOut)
	}
	t.ADDQ(t.moving("soonStep"), t.soon)
	t.DECQ(t.left)
	t.JNE(operand.LabelRef("steps"))
	t.JMP(operand.LabelRef("ask"))
	t.Label("rest")
	t.MOVQ(t.moving("k"), t.left)
	t.TESTQ(t.left, t.left)
	t.JEQ(operand.LabelRef("summed"))
	t.Label("one")
	t.step(0, 1)
	t.DECQ(t.left)
	t.JNE(operand.LabelRef("one"))
	t.Label("summed")
}

// ask chooses what the cache is asked for while ks are summed: first the next
// tile of C, then what the tile was told, then nothing.
func (t *tile) ask() {
	written, step := t.soon, t.GP64()
	t.MOVQ(t.moving("k"), written)
	t.SHRQ(operand.Imm(2), written) // by stepsOut
	t.JEQ(operand.LabelRef("rest"))
	for _, name := range []string{"c", "ahead"} {
		t.MOVQ(t.moving(name+"Left"), t.left)
		t.TESTQ(t.left, t.left)
		t.JEQ(operand.LabelRef("no_" + name))
		t.CMPQ(t.left, written)
		t.CMOVQGT(written, t.left)
		t.SUBQ(t.left, t.moving(name+"Left"))
		t.MOVQ(t.moving(name+"Soon"), t.soon)
		t.MOVQ(t.field(map[string]string{"c": "cRow", "ahead": "aheadStep"}[name]), step)
		t.MOVQ(step, t.moving("soonStep"))
		t.IMULQ(t.left, step)
		t.ADDQ(step, t.moving(name+"Soon"))
		t.JMP(operand.LabelRef("asked"))
		t.Label("no_" + name)
	}
	t.MOVQ(written, t.left)
	t.MOVQ(t.t, t.soon)
	t.MOVQ(operand.I32(0), t.moving("soonStep"))
	t.Label("asked")
	t.MOVQ(t.left, step)
	t.SHLQ(operand.Imm(2), step)
	t.SUBQ(step, t.moving("k"))
}

// step does the i-th of n ks that are written out. Addresses move once for all of
// them: sums of addresses take the places of products.
func (t *tile) step(i, n int) {
	for v := range t.bv {
		t.VMOVUPS(t.rowOfB(i, v), t.bv[v])
	}
	for r := range t.rows {
		av := t.av[r%2]
		t.VBROADCASTSS(t.rowOfA(r).Offset(4*i), av)
		for v := range t.bv {
			t.VFMADD231PS(t.bv[v], av, t.acc[r][v])
		}
	}
	if i == n-1 {
		t.nextK(n)
	}
}

// nextK goes on by so many ks, several if those of A follow each other.
func (t *tile) nextK(n int) {
	if n == 1 {
		t.ADDQ(t.field("aCol"), t.a)
	} else {
		t.ADDQ(operand.Imm(uint64(4*n)), t.a)
	}
	t.LEAQ(operand.Mem{Base: t.b, Index: t.bRow, Scale: uint8(n)}, t.b)
}

// rowOfB is vector v of the i-th row of B from the present one on.
func (t *tile) rowOfB(i, v int) operand.Mem {
	m := operand.Mem{Base: t.b, Disp: v * t.bytes()}
	switch i {
	case 1, 2:
		m.Index, m.Scale = t.bRow, uint8(i)
	case 3:
		m.Index, m.Scale = t.bRow3, 1
	}
	return m
}

// askForC gets ready to ask for the next tile of C, row by row.
func (t *tile) askForC() {
	c := t.GP64()
	t.MOVQ(t.moving("c"), c)
	t.ADDQ(t.field("cNext"), c)
	t.MOVQ(c, t.moving("cSoon"))
	t.MOVQ(operand.I32(t.rows), t.moving("cLeft"))
}
