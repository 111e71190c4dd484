package tensor

import "math"

// rowExp sets y to exp(x - max x) and returns the maximum and the sum.
func (e *Engine) rowExp(y, x []float32) (top, sum float32) {
	top = float32(math.Inf(-1))
	for _, v := range x {
		top = max32(v, top)
	}
	for i, v := range x {
		y[i] = exp32(v - top)
	}
	return top, e.sum32(y)
}

// RowSoftmax sets y to exp(x)/sum(exp(x)) for each row of x (rows, cols). y may
// be x.
func (e *Engine) RowSoftmax(y, x []float32, rows, cols int) {
	need2("RowSoftmax", rows*cols, len(x), len(y))
	for r := range rows {
		y := y[r*cols:][:cols]
		_, sum := e.rowExp(y, x[r*cols:][:cols])
		e.Scale(y, 1/sum)
	}
}

// RowSoftmaxBackward sets dx to y * (dy - sum(y*dy)) for each row, where y is
// the softmax. dx may be dy.
func (e *Engine) RowSoftmaxBackward(dx, dy, y []float32, rows, cols int) {
	need2("RowSoftmaxBackward", rows*cols, len(y), len(dy))
	need("RowSoftmaxBackward", "dx", len(dx), rows*cols)
	for r := range rows {
		y, dy, dx := y[r*cols:][:cols], dy[r*cols:][:cols], dx[r*cols:][:cols]
		dot := e.Dot(y, dy)
		for i := range dx {
			dx[i] = y[i] * (dy[i] - dot)
		}
	}
}

// RowLogSumExp sets dst to log(sum(exp(x))) for each row of x (rows, cols).
func (e *Engine) RowLogSumExp(dst, x []float32, rows, cols int) {
	need("RowLogSumExp", "dst", len(dst), rows)
	need("RowLogSumExp", "x", len(x), rows*cols)
	y := make([]float32, cols)
	for r := range rows {
		top, sum := e.rowExp(y, x[r*cols:][:cols])
		dst[r] = top + log32(sum)
	}
}

// SoftmaxCrossEntropy sets loss to -log(softmax(x)[class]) for each row of x
// (rows, cols) and dx to its gradient. dx may be nil.
func (e *Engine) SoftmaxCrossEntropy(dx, loss, x []float32, classes []int32, rows, cols int) {
	need("SoftmaxCrossEntropy", "x", len(x), rows*cols)
	need2("SoftmaxCrossEntropy", rows, len(loss), len(classes))
	spare := dx
	if dx == nil {
		spare = make([]float32, cols)
	}
	for r := range rows {
		y, row := spare[:cols], x[r*cols:][:cols]
		if dx != nil {
			y = dx[r*cols:][:cols]
		}
		top, sum := e.rowExp(y, row)
		class := classes[r]
		loss[r] = log32(sum) - (row[class] - top)
		if dx != nil {
			e.Scale(y, 1/sum)
			y[class] -= 1
		}
	}
}
