package tensor

func trainingSweeps() []sweep {
	return []sweep{
		{[]string{"SGD"}, 200, sweepSGD},
		{[]string{"Adam"}, 150, sweepAdam},
		{[]string{"LSTMForward", "LSTMBackward"}, 200, sweepLSTM},
		{[]string{"GRUForward", "GRUBackward"}, 200, sweepGRU},
		{[]string{"AddStrided", "ScaleStrided"}, 120, sweepStrided},
	}
}

func sweepSGD(c *trial) {
	n := c.length(40000)
	s := SGDStep{LR: 0.1, Decay: 0.01 * float32(c.r.IntN(2)), Momentum: 0.9 * float32(c.r.IntN(2)), Nesterov: c.r.IntN(2) == 0}
	w, v, g := c.out(n), c.out(n), c.in(n)
	c.batch(n, func(from, to int) { c.e.SGD(w[from:to], v[from:to], g[from:to], s) })
	wasW, wasV := c.was(w), c.was(v)
	gradient := func(i int) num { return exact(g[i]).add(exact(s.Decay).mul(exact(wasW[i]))) }
	speed := func(i int) num {
		if s.Momentum == 0 {
			return gradient(i)
		}
		return exact(s.Momentum).mul(exact(wasV[i])).add(gradient(i))
	}
	c.check("v", v, 4, func(i int) num {
		if s.Momentum == 0 {
			return exact(wasV[i])
		}
		return speed(i)
	})
	c.check("w", w, 8, func(i int) num {
		step := speed(i)
		if s.Nesterov && s.Momentum != 0 {
			step = gradient(i).add(exact(s.Momentum).mul(step))
		}
		return exact(wasW[i]).sub(exact(s.LR).mul(step))
	})
}

func sweepAdam(c *trial) {
	n := c.length(40000)
	s := AdamStep{Decay: 0.01 * float32(c.r.IntN(2)), Beta1: 0.9, Rest1: 0.1, Beta2: 0.99, Rest2: 0.01, Shrink: 0.999, Step: 0.1, Root: 1.5, Epsilon: 1e-6}
	w, m, v, g := c.out(n), c.out(n), c.out(n), c.in(n)
	for i := range v {
		v[i] = abs32(v[i])
	}
	copy(c.was(v), v)
	c.batch(n, func(from, to int) { c.e.Adam(w[from:to], m[from:to], v[from:to], g[from:to], s) })
	wasW, wasM, wasV := c.was(w), c.was(m), c.was(v)
	gradient := func(i int) num { return exact(g[i]).add(exact(s.Decay).mul(exact(wasW[i]))) }
	first := func(i int) num {
		return exact(s.Beta1).mul(exact(wasM[i])).add(exact(s.Rest1).mul(gradient(i)))
	}
	second := func(i int) num {
		square := gradient(i)
		return exact(s.Beta2).mul(exact(wasV[i])).add(exact(s.Rest2).mul(square.mul(square)))
	}
	c.check("m", m, 4, first)
	c.check("v", v, 4, second)
	c.check("w", w, 12, func(i int) num {
		step := exact(s.Step).mul(first(i)).div(second(i).sqrt().mul(exact(s.Root)).add(exact(s.Epsilon)))
		return exact(s.Shrink).mul(exact(wasW[i])).sub(step)
	})
}

// slope is the derivative of a sigmoid that is s.
func (s num) ofSigmoid() num { return s.mul(exact(1).sub(s)) }

// ofTanh is the derivative of a tanh that is t.
func (t num) ofTanh() num { return exact(1).sub(t.mul(t)) }

// cells are rows of records that lie apart.
type cells struct {
	*trial
	rows, n, gap int
}

// cells draws their shape: every length in turn, and enough for several threads.
func (c *trial) cells() *cells {
	s := &cells{trial: c, rows: c.r.IntN(5), n: 1 + c.i%90, gap: c.r.IntN(3)}
	if c.r.IntN(12) == 0 {
		s.rows, s.n = 20+c.r.IntN(20), 200+c.r.IntN(60)
	}
	return s
}

