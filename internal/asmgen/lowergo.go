package main

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// goLowerer writes expressions as Go for one element.
type goLowerer struct {
	p    *prog
	text strings.Builder
}

func (g *goLowerer) line(format string, args ...any) {
	fmt.Fprintf(&g.text, format+"\n", args...)
}

// literal is a constant of Go.
func literal(bits uint32) string {
	f := math.Float32frombits(bits)
	switch {
	case f != f:
		return "nan32"
	case math.IsInf(float64(f), 1):
		return "inf32"
	case math.IsInf(float64(f), -1):
		return "-inf32"
	}
	return strconv.FormatFloat(float64(f), 'g', -1, 32)
}

func (g *goLowerer) name(v value) string {
	switch x := g.p.exprs[v]; {
	case x.op == "const" && x.kind == float:
		return literal(x.imm)
	case x.op == "const":
		return fmt.Sprintf("%#x", x.imm)
	case x.op == "scalar" && x.kind == float:
		return fmt.Sprintf("s%d", x.imm)
	case x.op == "scalar":
		return fmt.Sprintf("w%d", x.imm)
	}
	return fmt.Sprintf("v%d", v)
}

// goOps are expressions over the names of their arguments.
var goOps = map[string]string{
	"add": "%s + %s", "sub": "%s - %s", "mul": "float32(%s * %s)", "div": "%s / %s", "fma": "fma32(%s, %s, %s)",
	"max": "max32(%s, %s)", "min": "min32(%s, %s)", "sqrt": "sqrt32(%s)",
	"word": "math.Float32bits(%s)", "float": "math.Float32frombits(%s)",
	"and": "%s & %s", "or": "%s | %s", "xor": "%s ^ %s", "iadd": "%s + %s", "isub": "%s - %s",
	"fromInt": "float32(int32(%s))", "toInt": "uint32(roundInt(%s))", "ieq": "%s == %s", "both": "%s && %s",
}

var goCompare = map[uint32]string{cmpEQ: "%s == %s", cmpNLE: "!(%s <= %s)", cmpLT: "%s < %s", cmpGE: "%s >= %s", cmpGT: "%s > %s"}

func (g *goLowerer) body() {
	for i, x := range g.p.exprs {
		var args []any
		for _, a := range x.args {
			args = append(args, g.name(a))
		}
		v := fmt.Sprintf("v%d", i)
		switch x.op {
		case "const", "scalar":
		case "in":
			g.line("%s := %s[i]", v, inputField(int(x.imm)))
		case "even":
			g.line("%s := %s[2*i]", v, inputField(int(x.imm)))
		case "odd":
			g.line("%s := %s[2*i+1]", v, inputField(int(x.imm)))
		case "index":
			g.line("%s := uint32(i)", v)
		case "shl":
			g.line("%s := %s << %d", v, args[0], x.imm)
		case "shr":
			g.line("%s := %s >> %d", v, args[0], x.imm)
		case "sar":
			g.line("%s := uint32(int32(%s) >> %d)", v, args[0], x.imm)
		case "cmp":
			g.line(v+" := "+goCompare[x.imm], args...)
		case "choose":
			typ := map[kind]string{float: "float32", word: "uint32"}[x.kind]
			g.line("%s := %s(%s)\nif %s {\n%s = %s\n}", v, typ, args[2], args[0], v, args[1])
		default:
			g.line(v+" := "+goOps[x.op], args...)
		}
	}
}

// places are the fields of vector through which inputs and outputs are reached.
var (
	inputs  = []string{"x", "y", "z", "u", "a", "b"}
	outputs = []string{"p", "q", "r"}
)

// kernel writes the loop over all elements.
func (g *goLowerer) kernel() string {
	p := g.p
	g.line("\n// %s is %s.", p.name, p.doc)
	g.line("func %s(v *vector) {", p.name)
	seen := map[string]bool{}
	slice := func(field string, k kind, n string) {
		if !seen[field] {
			seen[field] = true
			g.line("%s := unsafe.Slice((*%s)(v.%s), %s)", field, map[kind]string{float: "float32", word: "uint32"}[k], field, n)
		}
	}
	for _, x := range p.exprs {
		switch {
		case x.op == "in":
			slice(inputField(int(x.imm)), x.kind, "v.n")
		case x.op == "even":
			slice(inputField(int(x.imm)), x.kind, "2*v.n")
		case x.op == "scalar" && x.kind == float:
			g.line("s%d := math.Float32frombits(uint32(v.s%[1]d))", x.imm)
		case x.op == "scalar":
			g.line("w%d := uint32(v.s%[1]d)", x.imm)
		}
	}
	for _, o := range p.outs {
		slice(outputField(o.place), p.exprs[o.v].kind, map[bool]string{false: "v.n", true: "2*v.n"}[o.pair])
	}
	for i := range p.reduces {
		g.line("part%d := &v.part%[1]d", i)
	}
	g.line("for i := range v.n {")
	g.body()
	g.stores()
	g.line("}\n}")
	return g.text.String()
}

func (g *goLowerer) stores() {
	for _, o := range g.p.outs {
		if to := outputField(o.place); o.pair {
			g.line("%s[2*i], %[1]s[2*i+1] = %s, %s", to, g.name(o.v), g.name(o.odd))
		} else {
			g.line("%s[i] = %s", to, g.name(o.v))
		}
	}
	for i, r := range g.p.reduces {
		part := fmt.Sprintf("part%d[i%%16]", i)
		switch r.op {
		case "add":
			g.line("%s += %s", part, g.name(r.v))
		case "fma":
			g.line("%s = fma32(%s, %s, %[1]s)", part, g.name(r.v), g.name(r.w))
		case "max":
			g.line("%s = max32(%s, %[1]s)", part, g.name(r.v))
		case "top":
			g.line("%s = math.Float32frombits(uint32(max(int32(math.Float32bits(%[1]s)), int32(%[2]s))))", part, g.name(r.v))
		}
	}
}

// function writes a kernel of one input as a function of one number.
func (g *goLowerer) function(name string) string {
	g.line("\n// %s is %s.", name, g.p.doc)
	g.line("func %s(v0 float32) float32 {", name)
	var body goLowerer
	body.p = g.p
	body.body()
	text := strings.Replace(body.text.String(), "v0 := x[i]\n", "", 1)
	g.line("%sreturn %s\n}", text, g.name(g.p.outs[0].v))
	return g.text.String()
}
