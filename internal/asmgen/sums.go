package main

import (
	"github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// sums writes sums in float64: 16 strided partial sums of n runs of 16 float32,
// which go on from p.
func sums(c *build.Context, s isa, f layout) {
	for _, square := range []bool{false, true} {
		name := "sum64_"
		if square {
			name = "squares64_"
		}
		arg := function(c, name+s.name, "vector")
		n, x, p := c.GP64(), c.GP64(), c.GP64()
		c.MOVQ(operand.Mem{Base: arg, Disp: f["n"]}, n)
		c.MOVQ(operand.Mem{Base: arg, Disp: f["x"]}, x)
		c.MOVQ(operand.Mem{Base: arg, Disp: f["p"]}, p)
		acc := make([]reg.VecVirtual, 32/s.lanes)
		for i := range acc {
			acc[i] = s.vec(c)
			c.VMOVUPD(operand.Mem{Base: p, Disp: i * s.bytes()}, acc[i])
		}
		c.Label("run")
		for i, a := range acc {
			v := s.vec(c)
			c.VCVTPS2PD(operand.Mem{Base: x, Disp: i * s.bytes() / 2}, v)
			if square {
				c.VMULPD(v, v, v)
			}
			c.VADDPD(v, a, a)
		}
		c.ADDQ(operand.Imm(64), x)
		c.DECQ(n)
		c.JNE(operand.LabelRef("run"))
		for i, a := range acc {
			c.VMOVUPD(a, operand.Mem{Base: p, Disp: i * s.bytes()})
		}
		c.VZEROUPPER()
		c.RET()
	}
}
