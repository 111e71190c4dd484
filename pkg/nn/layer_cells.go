package nn

import "github.com/lockstep-ml/lockstep/pkg/tensor"

// rnnCell is h = tanh(a).
type rnnCell struct{}

func (rnnCell) shape() cellShape { return cellShape{gates: 1} }

func (rnnCell) forward(eng *tensor.Engine, s cellStep) { eng.ActForward(s.h, s.a, tensor.ActTanh) }

func (rnnCell) backward(eng *tensor.Engine, s cellStep) {
	eng.ActBackward(s.a, s.dh, nil, s.h, tensor.ActTanh)
	clear(s.dh)
}

// lstmCell is, with the gates i, f, g, o of H numbers each in a and the memory c
// and tanh(c) as states,
//
//	c = sigmoid(f)*c' + sigmoid(i)*tanh(g)      h = sigmoid(o)*tanh(c)
type lstmCell struct{}

func (lstmCell) shape() cellShape { return cellShape{gates: 4, states: 2} }

func (lstmCell) forward(eng *tensor.Engine, s cellStep) {
	n := len(s.h)
	eng.LSTMForward(s.h, s.state[:n], s.state[n:], s.a, s.stateBefore[:n])
}

func (lstmCell) backward(eng *tensor.Engine, s cellStep) {
	n := len(s.h)
	eng.LSTMBackward(s.a, s.dh, s.dstate[:n], s.stateBefore[:n], s.state[n:])
}

// gruCell is, with the gates r, z, n of H numbers each in a (of x) and b (of the
// state before, h'),
//
//	r = sigmoid(ar + br)    z = sigmoid(az + bz)    n = tanh(an + r*bn)
//	h = n + z*(h' - n)
type gruCell struct{}

func (gruCell) shape() cellShape { return cellShape{gates: 3, apart: true, direct: true} }

func (gruCell) forward(eng *tensor.Engine, s cellStep) { eng.GRUForward(s.h, s.a, s.b, s.before) }

func (gruCell) backward(eng *tensor.Engine, s cellStep) { eng.GRUBackward(s.a, s.b, s.dh, s.before) }