// matrix makes rows of k gates of a slice, one behind the other.
func (s *cells) matrix(k int, make func(n int) []float32) Strided {
	step := k*s.n + s.gap
	return Strided{X: make(max(s.rows*step-s.gap, 0)), Step: step}
}

// before draws a state, which may be the same for all rows.
func (s *cells) before() Strided {
	if s.r.IntN(4) == 0 {
		return Strided{X: s.in(s.n)}
	}
	return s.matrix(1, s.in)
}

// of are the rows of an argument from one on.
func (x Strided) of(row int) Strided { return x.From(row * x.Step) }

// checkCells checks k gates of every row, and that gaps are as before.
func (s *cells) checkCells(name string, got []float32, x Strided, k, steps int, definition func(row, gate, i int) num) {
	s.t.Helper()
	was := s.was(x.X)
	s.check(name, got, steps, func(at int) num {
		row, i := at/x.Step, at%x.Step
		if i >= k*s.n {
			return exact(was[at])
		}
		return definition(row, i/s.n, i%s.n)
	})
}

func sweepLSTM(c *trial) {
	s := c.cells()
	h, cell, t, gates, before := s.matrix(1, c.out), s.matrix(1, c.out), s.matrix(1, c.out), s.matrix(4, c.out), s.before()
	dh, dc := s.matrix(1, c.out), s.matrix(1, c.out)
	var forward []float32
	c.batch(s.rows, func(a, b int) {
		c.e.LSTMForward(b-a, s.n, h.of(a), cell.of(a), t.of(a), gates.of(a), before.of(a))
	})
	forward = append(forward, gates.X...)
	c.batch(s.rows, func(a, b int) {
		c.e.LSTMBackward(b-a, s.n, gates.of(a), dh.of(a), dc.of(a), before.of(a), t.of(a))
	})
	was := c.was(gates.X)
	at := func(x Strided, now []float32, row, gate, i int) num { return exact(now[row*x.Step+gate*s.n+i]) }
	gate := func(row, k, i int) num {
		if k == 2 {
			return at(gates, was, row, k, i).tanh()
		}
		return at(gates, was, row, k, i).sigmoid()
	}
	state := func(row, _, i int) num {
		return gate(row, 1, i).mul(at(before, before.X, row, 0, i)).add(gate(row, 0, i).mul(gate(row, 2, i)))
	}
	s.checkCells("gates", forward, gates, 4, 4, gate)
	s.checkCells("c", cell.X, cell, 1, 12, state)
	s.checkCells("t", t.X, t, 1, 16, func(row, _, i int) num { return state(row, 0, i).tanh() })
	s.checkCells("h", h.X, h, 1, 20, func(row, _, i int) num { return gate(row, 3, i).mul(state(row, 0, i).tanh()) })

	// What the backward pass is given counts as exact.
	kept := func(row, k, i int) num { return at(gates, forward, row, k, i) }
	wasDH := func(row, i int) num { return at(dh, c.was(dh.X), row, 0, i) }
	d := func(row, i int) num {
		return at(dc, c.was(dc.X), row, 0, i).add(wasDH(row, i).mul(kept(row, 3, i)).mul(at(t, t.X, row, 0, i).ofTanh()))
	}
	s.checkCells("gradients", gates.X, gates, 4, 10, func(row, k, i int) num {
		switch k {
		case 0:
			return d(row, i).mul(kept(row, 2, i)).mul(kept(row, 0, i).ofSigmoid())
		case 1:
			return d(row, i).mul(at(before, before.X, row, 0, i)).mul(kept(row, 1, i).ofSigmoid())
		case 2:
			return d(row, i).mul(kept(row, 0, i)).mul(kept(row, 2, i).ofTanh())
		}
		return wasDH(row, i).mul(at(t, t.X, row, 0, i)).mul(kept(row, 3, i).ofSigmoid())
	})
	s.checkCells("dc", dc.X, dc, 1, 6, func(row, _, i int) num { return d(row, i).mul(kept(row, 1, i)) })
	s.checkCells("dh", dh.X, dh, 1, 1, func(_, _, _ int) num { return num{} })
}

