package main

import (
	"fmt"

	"github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// fewTaps is the most taps of a kernel for few: they leave registers to turn dy.
const fewTaps = 9

// fews writes the inner kernels of the gradient of the weights for few taps. To
// turn dy takes about as long as to multiply with it then, so they turn it
// themselves, in registers, four elements at a time, and read it once.
func fews(c *build.Context, s isa, f layout) {
	for vecs := 1; vecs <= fewVecs(s); vecs++ {
		for taps := 1; taps <= fewTaps; taps++ {
			w := &few{weight{Context: c, isa: s, f: f, rows: taps, span: 1, vecs: vecs}}
			w.write()
		}
	}
}

// fewVecs is the most vectors of output channels: what registers hold.
func fewVecs(s isa) int { return s.lanes / 8 }

func fewKernel(taps, vecs int, s isa) string { return fmt.Sprintf("few%dx%d_%s", taps, vecs, s.name) }

// fewTable is Go that lists the kernels.
func fewTable(s isa) string {
	text := fmt.Sprintf("\n// fews_%s lists the kernels: see kernels.few.\nfunc fews_%[1]s() [][]func(*weigh) {\n\treturn [][]func(*weigh){\n", s.name)
	for vecs := 1; vecs <= fewVecs(s); vecs++ {
		text += "\t\t{"
		for taps := 1; taps <= fewTaps; taps++ {
			if taps > 1 {
				text += ", "
			}
			text += fewKernel(taps, vecs, s)
		}
		text += "},\n"
	}
	return text + "\t}\n}\n"
}

// few writes one kernel: rows of one tap, and dy in planes.
type few struct{ weight }

func (w *few) write() {
	w.begin(fewKernel(w.rows, w.vecs, w.isa))
	w.Label("line")
	w.until("lineEnd", 0)
	w.until("stepsEnd", 4)
	skip := w.GP64()
	w.XORQ(skip, skip)
	w.Label("four")
	w.four(skip)
	w.CMPQ(w.at, w.in("stepsEnd"))
	w.JLE(operand.LabelRef("four"))
	w.rest(skip)
	w.ADDQ(w.in("lineGap"), w.at)
	w.DECQ(w.in("lines"))
	w.JNE(operand.LabelRef("line"))
	w.end()
}

// four does the last elements of the next four, from skip on.
func (w *few) four(skip reg.GPVirtual) {
	dy := w.turned()
	for i := 1; i < 4; i++ {
		w.CMPQ(skip, operand.Imm(uint64(4*i)))
		w.JEQ(operand.LabelRef(fmt.Sprintf("from%d", i)))
	}
	for i := range 4 {
		if i > 0 {
			w.Label(fmt.Sprintf("from%d", i))
		}
		w.multiply(dy[i], 0, 0, i)
	}
	w.ADDQ(operand.Imm(16), w.at)
	w.ADDQ(operand.Imm(16), w.dy)
}

// rest goes back so far that the next four are the last ones of the line, if some
// are left. It leaves those out that are done.
func (w *few) rest(skip reg.GPVirtual) {
	w.MOVQ(w.at, skip)
	w.SUBQ(w.in("stepsEnd"), skip)
	w.CMPQ(skip, operand.Imm(16))
	w.JEQ(operand.LabelRef("lineDone"))
	w.SUBQ(skip, w.at)
	w.SUBQ(skip, w.dy)
	w.JMP(operand.LabelRef("four"))
	w.Label("lineDone")
}

// turned returns the vectors of the next four elements. It asks for what comes two
// cache lines later in every channel: they are too many to be foreseen.
func (w *few) turned() (dy [4][]reg.VecVirtual) {
	from, step, three := w.GP64(), w.GP64(), w.GP64()
	w.MOVQ(w.dy, from)
	w.MOVQ(w.in("dyStep"), step)
	w.LEAQ(operand.Mem{Base: step, Index: step, Scale: 2}, three)
	quarters := []operand.Mem{{Base: from}, {Base: from, Index: step, Scale: 4}, {Base: from, Index: step, Scale: 8}, {Base: from, Index: three, Scale: 4}}
	for v := range w.vecs {
		// Quarter q of vector i has four elements of channel 4q+i.
		var x [4]reg.VecVirtual
		for i := range x {
			for _, m := range quarters[:w.isa.lanes/4] {
				w.PREFETCHT0(m.Offset(128))
			}
			x[i] = w.channels(quarters[:w.isa.lanes/4])
			if i < 3 {
				w.ADDQ(step, from)
			}
		}
		if v < w.vecs-1 {
			w.LEAQ(operand.Mem{Base: from, Index: three, Scale: 4}, from)
			w.ADDQ(step, from)
		}
		for i, y := range w.shuffled(x) {
			dy[i] = append(dy[i], y)
		}
	}
	return dy
}

// channels loads quarters of a vector.
func (w *few) channels(from []operand.Mem) reg.VecVirtual {
	v := w.vec(w.Context)
	w.VMOVUPS(from[0], v.AsX())
	for q, m := range from[1:] {
		if w.wide() {
			w.VINSERTF32X4(operand.Imm(uint64(q+1)), m, v, v)
		} else {
			w.VINSERTF128(operand.Imm(uint64(q+1)), m, v, v)
		}
	}
	return v
}

// shuffled transposes each quarter of four vectors.
func (w *few) shuffled(x [4]reg.VecVirtual) [4]reg.VecVirtual {
	high, high2 := w.vec(w.Context), w.vec(w.Context)
	w.VUNPCKHPS(x[1], x[0], high)
	w.VUNPCKLPS(x[1], x[0], x[0])
	w.VUNPCKHPS(x[3], x[2], high2)
	w.VUNPCKLPS(x[3], x[2], x[2])
	w.VUNPCKHPD(x[2], x[0], x[1])
	w.VUNPCKLPD(x[2], x[0], x[0])
	w.VUNPCKHPD(high2, high, x[3])
	w.VUNPCKLPD(high2, high, x[2])
	return x
}
