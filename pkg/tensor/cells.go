package tensor

// LSTMForward is the element by element part of one step of an LSTM for one
// record, with H = len(h) numbers in each gate:
//
//	i, f, o = sigmoid(…), g = tanh(…)    in place: gates is i, f, g, o
//	c = f*before + i*g    t = tanh(c)    h = o*t
//
// Every product and every sum is rounded.
func (e *Engine) LSTMForward(h, c, t, gates, before []float32) {
	n := len(h)
	need("LSTMForward", "gates", len(gates), 4*n)
	need2("LSTMForward", n, len(c), len(t))
	need("LSTMForward", "before", len(before), n)
	v := e.gates(gates, n)
	v.u, v.a = start(gates[3*n:]), start(before)
	v.p, v.q, v.r = start(c), start(t), start(h)
	e.k.opLSTM(v)
}

// LSTMBackward turns the gates of LSTMForward into the gradients by their
// arguments, given the gradients dh by h, which it sets to 0, and dc by c, which
// becomes that by the c before.
func (e *Engine) LSTMBackward(gates, dh, dc, before, t []float32) {
	n := len(dh)
	need("LSTMBackward", "gates", len(gates), 4*n)
	need2("LSTMBackward", n, len(before), len(t))
	need("LSTMBackward", "dc", len(dc), n)
	v := e.gates(gates, n)
	v.u, v.a, v.b = start(gates[3*n:]), start(before), start(t)
	v.p, v.q = start(dh), start(dc)
	e.k.opLSTMBack(v)
}

// GRUForward is the element by element part of one step of a GRU for one record,
// with H = len(h) numbers in each gate of x, of which gates has three, and of the
// state before, of which hidden has three:
//
//	r, z = sigmoid(gates + hidden)    n = tanh(gates + r*hidden)
//	h = n + z*(before - n)
//
// gates becomes r, z, n; hidden stays.
func (e *Engine) GRUForward(h, gates, hidden, before []float32) {
	n := len(h)
	need2("GRUForward", 3*n, len(gates), len(hidden))
	need("GRUForward", "before", len(before), n)
	v := e.gates(gates, n)
	v.u, v.a = start(hidden[2*n:]), start(before)
	v.p, v.q, v.r = start(hidden), start(hidden[n:]), start(h)
	e.k.opGRU(v)
}

// GRUBackward turns gates and hidden of GRUForward into the gradients by them,
// given the gradient dh by h, which becomes that by the state before.
func (e *Engine) GRUBackward(gates, hidden, dh, before []float32) {
	n := len(dh)
	need2("GRUBackward", 3*n, len(gates), len(hidden))
	need("GRUBackward", "before", len(before), n)
	v := e.gates(gates, n)
	v.u, v.a = start(hidden[2*n:]), start(before)
	v.p, v.q, v.r = start(hidden), start(hidden[n:]), start(dh)
	e.k.opGRUBack(v)
}

// gates gets a vector of n elements ready with the first three gates.
func (e *Engine) gates(gates []float32, n int) *vector {
	v := e.pool.workers[0].aimVec(n)
	v.x, v.y, v.z = start(gates), start(gates[n:]), start(gates[2*n:])
	return v
}
