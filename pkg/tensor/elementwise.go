package tensor

// Add sets dst to a + b. dst may be a or b.
func (e *Engine) Add(dst, a, b []float32) {
	need2("Add", len(dst), len(a), len(b))
	for i := range dst {
		dst[i] = a[i] + b[i]
	}
}

// Sub sets dst to a - b. dst may be a or b.
func (e *Engine) Sub(dst, a, b []float32) {
	need2("Sub", len(dst), len(a), len(b))
	for i := range dst {
		dst[i] = a[i] - b[i]
	}
}

// Mul sets dst to a * b. dst may be a or b.
func (e *Engine) Mul(dst, a, b []float32) {
	need2("Mul", len(dst), len(a), len(b))
	for i := range dst {
		dst[i] = a[i] * b[i]
	}
}

// Axpy adds alpha*x to dst, one fused multiply-add an element.
func (e *Engine) Axpy(dst []float32, alpha float32, x []float32) {
	need("Axpy", "x", len(x), len(dst))
	for i := range dst {
		dst[i] = fma32(alpha, x[i], dst[i])
	}
}

// Scale multiplies dst by alpha.
func (e *Engine) Scale(dst []float32, alpha float32) {
	for i := range dst {
		dst[i] *= alpha
	}
}

// Fill sets all of dst to v.
func (e *Engine) Fill(dst []float32, v float32) {
	for i := range dst {
		dst[i] = v
	}
}

// Copy sets dst to x.
func (e *Engine) Copy(dst, x []float32) {
	need("Copy", "x", len(x), len(dst))
	copy(dst, x)
}

// AddInt adds q to dst.
func (e *Engine) AddInt(dst, q []int32) {
	need("AddInt", "q", len(q), len(dst))
	for i := range dst {
		dst[i] += q[i]
	}
}

// need2 panics unless both operands are as long as the result.
func need2(op string, dst, a, b int) {
	need(op, "a", a, dst)
	need(op, "b", b, dst)
}
