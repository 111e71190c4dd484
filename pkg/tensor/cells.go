package tensor

import "unsafe"

// Strided is rows of a matrix: row r begins at X[r*Step]. A Step of 0 means that
// all rows are the same.
type Strided struct {
	X    []float32
	Step int
}

// From is the same rows from column i on.
func (s Strided) From(i int) Strided { return Strided{X: s.X[min(i, len(s.X)):], Step: s.Step} }

// check panics unless there are so many rows of n elements.
func (s Strided) check(op, name string, rows, n int) {
	need(op, "shape", min(rows, n, s.Step), 0)
	if rows > 0 && n > 0 {
		need(op, name, len(s.X), (rows-1)*s.Step+n)
	}
}

// checkRows is check for arguments that have n elements in a row.
func checkRows(op string, rows, n int, args ...Strided) {
	for _, s := range args {
		s.check(op, "a row", rows, n)
	}
}

// cellJob runs one kernel over rows of its arguments; its parts are runs of rows.
type cellJob struct {
	op    func(*vector)
	v     vector     // of row 0
	next  [9]uintptr // from row to row, in bytes: x, y, z, u, a, b, p, q, r
	rows  int
	chunk int
}

// cellPart is the number of elements of a cell that is worth waking a goroutine.
const cellPart = 1 << 11

// cells runs a kernel over rows of n elements. The arguments are x, y, z, u, a, b,
// p, q, r; those without elements are not there. scalar is s0.
func (e *Engine) cells(op func(*vector), rows, n int, scalar float32, args [9]Strided) {
	if rows == 0 || n == 0 {
		return
	}
	j := &e.cellJob
	*j = cellJob{op: op, rows: rows, chunk: rows}
	j.v.n, j.v.s0 = n, bits(scalar)
	fields := j.v.pointers()
	for i, s := range args {
		if s.X != nil {
			*fields[i], j.next[i] = start(s.X), uintptr(4*s.Step)
		}
	}
	if parts := min(e.threads, rows, rows*n/cellPart); parts > 1 {
		j.chunk = (rows + parts - 1) / parts
	}
	e.pool.run(j, (rows+j.chunk-1)/j.chunk)
	*j = cellJob{}
}

func (j *cellJob) part(w *worker, i int) {
	w.v = j.v
	w.v.masks = w.k.masks
	fields := w.v.pointers()
	from := i * j.chunk
	for r := range min(j.chunk, j.rows-from) {
		for f, p := range fields {
			switch {
			case *p == nil:
			case r == 0:
				*p = unsafe.Add(*p, uintptr(from)*j.next[f])
			default:
				*p = unsafe.Add(*p, j.next[f])
			}
		}
		j.op(&w.v)
	}
}

// AddStrided adds rows of n elements of x to those of dst.
func (e *Engine) AddStrided(dst, x Strided, rows, n int) {
	checkRows("AddStrided", rows, n, dst, x)
	e.cells(e.k.opAdd, rows, n, 0, [9]Strided{0: dst, 1: x, 6: dst})
}

// ScaleStrided multiplies rows of n elements by alpha.
func (e *Engine) ScaleStrided(dst Strided, alpha float32, rows, n int) {
	checkRows("ScaleStrided", rows, n, dst)
	e.cells(e.k.opScale, rows, n, alpha, [9]Strided{0: dst, 6: dst})
}

// LSTMForward is the element by element part of one step of an LSTM for rows
// records, with n numbers in each gate:
//
//	i, f, o = sigmoid(…), g = tanh(…)    in place: gates is i, f, g, o
//	c = f*before + i*g    t = tanh(c)    h = o*t
//
// Every product and every sum is rounded.
func (e *Engine) LSTMForward(rows, n int, h, c, t, gates, before Strided) {
	gates.check("LSTMForward", "gates", rows, 4*n)
	checkRows("LSTMForward", rows, n, h, c, t, before)
	e.cells(e.k.opLSTM, rows, n, 0, [9]Strided{gates, gates.From(n), gates.From(2 * n), gates.From(3 * n), before, Strided{}, c, t, h})
}

// LSTMBackward turns the gates of LSTMForward into the gradients by their
// arguments, given the gradients dh by h, which it sets to 0, and dc by c, which
// becomes that by the c before.
func (e *Engine) LSTMBackward(rows, n int, gates, dh, dc, before, t Strided) {
	gates.check("LSTMBackward", "gates", rows, 4*n)
	checkRows("LSTMBackward", rows, n, dh, dc, before, t)
	e.cells(e.k.opLSTMBack, rows, n, 0, [9]Strided{gates, gates.From(n), gates.From(2 * n), gates.From(3 * n), before, t, dh, dc, Strided{}})
}

// GRUForward is the element by element part of one step of a GRU for rows
// records, with n numbers in each gate of x, of which gates has three, and of the
// state before, of which hidden has three:
//
//	r, z = sigmoid(gates + hidden)    n = tanh(gates + r*hidden)
//	h = n + z*(before - n)
//
// gates becomes r, z, n; hidden stays.
func (e *Engine) GRUForward(rows, n int, h, gates, hidden, before Strided) {
	gates.check("GRUForward", "gates", rows, 3*n)
	hidden.check("GRUForward", "hidden", rows, 3*n)
	checkRows("GRUForward", rows, n, h, before)
	e.cells(e.k.opGRU, rows, n, 0, [9]Strided{gates, gates.From(n), gates.From(2 * n), hidden.From(2 * n), before, Strided{}, hidden, hidden.From(n), h})
}

// GRUBackward turns gates and hidden of GRUForward into the gradients by them,
// given the gradient dh by h, which becomes that by the state before.
func (e *Engine) GRUBackward(rows, n int, gates, hidden, dh, before Strided) {
	gates.check("GRUBackward", "gates", rows, 3*n)
	hidden.check("GRUBackward", "hidden", rows, 3*n)
	checkRows("GRUBackward", rows, n, dh, before)
	e.cells(e.k.opGRUBack, rows, n, 0, [9]Strided{gates, gates.From(n), gates.From(2 * n), hidden.From(2 * n), before, Strided{}, hidden, hidden.From(n), dh})
}
