package main

import (
	"github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// columnVecs is how many vectors of columns are added up at once, in registers.
const columnVecs = 8

// columns writes sums of the columns of matrices: to n elements of p are added, row
// by row, those of x, or the rounded products of those of x and y, for s1 rows
// that lie s0 bytes apart.
func columns(c *build.Context, s isa, f layout) {
	for _, product := range []bool{false, true} {
		l := &columnSums{Context: c, isa: s, f: f, product: product}
		l.write()
	}
}

type columnSums struct {
	*build.Context
	isa
	f          layout
	product    bool
	arg        reg.GPVirtual
	n, x, y, p reg.GPVirtual
}

func (l *columnSums) field(name string) operand.Mem { return operand.Mem{Base: l.arg, Disp: l.f[name]} }

func (l *columnSums) load(name string) reg.GPVirtual {
	r := l.GP64()
	l.MOVQ(l.field(name), r)
	return r
}

func (l *columnSums) write() {
	name := "columns_"
	if l.product {
		name = "columnProducts_"
	}
	l.arg = function(l.Context, name+l.name, "vector")
	l.n, l.x, l.p = l.load("n"), l.load("x"), l.load("p")
	if l.product {
		l.y = l.load("y")
	}
	l.Label("wide")
	l.CMPQ(l.n, operand.Imm(uint64(columnVecs*l.lanes)))
	l.JLT(operand.LabelRef("narrow"))
	l.block("wideRow", columnVecs, nil)
	l.JMP(operand.LabelRef("wide"))
	l.Label("narrow")
	l.CMPQ(l.n, operand.Imm(uint64(l.lanes)))
	l.JLT(operand.LabelRef("rest"))
	l.block("narrowRow", 1, nil)
	l.JMP(operand.LabelRef("narrow"))
	l.Label("rest")
	l.TESTQ(l.n, l.n)
	l.JEQ(operand.LabelRef("done"))
	masks := l.load("masks")
	l.MOVQ(operand.Mem{Base: masks, Index: l.n, Scale: 8}, masks)
	m := l.loadMask(l.Context, operand.Mem{Base: masks})
	l.block("restRow", 1, &m)
	l.Label("done")
	l.VZEROUPPER()
	l.RET()
}

// block adds up so many vectors of columns, of which m exist if it is not nil,
// and goes on to the next.
func (l *columnSums) block(label string, vecs int, m *mask) {
	acc := make([]reg.VecVirtual, vecs)
	for i := range acc {
		acc[i] = l.get(m, l.p, i)
	}
	rows, step, x := l.load("s1"), l.load("s0"), l.GP64()
	l.MOVQ(l.x, x)
	y := x
	if l.product {
		y = l.GP64()
		l.MOVQ(l.y, y)
	}
	l.Label(label)
	for i := range acc {
		v := l.get(m, x, i)
		if l.product {
			l.VMULPS(l.get(m, y, i), v, v)
		}
		l.VADDPS(v, acc[i], acc[i])
	}
	l.ADDQ(step, x)
	if l.product {
		l.ADDQ(step, y)
	}
	l.DECQ(rows)
	l.JNE(operand.LabelRef(label))
	for i := range acc {
		to := operand.Mem{Base: l.p, Disp: i * l.bytes()}
		if m != nil {
			l.storePart(l.Context, *m, acc[i], to)
			return
		}
		l.VMOVUPS(acc[i], to)
	}
	size := operand.U32(uint32(vecs * l.bytes()))
	l.ADDQ(size, l.x)
	l.ADDQ(size, l.p)
	if l.product {
		l.ADDQ(size, l.y)
	}
	l.SUBQ(operand.U32(uint32(vecs*l.lanes)), l.n)
}

func (l *columnSums) get(m *mask, base reg.GPVirtual, i int) reg.VecVirtual {
	v, from := l.vec(l.Context), operand.Mem{Base: base, Disp: i * l.bytes()}
	if m != nil {
		l.loadPart(l.Context, *m, from, v)
	} else {
		l.VMOVUPS(from, v)
	}
	return v
}
