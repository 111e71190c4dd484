package tensor

import "unsafe"

// Add sets dst to a + b. dst may be a or b.
func (e *Engine) Add(dst, a, b []float32) {
	need2("Add", len(dst), len(a), len(b))
	inPlace("Add", dst, a[:len(dst)], b[:len(dst)])
	e.args(dst, a, b)
	e.each(e.k.opAdd)
}

// Sub sets dst to a - b. dst may be a or b.
func (e *Engine) Sub(dst, a, b []float32) {
	need2("Sub", len(dst), len(a), len(b))
	inPlace("Sub", dst, a[:len(dst)], b[:len(dst)])
	e.args(dst, a, b)
	e.each(e.k.opSub)
}

// Mul sets dst to a * b. dst may be a or b.
func (e *Engine) Mul(dst, a, b []float32) {
	need2("Mul", len(dst), len(a), len(b))
	inPlace("Mul", dst, a[:len(dst)], b[:len(dst)])
	e.args(dst, a, b)
	e.each(e.k.opMul)
}

// Axpy adds alpha*x to dst, one fused multiply-add an element.
func (e *Engine) Axpy(dst []float32, alpha float32, x []float32) {
	need("Axpy", "x", len(x), len(dst))
	inPlace("Axpy", dst, x[:len(dst)])
	e.args(dst, x, dst).s0 = bits(alpha)
	e.each(e.k.opAxpy)
}

// Scale multiplies dst by alpha.
func (e *Engine) Scale(dst []float32, alpha float32) {
	e.args(dst, dst).s0 = bits(alpha)
	e.each(e.k.opScale)
}

// Fill sets all of dst to v.
func (e *Engine) Fill(dst []float32, v float32) {
	e.args(dst, dst).s0 = bits(v)
	e.each(e.k.opFill)
}

// ClearInt sets all of dst to 0.
func (e *Engine) ClearInt(dst []int32) { e.Fill(floats(dst), 0) }

// Copy sets dst to x.
func (e *Engine) Copy(dst, x []float32) {
	need("Copy", "x", len(x), len(dst))
	inPlace("Copy", dst, x[:len(dst)])
	copy(dst, x)
}

// AddInt adds q to dst.
func (e *Engine) AddInt(dst, q []int32) {
	need("AddInt", "q", len(q), len(dst))
	d, x := floats(dst), floats(q[:len(dst)])
	inPlace("AddInt", d, x)
	e.args(d, d, x)
	e.each(e.k.opAddInt)
}

// AddRows adds row, of cols elements, to every row of x (rows, cols).
func (e *Engine) AddRows(x, row []float32, rows, cols int) {
	n := volume("AddRows", rows, cols)
	need("AddRows", "x", len(x), n)
	need("AddRows", "row", len(row), cols)
	apart("AddRows", x[:n], row[:cols])
	w := e.pool.workers[0]
	for r := range rows {
		w.add(x[r*cols:][:cols], row)
	}
}

// add adds x to dst.
func (w *worker) add(dst, x []float32) {
	v := w.aimVec(len(dst))
	v.p, v.x, v.y = start(dst), start(dst), start(x)
	w.k.opAdd(v)
}

// floats is the memory of integers as kernels take it.
func floats(q []int32) []float32 {
	return unsafe.Slice((*float32)(unsafe.Pointer(unsafe.SliceData(q))), len(q))
}
