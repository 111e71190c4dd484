package main

import (
	"go/token"
	"go/types"

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
}

var (
	avx2   = isa{name: "avx2", lanes: 8, rows: 6}
	avx512 = isa{name: "avx512", lanes: 16, rows: 12}
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

// low is the part of v that has 128 bits.
func low(v reg.VecVirtual) reg.Register { return v.AsX() }

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

// storePart stores the elements of m and leaves the others as they are.
func (s isa) storePart(c *build.Context, m mask, v reg.VecVirtual, to operand.Mem) {
	if s.wide() {
		c.VMOVUPS(v, m.k, to)
	} else {
		c.VMASKMOVPS(v, m.v, to)
	}
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
