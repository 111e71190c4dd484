package main

import (
	"github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// turn writes the transpose of groups of 16 rows that lie one step apart, in blocks of
// 8 by 8. It uses vectors of 256 bits and serves both instruction sets.
type turn struct {
	packer
	row  func(r, disp int) operand.Mem
	rows []reg.GPVirtual // every third one
	step reg.GPVirtual
	dst  reg.GPVirtual
}

func turns(c *build.Context, s isa, f layout) {
	t := &turn{packer: packer{Context: c, isa: s, f: f}}
	t.row = t.third
	t.begin("packTurn")
	t.dst, t.step = t.load("dst"), t.load("srcStep")
	n, dstStep := t.GP64(), t.load("dstStep")
	ahead, aheadStep := t.load("ahead"), t.load("aheadStep")
	for range 6 {
		t.rows = append(t.rows, t.GP64())
	}
	local := t.AllocLocal(8 * 3)
	src, dst, groups := local, local.Offset(8), local.Offset(16)
	t.MOVQ(t.load("src"), src)
	t.MOVQ(t.dst, dst)
	t.MOVQ(t.load("first"), groups)

	t.Label("group")
	t.begins(src)
	t.MOVQ(t.field("n"), n)
	t.SUBQ(operand.Imm(8), n)
	t.JLT(operand.LabelRef("rest"))
	t.Label("block")
	for i := range 4 {
		t.PREFETCHT1(operand.Mem{Base: ahead, Disp: 64 * i})
	}
	t.ADDQ(aheadStep, ahead)
	t.half(0, dstStep, nil)
	t.half(1, dstStep, nil)
	t.move(operand.Imm(32))
	t.SUBQ(operand.Imm(8), n)
	t.JGE(operand.LabelRef("block"))
	t.Label("rest")
	t.ADDQ(operand.Imm(8), n)
	t.JEQ(operand.LabelRef("done"))
	t.CMPQ(n, operand.Imm(4))
	t.JLT(operand.LabelRef("few"))
	t.Label("four")
	t.half(0, dstStep, nil)
	t.SUBQ(operand.Imm(4), n)
	t.JEQ(operand.LabelRef("done"))
	t.move(operand.Imm(16))
	t.Label("few")
	t.CMPQ(t.field("n"), operand.Imm(4))
	t.JLT(operand.LabelRef("masked"))
	t.back(n, dstStep)
	t.JMP(operand.LabelRef("four"))
	t.Label("masked")
	m := t.loadMask("mask")
	t.half(0, dstStep, &m)
	t.Label("done")
	t.MOVQ(t.field("srcNext"), n)
	t.ADDQ(n, src)
	t.MOVQ(t.field("dstNext"), t.dst)
	t.ADDQ(dst, t.dst)
	t.MOVQ(t.dst, dst)
	t.DECQ(groups)
	t.JNE(operand.LabelRef("group"))
	t.VZEROUPPER()
	t.RET()
}

// begins sets the rows to those of the group that begins at src.
func (t *turn) begins(src operand.Mem) {
	t.MOVQ(src, t.rows[0])
	for i, p := range t.rows[1:] {
		t.LEAQ(operand.Mem{Base: t.rows[i], Index: t.step, Scale: 2}, p)
		t.ADDQ(t.step, p)
	}
}

// move goes on in all rows.
func (t *turn) move(by operand.Op) {
	for _, p := range t.rows {
		t.ADDQ(by, p)
	}
}

// back makes the last n elements, less than 4, the last 4: some are turned again.
func (t *turn) back(n, dstStep reg.GPVirtual) {
	by := t.GP64()
	t.SUBQ(operand.Imm(4), n)
	t.MOVQ(dstStep, by)
	t.IMULQ(n, by)
	t.ADDQ(by, t.dst)
	t.SHLQ(operand.Imm(2), n)
	t.move(n)
	t.MOVQ(operand.I32(4), n)
}

// third reaches a row from every third one.
func (t *turn) third(r, disp int) operand.Mem {
	m := operand.Mem{Base: t.rows[r/3], Disp: disp}
	if r%3 > 0 {
		m.Index, m.Scale = t.step, uint8(r%3)
	}
	return m
}

// half writes 4 rows of dst.
func (t *turn) half(half int, dstStep reg.GPVirtual, m *mask) {
	var out [2][]reg.VecVirtual
	for side := range out {
		out[side] = t.quarter(8*side, half, m)
	}
	for i := range 4 {
		for side := range out {
			t.VMOVUPS(out[side][i], operand.Mem{Base: t.dst, Disp: 32 * side})
		}
		t.ADDQ(dstStep, t.dst)
	}
}

// quarter returns 4 columns of 8 rows: rows i and i+4 meet in one register by
// halves, so that only shuffles within halves are left.
func (t *turn) quarter(first, half int, m *mask) []reg.VecVirtual {
	v := make([]reg.VecVirtual, 4)
	for i := range v {
		v[i] = t.YMM()
		if m == nil {
			t.VBROADCASTF128(t.row(first+i, 16*half), v[i])
			t.VINSERTF128(operand.Imm(1), t.row(first+i+4, 16*half), v[i], v[i])
			continue
		}
		a, b := t.YMM(), t.YMM()
		t.loadPart(t.Context, *m, t.row(first+i, 0), a)
		t.loadPart(t.Context, *m, t.row(first+i+4, 0), b)
		t.VPERM2F128(operand.Imm([]uint64{0x20, 0x31}[half]), b, a, v[i])
	}
	u := make([]reg.VecVirtual, 4)
	for i := range u {
		u[i] = t.YMM()
	}
	for i := range 2 {
		t.VPUNPCKLDQ(v[2*i+1], v[2*i], u[2*i])
		t.VPUNPCKHDQ(v[2*i+1], v[2*i], u[2*i+1])
	}
	out := make([]reg.VecVirtual, 4)
	for i := range out {
		out[i] = t.YMM()
	}
	for i := range 2 {
		t.VPUNPCKLQDQ(u[2+i], u[i], out[2*i])
		t.VPUNPCKHQDQ(u[2+i], u[i], out[2*i+1])
	}
	return out
}
