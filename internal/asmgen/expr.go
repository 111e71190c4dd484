package main

import (
	"fmt"
	"math"
)

// value is a number of one element: a float32, 32 bits, or a truth. It names the
// expression that makes it.
type value int

// kind is the type of a value.
type kind int

const (
	float kind = iota
	word
	truth
)

// expr makes one value of others. Expressions are pure, so that they can be
// written for one element in Go and for a vector in assembly.
type expr struct {
	op   string
	kind kind
	args []value
	imm  uint32 // constant, shift, number of an input or a scalar, comparison
}

// prog is a kernel: for each element i it computes values of inputs[i] and
// scalars, and stores outputs[i], or adds to 16 strided partial results.
type prog struct {
	name  string
	doc   string
	exprs []expr
	known map[string]value // equal expressions are made once

	outs    []output
	reduces []reduce
}

// output is where a value goes. A pair goes to 2i and 2i+1.
type output struct {
	place int
	v     value
	odd   value // of a pair
	pair  bool
}

// reduce folds a value into partial result i mod 16.
type reduce struct {
	op   string // add, max (of floats), top (of bits, as signed integers), fma
	v, w value
}

func key(op string, k kind, imm uint32, args ...value) string {
	return fmt.Sprint(op, k, imm, args)
}

// add1 adds an expression, unless there is an equal one.
func (p *prog) add1(op string, k kind, imm uint32, args ...value) value {
	name := key(op, k, imm, args...)
	if v, ok := p.known[name]; ok {
		return v
	}
	p.exprs = append(p.exprs, expr{op: op, kind: k, args: args, imm: imm})
	v := value(len(p.exprs) - 1)
	if p.known == nil {
		p.known = map[string]value{}
	}
	p.known[name] = v
	return v
}

// Where values come from.

func (p *prog) in(i int) value     { return p.add1("in", float, uint32(i)) }
func (p *prog) inWord(i int) value { return p.add1("in", word, uint32(i)) }
func (p *prog) scalar(i int) value { return p.add1("scalar", float, uint32(i)) }
func (p *prog) scalarWord(i int) value {
	return p.add1("scalar", word, uint32(i))
}
func (p *prog) f(x float64) value   { return p.add1("const", float, math.Float32bits(float32(x))) }
func (p *prog) bits(x uint32) value { return p.add1("const", word, x) }

// into is the old value of an output; back replaces an input.
func (p *prog) into(place int) value { return p.in(outputBase + place) }
func (p *prog) back(place int, v value) {
	p.outs = append(p.outs, output{place: place - inputBase, v: v})
}

// Inputs from outputBase on are outputs; outputs below 0 are inputs.
const (
	outputBase = 100
	inputBase  = 100
)

// field is the field of struct vector of an input, or of an output.
func inputField(i int) string {
	if i >= outputBase {
		return outputs[i-outputBase]
	}
	return inputs[i]
}

func outputField(i int) string {
	if i < 0 {
		return inputs[i+inputBase]
	}
	return outputs[i]
}

// index is i.
func (p *prog) index() value { return p.add1("index", word, 0) }

// pair is elements 2i and 2i+1 of an input.
func (p *prog) pair(i int) (even, odd value) {
	return p.add1("even", float, uint32(i)), p.add1("odd", float, uint32(i))
}

// Arithmetic, each rounded once.

func (p *prog) add(a, b value) value    { return p.add1("add", float, 0, a, b) }
func (p *prog) sub(a, b value) value    { return p.add1("sub", float, 0, a, b) }
func (p *prog) mul(a, b value) value    { return p.add1("mul", float, 0, a, b) }
func (p *prog) div(a, b value) value    { return p.add1("div", float, 0, a, b) }
func (p *prog) sqrt(a value) value      { return p.add1("sqrt", float, 0, a) }
func (p *prog) fma(a, b, c value) value { return p.add1("fma", float, 0, a, b, c) }

// max is a if a > b, else b; min likewise.
func (p *prog) max(a, b value) value { return p.add1("max", float, 0, a, b) }
func (p *prog) min(a, b value) value { return p.add1("min", float, 0, a, b) }

// Bits.

