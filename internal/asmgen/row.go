package main

import (
	"github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// rowGroups is how many columns, in eights, a row kernel sums at once: so many
// chains hide the time that one addition takes.
const rowGroups = 4

// row writes the product of one row of A and a B that is stored transposed:
// blocks of 8 by 8 are turned in registers and used right away. It is the one of
// turneds that AVX2 has registers for.
func row(c *build.Context, s isa, f layout) {
	t := &tile{Context: c, isa: s, f: f}
	t.t = function(c, "turned1_"+s.name, "tile")
	base := []reg.GPVirtual{t.load("b")}
	odd := t.oddMultiples(t.load("bRow"), 8)
	for g := 1; g < rowGroups; g++ {
		p := t.GP64()
		t.LEAQ(operand.Mem{Base: base[g-1], Index: odd[1], Scale: 8}, p)
		base = append(base, p)
	}
	turn := &turn{packer: packer{Context: c, isa: s}, row: func(r, disp int) operand.Mem {
		m := multiple(base[r/8], odd, r%8)
		m.Disp = disp
		return m
	}}
	out, acc := t.load("c"), make([]reg.VecVirtual, rowGroups)
	for g := range acc {
		acc[g] = t.vec(c)
		t.zero(c, acc[g])
	}
	t.CMPQ(t.field("load"), operand.Imm(0))
	t.JEQ(operand.LabelRef("begun"))
	for g := range acc {
		t.VMOVUPS(operand.Mem{Base: out, Disp: g * t.bytes()}, acc[g])
	}
	t.Label("begun")
	t.a, t.k = t.load("a"), t.load("k")
	t.Label("block")
	for half := range 2 {
		for g := range acc {
			for i, b := range turn.quarter(8*g, half, nil) {
				v := t.vec(c)
				t.VBROADCASTSS(operand.Mem{Base: t.a, Disp: 4 * (4*half + i)}, v)
				t.VFMADD231PS(b, v, acc[g])
			}
		}
	}
	t.ADDQ(operand.Imm(32), t.a)
	for _, p := range base {
		t.ADDQ(operand.Imm(32), p)
	}
	t.SUBQ(operand.Imm(8), t.k)
	t.JNE(operand.LabelRef("block"))
	for g := range acc {
		t.VMOVUPS(acc[g], operand.Mem{Base: out, Disp: g * t.bytes()})
	}
	t.VZEROUPPER()
	t.RET()
}
