package main

import "github.com/mmcloughlin/avo/operand"

// laneLoop runs the product for each lane by itself and adds it to C as
// integers. It reads the number of rows of the lanes one after the other.
func (t *tile) laneLoop() {
	sizes, end := t.load("laneSize"), t.load("lanes")
	t.LEAQ(operand.Mem{Base: sizes, Index: end, Scale: 8}, end)
	t.MOVQ(end, t.moving("lanes"))
	top := t.load("laneMax")
	t.MOVQ(top, t.moving("laneMax"))
	t.Label("lane")
	k := t.GP64()
	t.MOVQ(operand.Mem{Base: sizes}, k)
	t.MOVQ(k, t.moving("k"))
	t.clear()
	t.sum()
	t.parts("lane", t.quantise)
	t.ADDQ(operand.Imm(8), sizes)
	t.ADDQ(operand.Imm(64), t.moving("laneMax"))
	t.CMPQ(sizes, t.moving("lanes"))
	t.JNE(operand.LabelRef("lane"))
}

// quantise raises the lane's maxima of |acc| (as integers: a NaN is above Inf)
// and adds round(acc*scale) to C.
func (t *tile) quantise(last *mask) {
	top, sign, tops := t.bv[0], t.av[0], t.GP64()
	t.MOVQ(t.moving("laneMax"), tops)
	t.VBROADCASTSS(t.field("abs"), sign)
	t.VMOVUPS(operand.Mem{Base: tops}, top)
	for _, row := range t.acc {
		for v, acc := range row {
			if last != nil && v == t.vecs-1 {
				t.part(t.Context, *last, acc)
			}
			t.and(t.Context, sign, acc, t.av[1])
			t.VPMAXSD(t.av[1], top, top)
		}
	}
	t.VMOVUPS(top, operand.Mem{Base: tops})
	scale := t.av[0]
	t.VBROADCASTSS(t.field("scale"), scale)
	t.eachC(func(r, v int, at operand.Mem) {
		acc := t.acc[r][v]
		t.VMULPS(scale, acc, acc)
		t.VCVTPS2DQ(acc, acc)
		t.get(last, v, at, t.av[1])
		t.VPADDD(t.av[1], acc, acc)
		t.put(last, v, acc, at)
	})
}