func (p *prog) word(a value) value          { return p.add1("word", word, 0, a) }
func (p *prog) float(a value) value         { return p.add1("float", float, 0, a) }
func (p *prog) and(a, b value) value        { return p.add1("and", word, 0, a, b) }
func (p *prog) or(a, b value) value         { return p.add1("or", word, 0, a, b) }
func (p *prog) iadd(a, b value) value       { return p.add1("iadd", word, 0, a, b) }
func (p *prog) isub(a, b value) value       { return p.add1("isub", word, 0, a, b) }
func (p *prog) shl(a value, n uint32) value { return p.add1("shl", word, n, a) }
func (p *prog) shr(a value, n uint32) value { return p.add1("shr", word, n, a) }
func (p *prog) sar(a value, n uint32) value { return p.add1("sar", word, n, a) }
func (p *prog) fromInt(a value) value       { return p.add1("fromInt", float, 0, a) }
func (p *prog) toInt(a value) value         { return p.add1("toInt", word, 0, a) }

// Comparisons, false if a number is a NaN, except for not le.

func (p *prog) gt(a, b value) value    { return p.add1("cmp", truth, cmpGT, a, b) }
func (p *prog) ge(a, b value) value    { return p.add1("cmp", truth, cmpGE, a, b) }
func (p *prog) lt(a, b value) value    { return p.add1("cmp", truth, cmpLT, a, b) }
func (p *prog) eq(a, b value) value    { return p.add1("cmp", truth, cmpEQ, a, b) }
func (p *prog) notLE(a, b value) value { return p.add1("cmp", truth, cmpNLE, a, b) }
func (p *prog) ieq(a, b value) value   { return p.add1("ieq", truth, 0, a, b) }
func (p *prog) both(a, b value) value  { return p.add1("both", truth, 0, a, b) }

// The predicates of VCMPPS, without exceptions for quiet NaNs.
const (
	cmpEQ  = 0x00
	cmpNLE = 0x16
	cmpLT  = 0x11
	cmpGE  = 0x1d
	cmpGT  = 0x1e
)

// choose is a if t, else b.
func (p *prog) choose(t, a, b value) value {
	return p.add1("choose", p.exprs[a].kind, 0, t, a, b)
}

func (p *prog) abs(a value) value { return p.float(p.and(p.word(a), p.bits(1<<31-1))) }

func (p *prog) neg(a value) value {
	return p.float(p.add1("xor", word, 0, p.word(a), p.bits(1<<31)))
}

// copysign is |a| with the sign of b.
func (p *prog) copysign(a, b value) value {
	return p.float(p.or(p.and(p.word(a), p.bits(1<<31-1)), p.and(p.word(b), p.bits(1<<31))))
}

// Where values go.

func (p *prog) out(place int, v value) { p.outs = append(p.outs, output{place: place, v: v}) }
func (p *prog) outPair(place int, even, odd value) {
	p.outs = append(p.outs, output{place: place, v: even, odd: odd, pair: true})
}
func (p *prog) sum(v value)           { p.reduces = append(p.reduces, reduce{op: "add", v: v}) }
func (p *prog) sumProduct(v, w value) { p.reduces = append(p.reduces, reduce{op: "fma", v: v, w: w}) }
func (p *prog) greatest(v value)      { p.reduces = append(p.reduces, reduce{op: "max", v: v}) }
func (p *prog) top(v value)           { p.reduces = append(p.reduces, reduce{op: "top", v: v}) }

// lastUse is, for each value, the last expression that reads it; values that are
// stored live to the end.
func (p *prog) lastUse() []int {
	last := make([]int, len(p.exprs))
	for i, x := range p.exprs {
		for _, a := range x.args {
			last[a] = i
		}
	}
	keep := func(v value) { last[v] = len(p.exprs) }
	for _, o := range p.outs {
		keep(o.v)
		if o.pair {
			keep(o.odd)
		}
	}
	for _, r := range p.reduces {
		keep(r.v)
		if r.op == "fma" {
			keep(r.w)
		}
	}
	return last
}

// prune forgets expressions that nothing needs.
func (p *prog) prune() {
	need := make([]bool, len(p.exprs))
	mark := func(v value) { need[v] = true }
	for _, o := range p.outs {
		mark(o.v)
		if o.pair {
			mark(o.odd)
		}
	}
	for _, r := range p.reduces {
		mark(r.v)
		if r.op == "fma" {
			mark(r.w)
		}
	}
	for i := len(p.exprs) - 1; i >= 0; i-- {
		if need[i] {
			for _, a := range p.exprs[i].args {
				mark(a)
			}
		}
	}
	for i := range p.exprs {
		if !need[i] && p.exprs[i].op != "even" {
			p.exprs[i] = expr{op: "const"}
		}
	}
}
