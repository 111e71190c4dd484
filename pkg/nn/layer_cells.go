package nn

import "github.com/lockstep-ml/lockstep/pkg/tensor"

// rnnCell is h = tanh(a).
type rnnCell struct{}

func (rnnCell) shape() (gates, states int, apart bool) { return 1, 0, false }

func (rnnCell) forward(eng *tensor.Engine, s cellStep) { eng.ActForward(s.h, s.a, tensor.ActTanh) }

func (rnnCell) backward(s cellStep) {
	for i, h := range s.h {
		s.a[i] = s.dh[i] * (1 - float32(h*h))
		s.dh[i] = 0
	}
}

// lstmCell is, with the gates i, f, g, o of H numbers each in a and the memory c
// and tanh(c) as states,
//
//	c = sigmoid(f)*c' + sigmoid(i)*tanh(g)      h = sigmoid(o)*tanh(c)
type lstmCell struct{}

func (lstmCell) shape() (gates, states int, apart bool) { return 4, 2, false }

func (lstmCell) forward(eng *tensor.Engine, s cellStep) {
	n := len(s.h)
	eng.ActForward(s.a[:2*n], s.a[:2*n], tensor.ActSigmoid)
	eng.ActForward(s.a[2*n:3*n], s.a[2*n:3*n], tensor.ActTanh)
	eng.ActForward(s.a[3*n:], s.a[3*n:], tensor.ActSigmoid)
	in, forget, fresh, out := s.a[:n], s.a[n:2*n], s.a[2*n:3*n], s.a[3*n:4*n]
	c, before := s.state[:n], s.stateBefore[:n]
	for i := range c {
		c[i] = float32(forget[i]*before[i]) + float32(in[i]*fresh[i])
	}
	tanh := s.state[n:]
	eng.ActForward(tanh, c, tensor.ActTanh)
	eng.Mul(s.h, out, tanh)
}

func (lstmCell) backward(s cellStep) {
	n := len(s.h)
	in, forget, fresh, out := s.a[:n], s.a[n:2*n], s.a[2*n:3*n], s.a[3*n:4*n]
	before, tanh, dc := s.stateBefore[:n], s.state[n:][:n], s.dstate[:n]
	for i, dh := range s.dh {
		t, o := tanh[i], out[i]
		d := dc[i] + float32(float32(dh*o)*(1-float32(t*t)))
		out[i] = float32(dh*t) * float32(o*(1-o))
		a, f, g := in[i], forget[i], fresh[i]
		in[i] = float32(d*g) * float32(a*(1-a))
		forget[i] = float32(d*before[i]) * float32(f*(1-f))
		fresh[i] = float32(d*a) * (1 - float32(g*g))
		dc[i] = d * f
		s.dh[i] = 0
	}
}

// gruCell is, with the gates r, z, n of H numbers each in a (of x) and b (of the
// state before, h'),
//
//	r = sigmoid(ar + br)    z = sigmoid(az + bz)    n = tanh(an + r*bn)
//	h = n + z*(h' - n)
type gruCell struct{}

func (gruCell) shape() (gates, states int, apart bool) { return 3, 0, true }

func (gruCell) forward(eng *tensor.Engine, s cellStep) {
	n := len(s.h)
	eng.Add(s.a[:2*n], s.a[:2*n], s.b[:2*n])
	eng.ActForward(s.a[:2*n], s.a[:2*n], tensor.ActSigmoid)
	reset, update, fresh, hidden := s.a[:n], s.a[n:2*n], s.a[2*n:3*n], s.b[2*n:3*n]
	for i, r := range reset {
		fresh[i] += float32(r * hidden[i])
	}
	eng.ActForward(fresh, fresh, tensor.ActTanh)
	for i, f := range fresh {
		s.h[i] = f + float32(update[i]*(s.before[i]-f))
	}
}

func (gruCell) backward(s cellStep) {
	n := len(s.h)
	reset, update, fresh := s.a[:n], s.a[n:2*n], s.a[2*n:3*n]
	hidden := s.b[2*n : 3*n]
	for i, dh := range s.dh {
		r, z, f := reset[i], update[i], fresh[i]
		df := float32(dh*(1-z)) * (1 - float32(f*f))
		dz := float32(dh*(s.before[i]-f)) * float32(z*(1-z))
		dr := float32(df*hidden[i]) * float32(r*(1-r))
		reset[i], update[i], fresh[i] = dr, dz, df
		s.b[i], s.b[n+i], hidden[i] = dr, dz, df*r
		s.dh[i] = dh * z
	}
}
