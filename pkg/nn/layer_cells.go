package nn

import "github.com/lockstep-ml/lockstep/pkg/tensor"

// rnnCell is h = tanh(a).
type rnnCell struct{}

func (rnnCell) shape() cellShape { return cellShape{gates: 1} }

func (rnnCell) forward(eng *tensor.Engine, s cellStep) {
	for r := range s.rows {
		eng.ActForward(s.row(s.h, r, 1), s.row(s.a, r, 1), tensor.ActTanh)
	}
}

func (rnnCell) backward(eng *tensor.Engine, s cellStep) {
	for r := range s.rows {
		dh := s.row(s.dh, r, 1)
		eng.ActBackward(s.row(s.a, r, 1), dh, nil, s.row(s.h, r, 1), tensor.ActTanh)
		clear(dh)
	}
}

// lstmCell is, with the gates i, f, g, o of H numbers each in a and the memory c
// and tanh(c) as states,
//
//	c = sigmoid(f)*c' + sigmoid(i)*tanh(g)      h = sigmoid(o)*tanh(c)
type lstmCell struct{}

func (lstmCell) shape() cellShape { return cellShape{gates: 4, states: 2} }

func (lstmCell) forward(eng *tensor.Engine, s cellStep) {
	eng.LSTMForward(s.rows, s.hidden, s.h, s.state, s.state.From(s.hidden), s.a, s.stateBefore)
}

func (lstmCell) backward(eng *tensor.Engine, s cellStep) {
	eng.LSTMBackward(s.rows, s.hidden, s.a, s.dh, s.dstate, s.stateBefore, s.state.From(s.hidden))
}

// gruCell is, with the gates r, z, n of H numbers each in a (of x) and b (of the
// state before, h'),
//
//	r = sigmoid(ar + br)    z = sigmoid(az + bz)    n = tanh(an + r*bn)
//	h = n + z*(h' - n)
type gruCell struct{}

func (gruCell) shape() cellShape { return cellShape{gates: 3, apart: true, direct: true} }

func (gruCell) forward(eng *tensor.Engine, s cellStep) {
	eng.GRUForward(s.rows, s.hidden, s.h, s.a, s.b, s.before)
}

func (gruCell) backward(eng *tensor.Engine, s cellStep) {
	eng.GRUBackward(s.rows, s.hidden, s.a, s.b, s.dh, s.before)
}
