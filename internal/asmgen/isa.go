package main

import (
	"go/token"
	"go/types"
	"strconv"

	"github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/gotypes"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// isa is what differs between instruction sets: the width of a register, how
// many there are, and how a part of a vector is loaded and stored.
type isa struct {
	name  string
	lanes int // float32 in a vector
	rows  int // rows of the tile of a matrix product

	labels *int // made so far, so that all are different
}

var (
	avx2   = isa{name: "avx2", lanes: 8, rows: 6, labels: new(int)}
	avx512 = isa{name: "avx512", lanes: 16, rows: 12, labels: new(int)}
)

func (s isa) wide() bool { return s.lanes == 16 }

// bytes is the size of a vector.
func (s isa) bytes() int { return 4 * s.lanes }

// vec is a new vector register.
func (s isa) vec(c *build.Context) reg.VecVirtual {
	if s.wide() {
		return c.ZMM()
	}
	return c.YMM()
}

// mask is which elements of a vector exist: a mask register of AVX-512, or a
// vector of ones and zeros.
type mask struct {
	k reg.OpmaskVirtual
	v reg.VecVirtual
}

// loadMask reads a mask from where p points to: 16 bits for AVX-512, a vector of
// 32-bit words else. Package tensor keeps the tables.
func (s isa) loadMask(c *build.Context, p operand.Mem) mask {
	if s.wide() {
		k := c.K()
		c.KMOVW(p, k)
		return mask{k: k}
	}
	v := c.YMM()
	c.VMOVUPS(p, v)
	return mask{v: v}
}

// loadPart loads the elements of m; the others are +0.
func (s isa) loadPart(c *build.Context, m mask, from operand.Mem, v reg.VecVirtual) {
	if s.wide() {
		c.VMOVUPS_Z(from, m.k, v)
	} else {
		c.VMASKMOVPS(from, m.v, v)
	}
}

// storePart stores the elements of m and leaves the others as they are. For AVX2
// it stores 4, 2 and 1 of them as their number says: masked stores are slow on
// some processors.
func (s isa) storePart(c *build.Context, m mask, v reg.VecVirtual, to operand.Mem) {
	if s.wide() {
		c.VMOVUPS(v, m.k, to)
		return
	}
	n, p := c.GP64(), c.GP64()
	c.VMOVMSKPS(m.v, n.As32())
	c.LEAQ(to, p)
	w := c.YMM()
	c.VMOVAPS(v, w)
	*s.labels++
	label := "part" + strconv.Itoa(*s.labels)
	c.POPCNTL(n.As32(), n.As32())
	c.TESTL(operand.U32(8), n.As32())
	c.JEQ(operand.LabelRef(label + "Four"))
	c.VMOVUPS(w, operand.Mem{Base: p})
	c.Label(label + "Four")
	c.TESTL(operand.U32(4), n.As32())
	c.JEQ(operand.LabelRef(label + "Two"))
	c.VMOVUPS(w.AsX(), operand.Mem{Base: p})
	c.VPERM2F128(operand.Imm(0x11), w, w, w)
	c.ADDQ(operand.Imm(16), p)
	c.Label(label + "Two")
	c.TESTL(operand.U32(2), n.As32())
	c.JEQ(operand.LabelRef(label + "One"))
	c.VMOVLPS(w.AsX(), operand.Mem{Base: p})
	c.VPERMILPS(operand.Imm(0x0e), w, w)
	c.ADDQ(operand.Imm(8), p)
	c.Label(label + "One")
	c.TESTL(operand.U32(1), n.As32())
	c.JEQ(operand.LabelRef(label + "None"))
	c.VMOVSS(w.AsX(), operand.Mem{Base: p})
	c.Label(label + "None")
}

// zero sets v to +0.
func (s isa) zero(c *build.Context, v reg.VecVirtual) {
	if s.wide() {
		c.VPXORD(v, v, v)
	} else {
		c.VXORPS(v, v, v)
	}
}

// and sets dst to a & b.
func (s isa) and(c *build.Context, a operand.Op, b, dst reg.VecVirtual) {
	if s.wide() {
		c.VPANDD(a, b, dst)
	} else {
		c.VANDPS(a, b, dst)
	}
}

// part sets the elements of v that m lacks to +0.
func (s isa) part(c *build.Context, m mask, v reg.VecVirtual) {
	if s.wide() {
		c.VMOVAPS_Z(v, m.k, v)
	} else {
		c.VANDPS(m.v, v, v)
	}
}

// function begins a kernel: func name(p *kind), where kind is a struct of package
// tensor. It returns the pointer.
func function(c *build.Context, name, kind string) reg.GPVirtual {
	pkg := types.NewPackage("tensor", "tensor")
	arg := types.NewNamed(types.NewTypeName(token.NoPos, pkg, kind, nil), types.NewStruct(nil, nil), nil)
	params := types.NewTuple(types.NewVar(token.NoPos, pkg, "p", types.NewPointer(arg)))
	c.Function(name)
	c.Pragma("noescape")
	c.Signature(gotypes.NewSignature(pkg, types.NewSignatureType(nil, nil, nil, params, nil, false)))
	p := c.GP64()
	c.Load(c.Param("p"), p)
	return p
}
