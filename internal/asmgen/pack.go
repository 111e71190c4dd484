package main

import (
	"fmt"

	"github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// packs writes the copies into panels. They use vectors of 256 bits and serve
// both instruction sets.
func packs(c *build.Context, s isa, f layout) {
	p := &packer{Context: c, isa: s, f: f}
	for vecs := 1; vecs <= 4; vecs++ {
		p.copyRows(vecs)
	}
	p.panels(2)
	p.panels(4)
	p.transpose()
	p.taps()
	p.line(1)
	p.line(2)
	p.gather()
}

// peak writes a loop of nothing but fused multiply-adds: 12 chains in registers,
// 24 instructions a round, n rounds.
func peak(c *build.Context, s isa, f layout) {
	p := &packer{Context: c, isa: s, f: f}
	p.begin("peak")
	n, x := p.load("n"), s.vec(c)
	s.zero(c, x)
	chains := make([]reg.VecVirtual, 12)
	for i := range chains {
		chains[i] = s.vec(c)
		s.zero(c, chains[i])
	}
	c.Label("round")
	for range 2 {
		for _, v := range chains {
			c.VFMADD231PS(x, x, v)
		}
	}
	c.DECQ(n)
	c.JNE(operand.LabelRef("round"))
	c.VZEROUPPER()
	c.RET()
}

type packer struct {
	*build.Context
	isa
	f layout
	p reg.GPVirtual
}

func (p *packer) begin(name string) {
	p.p = function(p.Context, name+"_"+p.name, "pack")
}

func (p *packer) field(name string) operand.Mem {
	at, ok := p.f[name]
	if !ok {
		panic("pack has no field " + name)
	}
	return operand.Mem{Base: p.p, Disp: at}
}

func (p *packer) load(name string) reg.GPVirtual {
	r := p.GP64()
	p.MOVQ(p.field(name), r)
	return r
}

func (p *packer) loadMask(name string) mask {
	return p.isa.loadMask(p.Context, operand.Mem{Base: p.load(name)})
}

// copyRows copies n rows of vecs vectors, the last one masked; the place of
// missing elements in dst is set to +0.
func (p *packer) copyRows(vecs int) {
	p.begin(fmt.Sprintf("packCopy%d", vecs))
	dst, src, n := p.load("dst"), p.load("src"), p.load("n")
	dstStep, srcStep, m := p.load("dstStep"), p.load("srcStep"), p.loadMask("mask")
	v := make([]reg.VecVirtual, vecs)
	p.Label("row")
	for i := range v {
		v[i] = p.YMM()
		from := operand.Mem{Base: src, Disp: 32 * i}
		if i == vecs-1 {
			p.loadPart(p.Context, m, from, v[i])
		} else {
			p.VMOVUPS(from, v[i])
		}
	}
	for i := range v {
		p.VMOVUPS(v[i], operand.Mem{Base: dst, Disp: 32 * i})
	}
	p.ADDQ(srcStep, src)
	p.ADDQ(dstStep, dst)
	p.DECQ(n)
	p.JNE(operand.LabelRef("row"))
	p.VZEROUPPER()
	p.RET()
}

// panels copies n rows of many panels that are side by side, and dstStep apart
// when copied. It goes row by row, as caches like it.
func (p *packer) panels(vecs int) {
	p.begin(fmt.Sprintf("packPanels%d", vecs))
	row, line, n := p.load("dst"), p.load("src"), p.load("n")
	srcStep, count, step := p.load("srcStep"), p.load("first"), p.load("dstStep")
	dst, src, left := p.GP64(), p.GP64(), p.GP64()
	v := make([]reg.VecVirtual, vecs)
	for i := range v {
		v[i] = p.YMM()
	}
	p.Label("row")
	p.MOVQ(row, dst)
	p.MOVQ(line, src)
	p.MOVQ(count, left)
	p.Label("panel")
	for i := range v {
		p.VMOVUPS(operand.Mem{Base: src, Disp: 32 * i}, v[i])
	}
	for i := range v {
		p.VMOVUPS(v[i], operand.Mem{Base: dst, Disp: 32 * i})
	}
	p.ADDQ(operand.Imm(uint64(32*vecs)), src)
	p.ADDQ(step, dst)
	p.DECQ(left)
	p.JNE(operand.LabelRef("panel"))
	p.ADDQ(operand.Imm(uint64(32*vecs)), row)
	p.ADDQ(srcStep, line)
	p.DECQ(n)
	p.JNE(operand.LabelRef("row"))
	p.VZEROUPPER()
	p.RET()
}

// transpose writes 8 columns of a panel from 8 rows, each of which has its own
// pointer: dst[k][j] = rows[j][k], in blocks of 8 by 8. The last block reads only
// what exists (mask) but writes 8 rows.
func (p *packer) transpose() {
	p.begin("packTranspose")
	table, dst, step, n := p.load("rows"), p.load("dst"), p.load("dstStep"), p.load("n")
	rows := make([]reg.GPVirtual, 8)
	for i := range rows {
		rows[i] = p.GP64()
		p.MOVQ(operand.Mem{Base: table, Disp: 8 * i}, rows[i])
	}
	at := p.GP64()
	p.XORQ(at, at)
	p.SUBQ(operand.Imm(8), n)
	p.JLT(operand.LabelRef("rest"))
	p.Label("block")
	p.block(rows, at, dst, step, nil)
	p.ADDQ(operand.Imm(32), at)
	p.SUBQ(operand.Imm(8), n)
	p.JGE(operand.LabelRef("block"))
	p.Label("rest")
	p.ADDQ(operand.Imm(8), n)
	p.JEQ(operand.LabelRef("done"))
	p.MOVQ(operand.Mem{Base: p.p, Disp: p.f["mask"]}, n)
	m := p.isa.loadMask(p.Context, operand.Mem{Base: n})
	p.block(rows, at, dst, step, &m)
	p.Label("done")
	p.VZEROUPPER()
	p.RET()
}

// block transposes 8 by 8, four columns at a time: rows i and i+4 meet in one
// register by halves, so that only shuffles within halves are left.
func (p *packer) block(rows []reg.GPVirtual, at, dst, step reg.GPVirtual, m *mask) {
	for half := range 2 {
		v := make([]reg.VecVirtual, 4)
		for i := range v {
			v[i] = p.YMM()
			from := func(r int) operand.Mem {
				return operand.Mem{Base: rows[r], Index: at, Scale: 1, Disp: 16 * half}
			}
			if m == nil {
				p.VBROADCASTF128(from(i), v[i])
				p.VINSERTF128(operand.Imm(1), from(i+4), v[i], v[i])
				continue
			}
			whole := func(r int) reg.VecVirtual {
				w := p.YMM()
				p.loadPart(p.Context, *m, operand.Mem{Base: rows[r], Index: at, Scale: 1}, w)
				return w
			}
			p.VPERM2F128(operand.Imm([]uint64{0x20, 0x31}[half]), whole(i+4), whole(i), v[i])
		}
		u := []reg.VecVirtual{p.YMM(), p.YMM(), p.YMM(), p.YMM()}
		for i := range 2 {
			p.VUNPCKLPS(v[2*i+1], v[2*i], u[2*i])
			p.VUNPCKHPS(v[2*i+1], v[2*i], u[2*i+1])
		}
		for i := range 2 {
			a, b := p.YMM(), p.YMM()
			p.VUNPCKLPD(u[2+i], u[i], a)
			p.VUNPCKHPD(u[2+i], u[i], b)
			for _, out := range []reg.VecVirtual{a, b} {
				p.VMOVUPS(out, operand.Mem{Base: dst})
				p.ADDQ(step, dst)
			}
		}
	}
}

// taps writes 8 columns of a panel: column j of row k is at src + first +
// offset[k] + 4j for the columns of mask, second in place of first for those of
// mask2, and +0 for the others.
func (p *packer) taps() {
	p.begin("packTaps")
	dst, src, src2, n := p.load("dst"), p.load("first"), p.load("second"), p.load("n")
	base := p.load("src")
	p.ADDQ(base, src)
	p.ADDQ(base, src2)
	step, offsets, at := p.load("dstStep"), p.load("offsets"), p.GP64()
	m, m2 := p.loadMask("mask"), p.loadMask("mask2")
	p.Label("row")
	p.MOVLQSX(operand.Mem{Base: offsets}, at)
	v, v2 := p.YMM(), p.YMM()
	p.loadPart(p.Context, m, operand.Mem{Base: src, Index: at, Scale: 1}, v)
	p.loadPart(p.Context, m2, operand.Mem{Base: src2, Index: at, Scale: 1}, v2)
	p.VORPS(v2, v, v)
	p.VMOVUPS(v, operand.Mem{Base: dst})
	p.ADDQ(step, dst)
	p.ADDQ(operand.Imm(4), offsets)
	p.DECQ(n)
	p.JNE(operand.LabelRef("row"))
	p.VZEROUPPER()
	p.RET()
}

// line is taps for 8 or 16 columns that all lie at src + first + offset[k].
func (p *packer) line(vecs int) {
	p.begin(fmt.Sprintf("packLine%d", vecs))
	dst, src, base, n := p.load("dst"), p.load("first"), p.load("src"), p.load("n")
	p.ADDQ(base, src)
	step, offsets, at := p.load("dstStep"), p.load("offsets"), p.GP64()
	p.Label("row")
	p.MOVLQSX(operand.Mem{Base: offsets}, at)
	for i := range vecs {
		v := p.YMM()
		p.VMOVUPS(operand.Mem{Base: src, Index: at, Scale: 1, Disp: 32 * i}, v)
		p.VMOVUPS(v, operand.Mem{Base: dst, Disp: 32 * i})
	}
	p.ADDQ(step, dst)
	p.ADDQ(operand.Imm(4), offsets)
	p.DECQ(n)
	p.JNE(operand.LabelRef("row"))
	p.VZEROUPPER()
	p.RET()
}

// gather is taps for columns that lie anywhere: column j of row k is at
// src + offset[k] + columns[j].
func (p *packer) gather() {
	p.begin("packGather")
	dst, src, n := p.load("dst"), p.load("src"), p.load("n")
	step, offsets, columns, at := p.load("dstStep"), p.load("offsets"), p.load("columns"), p.GP64()
	index, ones := p.YMM(), p.YMM()
	p.VMOVUPS(operand.Mem{Base: columns}, index)
	p.Label("row")
	p.MOVLQSX(operand.Mem{Base: offsets}, at)
	p.ADDQ(src, at)
	v := p.YMM()
	p.VPCMPEQD(ones, ones, ones)
	p.VXORPS(v, v, v)
	p.VGATHERDPS(ones, operand.Mem{Base: at, Index: index, Scale: 1}, v)
	p.VMOVUPS(v, operand.Mem{Base: dst})
	p.ADDQ(step, dst)
	p.ADDQ(operand.Imm(4), offsets)
	p.DECQ(n)
	p.JNE(operand.LabelRef("row"))
	p.VZEROUPPER()
	p.RET()
}
