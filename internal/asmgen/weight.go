package main

import (
	"fmt"
	"path/filepath"
	"slices"

	"github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// weights writes the inner kernels of the gradient of the weights of a
// convolution: for rows of one tap or of three side by side, and one vector or two
// of output channels.
func weights(dir string, s isa, f, pack layout) error {
	c := build.NewContext()
	c.ConstraintExpr("!purego")
	for _, shape := range weightShapes(s) {
		for rows := 1; rows <= shape.rows; rows++ {
			w := &weight{Context: c, isa: s, f: f, rows: rows, span: shape.span, vecs: shape.vecs}
			w.write()
		}
	}
	if s.name == "avx2" {
		turns(c, s, pack)
	}
	return write(c, filepath.Join(dir, "weight_"+s.name+"_amd64"), weightTable(s))
}

// weightShape is the most rows of a kind of tile, the taps of a row, and the
// vectors of output channels.
type weightShape struct{ rows, span, vecs int }

func weightShapes(s isa) []weightShape {
	return []weightShape{{s.rows, 1, 1}, {s.rows, 1, 2}, {s.rows * 3 / 4, 3, 1}}
}

func (w weightShape) kernel(rows int, s isa) string {
	return fmt.Sprintf("weight%dx%dx%d_%s", rows, w.span, w.vecs, s.name)
}

// weightTable is Go that lists the kernels.
func weightTable(s isa) string {
	text := fmt.Sprintf("\n// weights_%s lists the kernels: see kernels.weight.\nfunc weights_%[1]s() [3][]func(*weigh) {\n\treturn [3][]func(*weigh){\n", s.name)
	for _, shape := range weightShapes(s) {
		text += "\t\t{"
		for rows := 1; rows <= shape.rows; rows++ {
			if rows > 1 {
				text += ", "
			}
			text += shape.kernel(rows, s)
		}
		text += "},\n"
	}
	return text + "\t}\n}\n"
}

// weight writes one kernel. All its sums stay in registers while it goes over
// the output elements of some images:
//
//	acc[r][s][v] += image[at+offset[r]+s] * dy[v]
//
// Each row has a register for where it begins, and all share the place. With
// several taps side by side a number of the image is loaded once: it meets dy of
// this element in the first tap, that of the element before in the next one.
type weight struct {
	*build.Context
	isa
	f                layout
	rows, span, vecs int

	first []reg.GPVirtual // rows at the first output element
	at    reg.GPVirtual   // bytes to the present one
	dy    reg.GPVirtual
	acc   [][]reg.VecVirtual
	local operand.Mem
}

// weightFields are the fields that a kernel copies to its frame, where those at
// the end are what its loops change.
var weightFields = []string{"sums", "line", "lineGap", "lines", "imageGap", "images", "ahead", "aheadStep",
	"linesLeft", "lineEnd", "stepsEnd"}

func (w *weight) in(name string) operand.Mem {
	return w.local.Offset(8 * slices.Index(weightFields, name))
}

// weightSteps is how many output elements are written out for rows of one tap.
const weightSteps = 4

func (w *weight) write() {
	w.begin(weightShape{span: w.span, vecs: w.vecs}.kernel(w.rows, w.isa))
	w.Label("image")
	w.copy("lines", "linesLeft")
	w.Label("line")
	w.oneLine()
	w.ADDQ(w.in("lineGap"), w.at)
	w.DECQ(w.in("linesLeft"))
	w.JNE(operand.LabelRef("line"))
	w.ADDQ(w.in("imageGap"), w.at)
	w.DECQ(w.in("images"))
	w.JNE(operand.LabelRef("image"))
	w.end()
}

// end stores the sums.
func (w *weight) end() {
	sums := w.GP64()
	w.MOVQ(w.in("sums"), sums)
	w.eachSum(sums, func(sum operand.Mem, acc reg.VecVirtual) { w.VMOVUPS(acc, sum) })
	w.VZEROUPPER()
	w.RET()
}

func (w *weight) copy(from, to string) {
	r := w.GP64()
	w.MOVQ(w.in(from), r)
	w.MOVQ(r, w.in(to))
}

// begin reads the arguments and the sums.
func (w *weight) begin(name string) {
	p := function(w.Context, name, "weigh")
	field := func(name string) operand.Mem {
		at, ok := w.f[name]
		if !ok {
			panic("weigh has no field " + name)
		}
		return operand.Mem{Base: p, Disp: at}
	}
	w.local = w.AllocLocal(8 * len(weightFields))
	r := w.GP64()
	for _, name := range weightFields[:slices.Index(weightFields, "linesLeft")] {
		w.MOVQ(field(name), r)
		w.MOVQ(r, w.in(name))
	}
	w.MOVQ(field("sums"), r)
	w.acc = make([][]reg.VecVirtual, w.rows*w.span)
	for t := range w.acc {
		for range w.vecs {
			w.acc[t] = append(w.acc[t], w.vec(w.Context))
		}
	}
	w.eachSum(r, func(_ operand.Mem, acc reg.VecVirtual) { w.zero(w.Context, acc) })
	w.CMPQ(field("load"), operand.Imm(0))
	w.JEQ(operand.LabelRef("begun"))
	w.eachSum(r, func(sum operand.Mem, acc reg.VecVirtual) { w.VMOVUPS(sum, acc) })
	w.Label("begun")
	image, offsets := w.GP64(), w.GP64()
	w.MOVQ(field("image"), image)
	w.MOVQ(field("offsets"), offsets)
	w.dy, w.at = w.GP64(), w.GP64()
	w.MOVQ(field("dy"), w.dy)
	for r := range w.rows {
		first := w.GP64()
		w.MOVLQSX(operand.Mem{Base: offsets, Disp: 4 * w.span * r}, first)
		w.ADDQ(image, first)
		w.first = append(w.first, first)
	}
	w.XORQ(w.at, w.at)
}

// until sets a local to the place that lies so many elements before the end of
// the line.
func (w *weight) until(name string, before int) {
	w.ADDQ(w.in("line"), w.at)
	w.SUBQ(operand.Imm(uint64(4*before)), w.at)
	w.MOVQ(w.at, w.in(name))
	w.ADDQ(operand.Imm(uint64(4*before)), w.at)
	w.SUBQ(w.in("line"), w.at)
}

// oneLine goes over the elements of a line, several at a time.
func (w *weight) oneLine() {
	steps := weightSteps
	if w.span > 1 {
		steps = w.span
	}
	w.until("lineEnd", 0)
	w.until("stepsEnd", steps)
	dy := make([]reg.VecVirtual, w.span*w.vecs)
	for i := range dy {
		dy[i] = w.vec(w.Context)
	}
	if w.span > 1 {
		w.enter(dy)
	}
	w.CMPQ(w.at, w.in("stepsEnd"))
	w.JGT(operand.LabelRef("rest"))
	w.Label("steps")
	w.ask(max(2, w.span))
	w.steps(dy, steps)
	w.CMPQ(w.at, w.in("stepsEnd"))
	w.JLE(operand.LabelRef("steps"))
	w.Label("rest")
	w.CMPQ(w.at, w.in("lineEnd"))
	w.JEQ(operand.LabelRef("done"))
	w.Label("one")
	if w.span > 1 {
		w.older(dy)
	}
	w.steps(dy, 1)
	w.CMPQ(w.at, w.in("lineEnd"))
	w.JNE(operand.LabelRef("one"))
	w.Label("done")
	if w.span > 1 {
		w.leave(dy)
	}
}

// enter does the first elements of a line, where the later taps have not begun.
func (w *weight) enter(dy []reg.VecVirtual) {
	n := w.span - 1
	for i := range n {
		now := dy[(n-1-i)*w.vecs:]
		w.next(now, i)
		w.multiply(now, 0, i, i)
	}
	w.advance(n)
}

// leave does the elements behind a line, where only the later taps go on.
func (w *weight) leave(dy []reg.VecVirtual) {
	for i := range w.span - 1 {
		w.multiply(dy, i+1, w.span-1, i)
	}
}

// older moves dy on by one element.
func (w *weight) older(dy []reg.VecVirtual) {
	for i := len(dy) - 1; i >= w.vecs; i-- {
		w.VMOVAPS(dy[i-w.vecs], dy[i])
	}
}

// multiply does taps from to to for one number of the image in each row; dy
// begins with that of the first one.
func (w *weight) multiply(dy []reg.VecVirtual, from, to, element int) {
	for r, first := range w.first {
		x := w.vec(w.Context)
		w.VBROADCASTSS(operand.Mem{Base: first, Index: w.at, Scale: 1, Disp: 4 * element}, x)
		for s := from; s <= to; s++ {
			for v := range w.vecs {
				w.VFMADD231PS(dy[(s-from)*w.vecs+v], x, w.acc[r*w.span+s][v])
			}
		}
	}
}

// steps does so many elements. With several taps in a row there are as many
// elements, so that dy is back in its registers at the end, or one.
func (w *weight) steps(dy []reg.VecVirtual, n int) {
	for i := range n {
		if n > 1 && w.span > 1 {
			dy = slices.Concat(dy[len(dy)-w.vecs:], dy[:len(dy)-w.vecs])
		}
		w.next(dy, i)
		w.multiply(dy, 0, w.span-1, i)
	}
	w.advance(n)
}

// next loads dy of an element that comes so many after the present one.
func (w *weight) next(dy []reg.VecVirtual, element int) {
	for v := range w.vecs {
		w.VMOVUPS(operand.Mem{Base: w.dy, Disp: (element*w.vecs + v) * w.bytes()}, dy[v])
	}
}

// advance goes on by so many elements.
func (w *weight) advance(n int) {
	w.ADDQ(operand.Imm(uint64(4*n)), w.at)
	w.ADDQ(operand.U32(uint32(n*w.vecs*w.bytes())), w.dy)
}

// ask asks for so many cache lines that will be needed soon.
func (w *weight) ask(lines int) {
	ahead := w.GP64()
	w.MOVQ(w.in("ahead"), ahead)
	for i := range lines {
		w.PREFETCHT1(operand.Mem{Base: ahead, Disp: 64 * i})
	}
	w.ADDQ(w.in("aheadStep"), ahead)
	w.MOVQ(ahead, w.in("ahead"))
}

func (w *weight) eachSum(sums reg.GPVirtual, f func(sum operand.Mem, acc reg.VecVirtual)) {
	for t, row := range w.acc {
		for v, acc := range row {
			f(operand.Mem{Base: sums, Disp: (t*w.vecs + v) * w.bytes()}, acc)
		}
	}
}
