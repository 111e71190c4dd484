package tensor

import "math"

// sums is the number of strided partial sums of every reduction of a row: element
// i goes to partial sum i mod 16.
const sums = 16

// tree joins partial sums by halves: p[i] += p[i+8], then 4, 2, 1.
func tree(p *[sums]float32) float32 {
	a, b, c, d := p[0]+p[8], p[1]+p[9], p[2]+p[10], p[3]+p[11]
	a, b, c, d = a+(p[4]+p[12]), b+(p[5]+p[13]), c+(p[6]+p[14]), d+(p[7]+p[15])
	return (a + c) + (b + d)
}

func tree64(p *[sums]float64) float64 {
	for h := sums / 2; h > 0; h /= 2 {
		for i := range h {
			p[i] += p[i+h]
		}
	}
	return p[0]
}

// Sum is the sum of x in float64, in 16 strided partial sums.
func (e *Engine) Sum(x []float32) float64 {
	p := e.pool.workers[0].sum64(e.k.sum64, x)
	for i, v := range x[len(x)/sums*sums:] {
		p[i] += float64(v)
	}
	return tree64(p)
}

// SumSquares is the sum of squares of x in float64, in 16 strided partial sums.
func (e *Engine) SumSquares(x []float32) float64 {
	p := e.pool.workers[0].sum64(e.k.squares64, x)
	for i, v := range x[len(x)/sums*sums:] {
		p[i] += float64(float64(v) * float64(v))
	}
	return tree64(p)
}

// sum64 adds up the whole runs of 16 of x.
func (w *worker) sum64(op func(*vector), x []float32) *[sums]float64 {
	w.part64 = [sums]float64{}
	if len(x) >= sums {
		v := w.aimVec(len(x) / sums)
		v.x, v.p = start(x), start(w.part64[:])
		op(v)
	}
	return &w.part64
}

// Dot is the sum of x*y: 16 strided chains of fused multiply-adds.
func (e *Engine) Dot(x, y []float32) float32 {
	need("Dot", "y", len(y), len(x))
	return e.pool.workers[0].dot(x, y)
}

func (w *worker) dot(x, y []float32) float32 {
	v := w.aimVec(len(x))
	v.x, v.y, v.part0 = start(x), start(y), [sums]float32{}
	w.k.opDot(v)
	return tree(&v.part0)
}

// MaxAbs is the greatest |x|, NaN if there is one, 0 if x is empty.
func (e *Engine) MaxAbs(x []float32) float32 { return e.pool.workers[0].maxAbs(x) }

func (w *worker) maxAbs(x []float32) float32 {
	v := w.aimVec(len(x))
	v.x, v.part0 = start(x), [sums]float32{}
	w.k.opMaxAbs(v)
	var top uint32
	for _, p := range v.part0 {
		top = max(top, math.Float32bits(p))
	}
	return math.Float32frombits(top)
}

// RowSums sets dst to the sums of the rows of x (rows, cols).
func (e *Engine) RowSums(dst, x []float32, rows, cols int) {
	need("RowSums", "dst", len(dst), rows)
	need("RowSums", "x", len(x), volume("RowSums", rows, cols))
	apart("RowSums", dst[:rows], x[:rows*cols])
	for r := range rows {
		dst[r] = e.pool.workers[0].sum32(x[r*cols:][:cols])
	}
}

// ArgMaxRows sets dst to the column of the greatest element of each row of x
// (rows, cols), the first of equal ones; a NaN is never chosen before a number.
func (e *Engine) ArgMaxRows(dst []int32, x []float32, rows, cols int) {
	need("ArgMaxRows", "dst", len(dst), rows)
	need("ArgMaxRows", "x", len(x), volume("ArgMaxRows", rows, cols))
	for r := range rows {
		row := x[r*cols:][:cols]
		best := 0
		for j, v := range row {
			if v > row[best] || row[best] != row[best] && v == v {
				best = j
			}
		}
		dst[r] = int32(best)
	}
}

// Transpose sets dst (cols, rows) to the transposed x (rows, cols).
func (e *Engine) Transpose(dst, x []float32, rows, cols int) {
	n := volume("Transpose", rows, cols)
	need("Transpose", "dst", len(dst), n)
	need("Transpose", "x", len(x), n)
	apart("Transpose", dst[:n], x[:n])
	for r := range rows {
		for c := range cols {
			dst[c*rows+r] = x[r*cols+c]
		}
	}
}
