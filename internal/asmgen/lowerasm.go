package main

import (
	"fmt"
	"slices"

	"github.com/mmcloughlin/avo/attr"
	"github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// constants are vectors of 16 equal words (or other tables of 16 words) in the
// read-only data of a file.
type constants struct {
	c    *build.Context
	base operand.Mem
	at   map[[16]uint32]int
	all  [][16]uint32
}

func newConstants(c *build.Context, isa isa) *constants {
	return &constants{c: c, at: map[[16]uint32]int{}, base: operand.NewDataAddr(operand.NewStaticSymbol("constants_"+isa.name), 0)}
}

func (k *constants) table(t [16]uint32) operand.Mem {
	at, ok := k.at[t]
	if !ok {
		at = len(k.all)
		k.at[t] = at
		k.all = append(k.all, t)
	}
	return k.base.Offset(64 * at)
}

func (k *constants) word(w uint32) operand.Mem {
	var t [16]uint32
	for i := range t {
		t[i] = w
	}
	return k.table(t)
}

// write adds the data to the file.
func (k *constants) write(isa isa) error {
	if isa.wide() {
		if err := k.broadcast(); err != nil {
			return err
		}
	}
	k.c.StaticGlobal("constants_" + isa.name)
	k.c.DataAttributes(attr.RODATA | attr.NOPTR)
	for i, t := range k.all {
		for j, w := range t {
			k.c.AddDatum(64*i+4*j, operand.U32(w))
		}
	}
	return nil
}

// broadcast has instructions read one word of 16 equal ones. The linker aligns data to
// 32 bytes only, and vectors of 64 that cross cache lines take twice as long.
func (k *constants) broadcast() error {
	f, err := k.c.Result()
	if err != nil {
		return err
	}
	for _, fn := range f.Functions() {
		for _, i := range fn.Instructions() {
			switch {
			case !slices.ContainsFunc(i.Operands, k.equal):
			case i.Opcode == "VMOVUPS":
				i.Opcode = "VBROADCASTSS"
			default:
				i.Suffixes = append(i.Suffixes, "BCST")
			}
		}
	}
	return nil
}

// equal is whether an operand is one of the constants, of equal words.
func (k *constants) equal(o operand.Op) bool {
	m, ok := o.(operand.Mem)
	if !ok || m.Symbol != k.base.Symbol {
		return false
	}
	t := k.all[(m.Disp-k.base.Disp)/64]
	return !slices.ContainsFunc(t[:], func(w uint32) bool { return w != t[0] })
}

// lowerer writes a kernel for vectors.
type lowerer struct {
	*build.Context
	isa
	k    *constants
	p    *prog
	last []int

	arg     reg.GPVirtual
	f       layout
	n, i    reg.GPVirtual // elements left, bytes done
	ptr     map[string]reg.GPVirtual
	scalars map[value]reg.VecVirtual
	acc     [][]reg.VecVirtual // by reduce, by half

	// Of the present one of some vectors that are computed abreast.
	at     int // bytes from i
	vecs   map[value]reg.VecVirtual
	truths map[value]mask
}

func (l *lowerer) field(name string) operand.Mem {
	at, ok := l.f[name]
	if !ok {
		panic("vector has no field " + name)
	}
	return operand.Mem{Base: l.arg, Disp: at}
}

// halves is how many vectors an iteration takes: partial results have 16 places.
func (l *lowerer) halves() int {
	if len(l.p.reduces) > 0 && !l.wide() {
		return 2
	}
	return 1
}

func (l *lowerer) write() {
	l.last = l.p.lastUse()
	l.arg = function(l.Context, l.p.name+"_"+l.name, "vector")
	l.begin()
	step := uint64(l.halves() * l.lanes)
	if many := l.abreast(); many > 1 {
		l.SUBQ(operand.Imm(uint64(many)*step), l.n)
		l.JLT(operand.LabelRef("few"))
		l.Label("abreast")
		l.bodies(many, 0, nil)
		l.SUBQ(operand.Imm(uint64(many)*step), l.n)
		l.JGE(operand.LabelRef("abreast"))
		l.Label("few")
		l.ADDQ(operand.Imm(uint64(many)*step), l.n)
	}
	l.SUBQ(operand.Imm(step), l.n)
	l.JLT(operand.LabelRef("rest"))
	l.Label("loop")
	for h := range l.halves() {
		l.bodies(1, h, nil)
	}
	l.SUBQ(operand.Imm(step), l.n)
	l.JGE(operand.LabelRef("loop"))
	l.Label("rest")
	l.ADDQ(operand.Imm(step), l.n)
	l.JEQ(operand.LabelRef("done"))
	masks := l.GP64()
	l.MOVQ(l.field("masks"), masks)
	for h := range l.halves() {
		l.bodies(1, h, l.partMasks(masks, h))
	}
	l.Label("done")
	for r := range l.p.reduces {
		for h, acc := range l.acc[r] {
			l.VMOVUPS(acc, l.part(r, h))
		}
	}
	l.VZEROUPPER()
	l.RET()
}

func (l *lowerer) part(r, half int) operand.Mem {
	m := l.field("part0")
	m.Disp += 64*r + half*l.bytes()
	return m
}

// partMasks loads the masks of what is left: of elements, and of the two vectors
// that hold pairs of elements.
func (l *lowerer) partMasks(masks reg.GPVirtual, half int) []mask {
	at := func(first uint64, times uint64) mask {
		n, zero := l.GP64(), l.GP64()
		l.MOVQ(l.n, n)
		if times == 2 {
			l.ADDQ(n, n)
		}
		l.SUBQ(operand.Imm(first), n)
		l.XORQ(zero, zero)
		l.CMPQ(n, operand.Imm(0))
		l.CMOVQLT(zero, n)
		most := l.GP64()
		l.MOVQ(operand.U32(uint32(l.lanes)), most)
		l.CMPQ(n, most)
		l.CMOVQGT(most, n)
		l.MOVQ(operand.Mem{Base: masks, Index: n, Scale: 8}, n)
		return l.loadMask(l.Context, operand.Mem{Base: n})
	}
	m := []mask{at(uint64(half*l.lanes), 1)}
	if l.p.hasPairs() {
		m = append(m, at(0, 2), at(uint64(l.lanes), 2))
	}
	return m
}

func (p *prog) hasPairs() bool {
	for _, x := range p.exprs {
		if x.op == "even" {
			return true
		}
	}
	for _, o := range p.outs {
		if o.pair {
			return true
		}
	}
	return false
}

// begin loads what stays in registers.
func (l *lowerer) begin() {
	l.n, l.i = l.GP64(), l.GP64()
	l.MOVQ(l.field("n"), l.n)
	l.XORQ(l.i, l.i)
	l.ptr, l.scalars = map[string]reg.GPVirtual{}, map[value]reg.VecVirtual{}
	pointer := func(name string) {
		if _, ok := l.ptr[name]; !ok {
			l.ptr[name] = l.GP64()
			l.MOVQ(l.field(name), l.ptr[name])
		}
	}
	for i, x := range l.p.exprs {
		switch x.op {
		case "in", "even":
			pointer(inputField(int(x.imm)))
		case "scalar":
			v := l.vec(l.Context)
			l.VBROADCASTSS(l.field(fmt.Sprintf("s%d", x.imm)), v)
			l.scalars[value(i)] = v
		}
	}
	for _, o := range l.p.outs {
		pointer(outputField(o.place))
	}
	l.acc = nil
	for r := range l.p.reduces {
		var accs []reg.VecVirtual
		for h := range l.halves() {
			v := l.vec(l.Context)
			l.VMOVUPS(l.part(r, h), v)
			accs = append(accs, v)
		}
		l.acc = append(l.acc, accs)
	}
}

// abreast is how many vectors are computed at the same time: where expressions are
// long, each waits for the one before, and the processor does not look far enough
// ahead to find the next vector. AVX2 has no registers for that.
func (l *lowerer) abreast() int {
	if !l.wide() || len(l.p.exprs) < 16 || l.p.hasPairs() {
		return 1
	}
	values, truths := l.p.mostAlive()
	if truths > 1 { // masks do not suffice
		return 1
	}
	const registers, temporary = 32, 2
	return max(min((registers-temporary-len(l.scalars)-len(l.p.reduces))/values, 4), 1)
}

// mostAlive is the greatest numbers of values, and of truths, that are needed at
// the same time.
func (p *prog) mostAlive() (values, truths int) {
	last := p.lastUse()
	for i := range p.exprs {
		v, t := 0, 0
		for j, x := range p.exprs[:i+1] {
			switch {
			case last[j] < i || x.op == "const" || x.op == "scalar":
			case x.kind == truth:
				t++
			default:
				v++
			}
		}
		values, truths = max(values, v), max(truths, t)
	}
	return values, truths
}

// bodies computes so many vectors of elements. m is nil if all of them exist.
func (l *lowerer) bodies(many, half int, m []mask) {
	vecs, truths := make([]map[value]reg.VecVirtual, many), make([]map[value]mask, many)
	each := func(f func()) {
		for i := range many {
			l.at, l.vecs, l.truths = i*l.bytes(), vecs[i], truths[i]
			f()
		}
	}
	for i := range many {
		vecs[i], truths[i] = map[value]reg.VecVirtual{}, map[value]mask{}
	}
	for i := range l.p.exprs {
		each(func() { l.expr(value(i), m) })
	}
	each(func() {
		for _, o := range l.p.outs {
			l.store(o, m)
		}
		for r := range l.p.reduces {
			l.reduce(&l.p.reduces[r], l.acc[r][half], m)
		}
	})
	l.ADDQ(operand.U32(uint32(many*l.bytes())), l.i)
}

func (l *lowerer) store(o output, m []mask) {
	to := operand.Mem{Base: l.ptr[outputField(o.place)], Index: l.i, Scale: 1, Disp: l.at}
	switch {
	case o.pair:
		l.storePair(l.reg(o.v), l.reg(o.odd), l.doubled(outputField(o.place)), m)
	case m != nil:
		l.storePart(l.Context, m[0], l.reg(o.v), to)
	default:
		l.VMOVUPS(l.reg(o.v), to)
	}
}

func (l *lowerer) reduce(r *reduce, acc reg.VecVirtual, m []mask) {
	to := acc
	if m != nil {
		to = l.vec(l.Context)
		l.VMOVUPS(acc, to)
	}
	switch r.op {
	case "add":
		l.VADDPS(l.op(r.v), to, to)
	case "fma":
		l.VFMADD231PS(l.op(r.v), l.reg(r.w), to)
	case "max":
		// max32(v, acc): v if it is greater.
		l.VMAXPS(to, l.reg(r.v), to)
	case "top":
		l.VPMAXSD(l.op(r.v), to, to)
	}
	if m != nil {
		l.blend(m[0], to, acc, acc)
	}
}

// doubled is the place of pairs: 2i.
func (l *lowerer) doubled(name string) operand.Mem {
	return operand.Mem{Base: l.ptr[name], Index: l.i, Scale: 2}
}

// op is a value as an operand that may be in memory.
func (l *lowerer) op(v value) operand.Op {
	if x := l.p.exprs[v]; x.op == "const" {
		return l.k.word(x.imm)
	}
	return l.reg(v)
}

// reg is a value in a register, which must not be changed.
func (l *lowerer) reg(v value) reg.VecVirtual {
	if r, ok := l.scalars[v]; ok {
		return r
	}
	if r, ok := l.vecs[v]; ok {
		return r
	}
	r := l.vec(l.Context)
	l.VMOVUPS(l.k.word(l.p.exprs[v].imm), r)
	return r
}

// isConst is whether a value is a constant.
func (l *lowerer) isConst(v value) bool { return l.p.exprs[v].op == "const" }

// dies is whether expression i is the last to read v, and v's register is free
// to be changed.
func (l *lowerer) dies(v, i value) bool {
	_, fixed := l.scalars[v]
	return !fixed && !l.isConst(v) && l.last[v] == int(i)
}
