package main

import (
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// expr writes one expression for a vector.
func (l *lowerer) expr(i value, m []mask) {
	x := &l.p.exprs[i]
	switch x.op {
	case "const", "scalar":
		return
	case "word", "float":
		// The same bits: the register changes hands.
		if l.isConst(x.args[0]) {
			panic("constant of the wrong kind in " + l.p.name)
		}
		l.vecs[i] = l.reg(x.args[0])
		if !l.dies(x.args[0], i) {
			v := l.vec(l.Context)
			l.VMOVUPS(l.vecs[i], v)
			l.vecs[i] = v
		}
		return
	case "in":
		l.vecs[i] = l.input(x, m)
	case "even":
		l.loadPair(i, l.doubled(inputField(int(x.imm))), m)
	case "odd":
		// Made by even, which comes before it.
	case "index":
		l.vecs[i] = l.indices()
	case "cmp", "ieq", "both":
		l.truths[i] = l.compare(x)
	case "fma":
		l.vecs[i] = l.fma(i, x)
	case "choose":
		v := l.vec(l.Context)
		l.blend(l.truths[x.args[0]], l.reg(x.args[1]), l.reg(x.args[2]), v)
		l.vecs[i] = v
	case "sqrt", "fromInt", "toInt":
		v := l.vec(l.Context)
		f := map[string]func(...operand.Op){"fromInt": l.VCVTDQ2PS, "toInt": l.VCVTPS2DQ, "sqrt": l.VSQRTPS}[x.op]
		f(l.op(x.args[0]), v)
		l.vecs[i] = v
	case "shl", "shr", "sar":
		v := l.vec(l.Context)
		f := map[string]func(...operand.Op){"shl": l.VPSLLD, "shr": l.VPSRLD, "sar": l.VPSRAD}[x.op]
		f(operand.Imm(uint64(x.imm)), l.reg(x.args[0]), v)
		l.vecs[i] = v
	default:
		v := l.vec(l.Context)
		// In the order of Go: the second source comes first.
		l.binary(x.op)(l.op(x.args[1]), l.reg(x.args[0]), v)
		l.vecs[i] = v
	}
}

// input loads a vector of an input, or as much as the mask lets pass.
func (l *lowerer) input(x *expr, m []mask) reg.VecVirtual {
	v := l.vec(l.Context)
	from := operand.Mem{Base: l.ptr[inputField(int(x.imm))], Index: l.i, Scale: 1, Disp: l.at}
	if m != nil {
		l.loadPart(l.Context, m[0], from, v)
	} else {
		l.VMOVUPS(from, v)
	}
	return v
}

// indices counts the elements of the vector from the start of the slices.
func (l *lowerer) indices() reg.VecVirtual {
	v := l.vec(l.Context)
	n := l.GP64()
	l.MOVQ(l.i, n)
	l.SHRQ(operand.Imm(2), n)
	low := v.AsX()
	l.VMOVD(n.As32(), low)
	l.VPBROADCASTD(low, v)
	l.VPADDD(l.k.table(count(0, 1)), v, v)
	return v
}

func count(first, step uint32) (t [16]uint32) {
	for i := range t {
		t[i] = first + uint32(i)*step
	}
	return t
}

func (l *lowerer) binary(op string) func(...operand.Op) {
	three := func(f func(a, b, c operand.Op)) func(...operand.Op) {
		return func(o ...operand.Op) { f(o[0], o[1], o[2]) }
	}
	switch op {
	case "add":
		return l.VADDPS
	case "sub":
		return l.VSUBPS
	case "mul":
		return l.VMULPS
	case "div":
		return l.VDIVPS
	case "max":
		return l.VMAXPS
	case "min":
		return l.VMINPS
	case "iadd":
		return l.VPADDD
	case "isub":
		return l.VPSUBD
	}
	if l.wide() {
		return map[string]func(...operand.Op){"and": l.VPANDD, "or": l.VPORD, "xor": l.VPXORD}[op]
	}
	return map[string]func(...operand.Op){"and": three(l.VPAND), "or": three(l.VPOR), "xor": three(l.VPXOR)}[op]
}

// fma chooses the form of the instruction that changes a register which nobody
// reads any more.
func (l *lowerer) fma(i value, x *expr) reg.VecVirtual {
	a, b, c := x.args[0], x.args[1], x.args[2]
	if l.isConst(a) || (l.isConst(c) && l.dies(b, i) && !l.dies(a, i)) {
		a, b = b, a
	}
	switch {
	case l.dies(c, i) && c != a && c != b:
		v := l.reg(c)
		l.VFMADD231PS(l.op(b), l.reg(a), v)
		return v
	case l.dies(a, i) && a != b && a != c && !l.isConst(b):
		v := l.reg(a)
		l.VFMADD213PS(l.op(c), l.reg(b), v)
		return v
	}
	v := l.vec(l.Context)
	l.VMOVUPS(l.op(c), v)
	l.VFMADD231PS(l.op(b), l.reg(a), v)
	return v
}

func (l *lowerer) compare(x *expr) mask {
	a, b := x.args[0], x.args[1]
	if l.wide() {
		k := l.Context.K()
		switch x.op {
		case "cmp":
			l.VCMPPS(operand.Imm(uint64(x.imm)), l.op(b), l.reg(a), k)
		case "ieq":
			l.VPCMPEQD(l.op(b), l.reg(a), k)
		case "both":
			l.KANDW(l.truths[a].k, l.truths[b].k, k)
		}
		return mask{k: k}
	}
	v := l.YMM()
	switch x.op {
	case "cmp":
		l.VCMPPS(operand.Imm(uint64(x.imm)), l.op(b), l.reg(a), v)
	case "ieq":
		l.VPCMPEQD(l.op(b), l.reg(a), v)
	case "both":
		l.VANDPS(l.truths[a].v, l.truths[b].v, v)
	}
	return mask{v: v}
}

// blend sets dst to yes where the mask is set, to no elsewhere.
func (l *lowerer) blend(m mask, yes, no, dst reg.VecVirtual) {
	if l.wide() {
		l.VBLENDMPS(yes, no, m.k, dst)
	} else {
		l.VBLENDVPS(m.v, yes, no, dst)
	}
}

// loadPair loads 2i and 2i+1 for a vector of i: two vectors, sorted.
func (l *lowerer) loadPair(i value, from operand.Mem, m []mask) {
	var v [2]reg.VecVirtual
	for h := range v {
		v[h] = l.vec(l.Context)
		at := from.Offset(h * l.bytes())
		if m != nil {
			l.loadPart(l.Context, m[1+h], at, v[h])
		} else {
			l.VMOVUPS(at, v[h])
		}
	}
	for odd := range 2 {
		out := l.vec(l.Context)
		if l.wide() {
			index := l.vec(l.Context)
			l.VMOVUPS(l.k.table(count(uint32(odd), 2)), index)
			l.VMOVUPS(v[0], out)
			l.VPERMT2PS(v[1], index, out)
		} else {
			l.VSHUFPS(operand.Imm([]uint64{0x88, 0xdd}[odd]), v[1], v[0], out)
			l.VPERMPD(operand.Imm(0xd8), out, out)
		}
		if odd == 0 {
			l.vecs[i] = out
		} else if j, ok := l.p.known[l.oddKey(i)]; ok {
			l.vecs[j] = out
		}
	}
}

// oddKey names the other half of a pair.
func (l *lowerer) oddKey(even value) string { return key("odd", float, l.p.exprs[even].imm) }

// storePair stores two vectors as 2i and 2i+1.
func (l *lowerer) storePair(even, odd reg.VecVirtual, to operand.Mem, m []mask) {
	var out [2]reg.VecVirtual
	out[0], out[1] = l.vec(l.Context), l.vec(l.Context)
	if l.wide() {
		for h := range out {
			var t [16]uint32
			for j := range t {
				t[j] = uint32(8*h+j/2) + 16*uint32(j%2)
			}
			index := l.vec(l.Context)
			l.VMOVUPS(l.k.table(t), index)
			l.VMOVUPS(even, out[h])
			l.VPERMT2PS(odd, index, out[h])
		}
	} else {
		lo, hi := l.YMM(), l.YMM()
		l.VUNPCKLPS(odd, even, lo)
		l.VUNPCKHPS(odd, even, hi)
		l.VPERM2F128(operand.Imm(0x20), hi, lo, out[0])
		l.VPERM2F128(operand.Imm(0x31), hi, lo, out[1])
	}
	for h, v := range out {
		at := to.Offset(h * l.bytes())
		if m != nil {
			l.storePart(l.Context, m[1+h], v, at)
		} else {
			l.VMOVUPS(v, at)
		}
	}
}
