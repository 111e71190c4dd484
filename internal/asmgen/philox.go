package main

import (
	"github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// philox writes the random words of n*8 blocks of Philox4x32-10, in vectors of
// 256 bits that serve both instruction sets: s0, s1 are the key, s2 the number of
// the first block, s3, s4 the fixed words; p is where the words go.
func philox(c *build.Context, f layout, k *constants) {
	p := &philoxer{Context: c, k: k}
	p.arg = function(c, "philox_avx2", "vector")
	at := func(name string) operand.Mem { return operand.Mem{Base: p.arg, Disp: f[name]} }
	n, dst := c.GP64(), c.GP64()
	c.MOVQ(at("n"), n)
	c.MOVQ(at("p"), dst)
	block := c.GP64()
	c.MOVQ(at("s2"), block)
	fixed := [4]reg.VecVirtual{}
	for i, name := range []string{"s0", "s1", "s3", "s4"} {
		fixed[i] = c.YMM()
		c.VPBROADCASTD(at(name), fixed[i])
	}
	mul0, mul1 := c.YMM(), c.YMM()
	c.VMOVDQU(k.word(0xD2511F53), mul0)
	c.VMOVDQU(k.word(0xCD9E8D57), mul1)
	c.Label("eight")
	ctr := p.counters(block, fixed[2], fixed[3])
	key := [2]reg.VecVirtual{c.YMM(), c.YMM()}
	c.VMOVDQA(fixed[0], key[0])
	c.VMOVDQA(fixed[1], key[1])
	for round := range 10 {
		if round > 0 {
			c.VPADDD(k.word(0x9E3779B9), key[0], key[0])
			c.VPADDD(k.word(0xBB67AE85), key[1], key[1])
		}
		ctr = p.round(ctr, key, mul0, mul1)
	}
	p.store(ctr, dst)
	c.ADDQ(operand.Imm(128), dst)
	c.ADDQ(operand.Imm(8), block)
	c.DECQ(n)
	c.JNE(operand.LabelRef("eight"))
	c.VZEROUPPER()
	c.RET()
}

type philoxer struct {
	*build.Context
	k   *constants
	arg reg.GPVirtual
}

// counters makes the counters of 8 blocks. The number of a block has 64 bits; the
// caller sees to it that the low 32 do not run over within a call.
func (p *philoxer) counters(block reg.GPVirtual, w2, w3 reg.VecVirtual) [4]reg.VecVirtual {
	low, high := p.YMM(), p.YMM()
	p.VMOVD(block.As32(), low.AsX())
	p.VPBROADCASTD(low.AsX(), low)
	p.VPADDD(p.k.table(count(0, 1)), low, low)
	up := p.GP64()
	p.MOVQ(block, up)
	p.SHRQ(operand.Imm(32), up)
	p.VMOVD(up.As32(), high.AsX())
	p.VPBROADCASTD(high.AsX(), high)
	c2, c3 := p.YMM(), p.YMM()
	p.VMOVDQA(w2, c2)
	p.VMOVDQA(w3, c3)
	return [4]reg.VecVirtual{low, high, c2, c3}
}

// wide multiplies 8 words by a constant: the high and the low halves.
func (p *philoxer) wide(a, by reg.VecVirtual) (high, low reg.VecVirtual) {
	even, odd := p.YMM(), p.YMM()
	p.VPSRLQ(operand.Imm(32), a, odd)
	p.VPMULUDQ(by, a, even)
	p.VPMULUDQ(by, odd, odd)
	high, low = p.YMM(), p.YMM()
	p.VPSRLQ(operand.Imm(32), even, high)
	p.VPBLENDD(operand.Imm(0xaa), odd, high, high)
	p.VPSLLQ(operand.Imm(32), odd, low)
	p.VPBLENDD(operand.Imm(0xaa), low, even, low)
	return high, low
}

func (p *philoxer) round(c [4]reg.VecVirtual, key [2]reg.VecVirtual, mul0, mul1 reg.VecVirtual) [4]reg.VecVirtual {
	hi0, lo0 := p.wide(c[0], mul0)
	hi1, lo1 := p.wide(c[2], mul1)
	p.VPXOR(c[1], hi1, hi1)
	p.VPXOR(key[0], hi1, hi1)
	p.VPXOR(c[3], hi0, hi0)
	p.VPXOR(key[1], hi0, hi0)
	return [4]reg.VecVirtual{hi1, lo1, hi0, lo0}
}

// store writes the blocks one after the other, 4 words each.
func (p *philoxer) store(c [4]reg.VecVirtual, dst reg.GPVirtual) {
	t := [4]reg.VecVirtual{p.YMM(), p.YMM(), p.YMM(), p.YMM()}
	p.VPUNPCKLDQ(c[1], c[0], t[0])
	p.VPUNPCKHDQ(c[1], c[0], t[1])
	p.VPUNPCKLDQ(c[3], c[2], t[2])
	p.VPUNPCKHDQ(c[3], c[2], t[3])
	for half := range 2 {
		a, b := p.YMM(), p.YMM()
		p.VPUNPCKLQDQ(t[2+half], t[half], a)
		p.VPUNPCKHQDQ(t[2+half], t[half], b)
		for i, v := range []reg.VecVirtual{a, b} {
			at := 16 * (2*half + i)
			p.VMOVDQU(v.AsX(), operand.Mem{Base: dst, Disp: at})
			p.VEXTRACTI128(operand.Imm(1), v, operand.Mem{Base: dst, Disp: at + 64})
		}
	}
}