func sweepGRU(c *trial) {
	s := c.cells()
	h, gates, hidden, before, dh := s.matrix(1, c.out), s.matrix(3, c.out), s.matrix(3, c.out), s.before(), s.matrix(1, c.out)
	var forward []float32
	c.batch(s.rows, func(a, b int) { c.e.GRUForward(b-a, s.n, h.of(a), gates.of(a), hidden.of(a), before.of(a)) })
	forward = append(forward, gates.X...)
	c.batch(s.rows, func(a, b int) { c.e.GRUBackward(b-a, s.n, gates.of(a), hidden.of(a), dh.of(a), before.of(a)) })

	was, wasHidden := c.was(gates.X), c.was(hidden.X)
	at := func(x Strided, now []float32, row, gate, i int) num { return exact(now[row*x.Step+gate*s.n+i]) }
	state := func(row, i int) num { return at(before, before.X, row, 0, i) }
	gate := func(row, k, i int) num {
		return at(gates, was, row, k, i).add(at(hidden, wasHidden, row, k, i)).sigmoid()
	}
	fresh := func(row, i int) num {
		return at(gates, was, row, 2, i).add(gate(row, 0, i).mul(at(hidden, wasHidden, row, 2, i))).tanh()
	}
	s.checkCells("gates", forward, gates, 3, 10, func(row, k, i int) num {
		if k == 2 {
			return fresh(row, i)
		}
		return gate(row, k, i)
	})
	s.checkCells("h", h.X, h, 1, 20, func(row, _, i int) num {
		return fresh(row, i).add(gate(row, 1, i).mul(state(row, i).sub(fresh(row, i))))
	})

	one := exact(1)
	kept := func(row, k, i int) num { return at(gates, forward, row, k, i) }
	wasDH := func(row, i int) num { return at(dh, c.was(dh.X), row, 0, i) }
	gradient := func(row, k, i int) num {
		if k == 1 {
			return wasDH(row, i).mul(state(row, i).sub(kept(row, 2, i))).mul(kept(row, 1, i).ofSigmoid())
		}
		g := wasDH(row, i).mul(one.sub(kept(row, 1, i))).mul(kept(row, 2, i).ofTanh())
		if k == 0 {
			return g.mul(at(hidden, wasHidden, row, 2, i)).mul(kept(row, 0, i).ofSigmoid())
		}
		return g
	}
	s.checkCells("gradients of gates", gates.X, gates, 3, 10, gradient)
	s.checkCells("gradients of hidden", hidden.X, hidden, 3, 10, func(row, k, i int) num {
		if k == 2 {
			return gradient(row, k, i).mul(kept(row, 0, i))
		}
		return gradient(row, k, i)
	})
	s.checkCells("dh", dh.X, dh, 1, 1, func(row, _, i int) num { return wasDH(row, i).mul(kept(row, 1, i)) })
}

func sweepStrided(c *trial) {
	s := c.cells()
	dst, x, scaled := s.matrix(1, c.out), s.before(), s.matrix(1, c.out)
	c.batch(s.rows, func(a, b int) { c.e.AddStrided(dst.of(a), x.of(a), b-a, s.n) })
	c.batch(s.rows, func(a, b int) { c.e.ScaleStrided(scaled.of(a), -1.5, b-a, s.n) })
	s.checkCells("scaled", scaled.X, scaled, 1, 1, func(row, _, i int) num {
		return exact(c.was(scaled.X)[row*scaled.Step+i]).mul(exact(-1.5))
	})
	s.checkCells("dst", dst.X, dst, 1, 1, func(row, _, i int) num {
		return exact(c.was(dst.X)[row*dst.Step+i]).add(exact(x.X[row*x.Step+i]))
	})
}
