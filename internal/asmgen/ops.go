package main

// programs is the list of element by element kernels. The names of their
// arguments are those of struct vector: inputs x, y, z, u, a, b are 0 to 5,
// outputs p, q, r are 0 to 2, scalars s0 to s8.
func programs() []*prog {
	var all []*prog
	def := func(name, doc string, f func(p *prog)) {
		p := &prog{name: name, doc: doc}
		f(p)
		p.prune()
		all = append(all, p)
	}
	arithmetic(def)
	activations(def)
	reductions(def)
	norms(def)
	training(def)
	pooling(def)
	pairs(def)
	cells(def)
	return all
}

type define func(name, doc string, f func(p *prog))

func arithmetic(def define) {
	binary := func(name, doc string, f func(p *prog, a, b value) value) {
		def(name, doc, func(p *prog) { p.out(0, f(p, p.in(0), p.in(1))) })
	}
	binary("vecAdd", "p = x + y", (*prog).add)
	binary("vecSub", "p = x - y", (*prog).sub)
	binary("vecMul", "p = x * y", (*prog).mul)
	def("vecAddInt", "p = x + y in integers", func(p *prog) { p.out(0, p.iadd(p.inWord(0), p.inWord(1))) })
	def("vecScale", "p = s0*x", func(p *prog) { p.out(0, p.mul(p.in(0), p.scalar(0))) })
	def("vecAxpy", "p = s0*x + y, rounded once", func(p *prog) { p.out(0, p.fma(p.scalar(0), p.in(0), p.in(1))) })
	def("vecFill", "p = s0", func(p *prog) { p.out(0, p.scalar(0)) })
	def("vecExp", "p = exp(x)", func(p *prog) { p.out(0, p.exp(p.in(0))) })
	def("vecLog", "p = log(x)", func(p *prog) { p.out(0, p.log(p.in(0))) })
	def("vecTanh", "p = tanh(x)", func(p *prog) { p.out(0, p.tanh(p.in(0))) })
	def("vecSigmoid", "p = 1/(1+exp(-x))", func(p *prog) { p.out(0, p.sigmoid(p.in(0))) })
	def("vecNormal", "p = the normal distribution function of x", func(p *prog) {
		v, _ := p.normal(p.in(0))
		p.out(0, v)
	})
	def("vecFromInt", "p = float32(x) * s0 of integers x", func(p *prog) { p.out(0, p.mul(p.fromInt(p.inWord(0)), p.scalar(0))) })
	def("vecQuantise", "p = x + round(y*s0) in integers x; part 0 is the greatest |y|", func(p *prog) {
		y := p.in(1)
		p.top(p.word(p.abs(y)))
		p.out(0, p.iadd(p.inWord(0), p.toInt(p.mul(y, p.scalar(0)))))
	})
}

func activations(def define) {
	forward := func(name, doc string, f func(p *prog, x value) value) {
		def(name, doc, func(p *prog) { p.out(0, f(p, p.in(0))) })
	}
	backward := func(name, doc string, f func(p *prog, dy, v value) value) {
		def(name, doc, func(p *prog) { p.out(0, f(p, p.in(0), p.in(1))) })
	}
	forward("vecReLU", "p = max(0, x)", func(p *prog, x value) value { return p.max(p.f(0), x) })
	forward("vecLeaky", "p = x if x > 0, else s0*x", func(p *prog, x value) value {
		return p.choose(p.gt(x, p.f(0)), x, p.mul(x, p.scalar(0)))
	})
	forward("vecELU", "p = x if x > 0, else s0*(exp(x)-1)", func(p *prog, x value) value {
		// exp(-20) is nothing beside 1.
		return p.choose(p.gt(x, p.f(0)), x, p.mul(p.expm1(p.max(p.f(-20), x)), p.scalar(0)))
	})
	forward("vecGELU", "p = x times the normal distribution function of x", func(p *prog, x value) value {
		n, _ := p.normal(x)
		return p.mul(x, n)
	})
	forward("vecSiLU", "p = x/(1+exp(-x))", func(p *prog, x value) value { return p.mul(x, p.sigmoid(x)) })
	forward("vecSoftplus", "p = log(1+exp(x))", (*prog).softplus)

	backward("vecReLUBack", "p = x where y > 0, else 0", func(p *prog, dy, y value) value {
		return p.choose(p.gt(y, p.f(0)), dy, p.f(0))
	})
	backward("vecLeakyBack", "p = x where y > 0, else s0*x", func(p *prog, dy, y value) value {
		return p.choose(p.gt(y, p.f(0)), dy, p.mul(dy, p.scalar(0)))
	})
	backward("vecELUBack", "p = x where y > 0, else x*(y+s0)", func(p *prog, dy, y value) value {
		return p.choose(p.gt(y, p.f(0)), dy, p.mul(dy, p.add(y, p.scalar(0))))
	})
	backward("vecSigmoidBack", "p = x*(y*(1-y))", func(p *prog, dy, y value) value {
		return p.mul(dy, p.mul(y, p.sub(p.f(1), y)))
	})
	backward("vecTanhBack", "p = x*(1-y²)", func(p *prog, dy, y value) value {
		return p.mul(dy, p.fma(p.neg(y), y, p.f(1)))
	})
	backward("vecGELUBack", "p = x times the derivative of GELU at y", func(p *prog, dy, x value) value {
		n, bell := p.normal(x)
		return p.mul(dy, p.fma(x, p.mul(bell, p.f(0.3989422804014327)), n))
	})
	backward("vecSiLUBack", "p = x times the derivative of SiLU at y", func(p *prog, dy, x value) value {
		s := p.sigmoid(x)
		return p.mul(dy, p.fma(p.mul(x, s), p.sub(p.f(1), s), s))
	})
	backward("vecSoftplusBack", "p = x/(1+exp(-y))", func(p *prog, dy, x value) value { return p.mul(dy, p.sigmoid(x)) })
}

func reductions(def define) {
	def("vecSum", "part 0 += x", func(p *prog) { p.sum(p.in(0)) })
	def("vecDot", "part 0 += x*y, rounded once", func(p *prog) { p.sumProduct(p.in(0), p.in(1)) })
	def("vecMax", "part 0 = the greatest x", func(p *prog) { p.greatest(p.in(0)) })
	def("vecMaxAbs", "part 0 = the greatest |x|; NaN is above Inf", func(p *prog) { p.top(p.word(p.abs(p.in(0)))) })
	def("vecExpSum", "p = exp(x-s0); part 0 += p", func(p *prog) {
		e := p.exp(p.sub(p.in(0), p.scalar(0)))
		p.out(0, e)
		p.sum(e)
	})
	def("vecSoftmaxBack", "p = y*(x-s0)", func(p *prog) { p.out(0, p.mul(p.in(1), p.sub(p.in(0), p.scalar(0)))) })
}

// norms are the parts of normalisation, of channels and of rows.
func norms(def define) {
	def("vecChannel", "p = s0*x - s1, both rounded", func(p *prog) { p.out(0, p.sub(p.mul(p.in(0), p.scalar(0)), p.scalar(1))) })
	channels(def)
	def("vecChannels", "p = y*x - z, both rounded", func(p *prog) { p.out(0, p.sub(p.mul(p.in(0), p.in(1)), p.in(2))) })
	def("vecChannelsBack", "p = (z*x - u*y) - a, all rounded", func(p *prog) {
		p.out(0, p.sub(p.sub(p.mul(p.in(2), p.in(0)), p.mul(p.in(3), p.in(1))), p.in(4)))
	})
	def("vecCentre", "p = x - s0; part 0 += p*p, rounded once", func(p *prog) {
		d := p.sub(p.in(0), p.scalar(0))
		p.out(0, d)
		p.sumProduct(d, d)
	})
	def("vecNormalise", "p = s0*x; q = p*y + z, both rounded", func(p *prog) {
		h := p.mul(p.in(0), p.scalar(0))
		p.out(0, h)
		p.out(1, p.add(p.mul(h, p.in(1)), p.in(2)))
	})
	def("vecNormSums", "part 0 += x*y, rounded; part 1 += (x*y)*z, rounded once", func(p *prog) {
		g := p.mul(p.in(0), p.in(1))
		p.sum(g)
		p.sumProduct(g, p.in(2))
	})
	back := func(p *prog) value {
		g := p.sub(p.mul(p.in(0), p.in(1)), p.scalar(0))
		return p.mul(p.sub(g, p.mul(p.in(2), p.scalar(1))), p.scalar(2))
	}
	def("vecNormBack", "p = ((x*y - s0) - z*s1)*s2, all rounded", func(p *prog) { p.out(0, back(p)) })
	def("vecNormBackAdd", "p += ((x*y - s0) - z*s1)*s2, all rounded", func(p *prog) { p.out(0, p.add(p.into(0), back(p))) })
}

// channels are the passes over a plane of a channel that is normalised: x - s0 is
// made where it is needed, for that is cheaper than to read it. A plane goes
// through max(0, x) or not.
func channels(def define) {
	def("vecSquares", "part 0 += (x - s0)², rounded once", func(p *prog) {
		d := p.sub(p.in(0), p.scalar(0))
		p.sumProduct(d, d)
	})
	for _, relu := range []bool{false, true} {
		name, forward, backward := "", "", ""
		if relu {
			name, forward, backward = "ReLU", "; of it max(0, p)", ", where z > 0"
		}
		dy := func(p *prog) value {
			if relu {
				return p.choose(p.gt(p.in(2), p.f(0)), p.in(0), p.f(0))
			}
			return p.in(0)
		}
		for _, plus := range []string{"", " + y"} {
			def("vecPlane"+map[string]string{"": "", " + y": "Plus"}[plus]+name, "p = (x - s0)*s1 - s2"+plus+", all rounded"+forward, func(p *prog) {
				y := p.sub(p.mul(p.sub(p.in(0), p.scalar(0)), p.scalar(1)), p.scalar(2))
				if plus != "" {
					y = p.add(y, p.in(1))
				}
				if relu {
					y = p.max(p.f(0), y)
				}
				p.out(0, y)
			})
		}
		def("vecPlaneSums"+name, "part 0 += x; part 1 += x*(y - s0), rounded once"+backward, func(p *prog) {
			g := dy(p)
			p.sum(g)
			p.sumProduct(g, p.sub(p.in(1), p.scalar(0)))
		})
		def("vecPlaneBack"+name, "p = (s1*x - s2*(y - s0)) - s3, all rounded, x"+backward, func(p *prog) {
			d := p.sub(p.in(1), p.scalar(0))
			p.out(0, p.sub(p.sub(p.mul(p.scalar(1), dy(p)), p.mul(p.scalar(2), d)), p.scalar(3)))
		})
	}
}

func training(def define) {
	sgd := func(momentum, nesterov bool) func(p *prog) {
		return func(p *prog) {
			w, lr := p.in(0), p.scalar(0)
			g := p.add(p.in(1), p.mul(p.scalar(1), w))
			if momentum {
				m := p.add(p.mul(p.scalar(2), p.in(2)), g)
				p.out(1, m)
				if nesterov {
					m = p.add(g, p.mul(p.scalar(2), m))
				}
				g = m
			}
			p.out(0, p.sub(w, p.mul(lr, g)))
		}
	}
	def("vecSGD", "g = y + s1*x; p = x - s0*g", sgd(false, false))
	def("vecMomentum", "g = y + s1*x; q = s2*z + g; p = x - s0*q", sgd(true, false))
	def("vecNesterov", "g = y + s1*x; q = s2*z + g; p = x - s0*(g + s2*q)", sgd(true, true))
	def("vecAdam", "g = y + s0*x; q = s1*z + s2*g; r = s3*u + s4*g²; p = s5*x - s6*q/(sqrt(r)*s7 + s8)", func(p *prog) {
		w := p.in(0)
		g := p.add(p.in(1), p.mul(p.scalar(0), w))
		m := p.add(p.mul(p.scalar(1), p.in(2)), p.mul(p.scalar(2), g))
		v := p.add(p.mul(p.scalar(3), p.in(3)), p.mul(p.scalar(4), p.mul(g, g)))
		d := p.add(p.mul(p.sqrt(v), p.scalar(7)), p.scalar(8))
		p.out(0, p.sub(p.mul(p.scalar(5), w), p.div(p.mul(p.scalar(6), m), d)))
		p.out(1, m)
		p.out(2, v)
	})
	unit := func(p *prog) value { return p.mul(p.fromInt(p.shr(p.inWord(0), 8)), p.f(0x1p-24)) }
	def("vecKeep", "p = s1 if the 24 high bits of x, as a number in [0, 1), are below s0, else 0", func(p *prog) {
		p.out(0, p.choose(p.lt(unit(p), p.scalar(0)), p.scalar(1), p.f(0)))
	})
	def("vecUniform", "p = s0*u + s1, rounded once, with u in [0, 1) from the 24 high bits of x", func(p *prog) {
		p.out(0, p.fma(unit(p), p.scalar(0), p.scalar(1)))
	})
}

// pooling is for windows of 2 by 2 at stride 2, one row of them.
func pooling(def define) {
	def("vecMaxPool", "p = the greatest of x[2i], x[2i+1], y[2i], y[2i+1]; q = its place: s0 + 2i for x, + s1 for y", func(p *prog) {
		best, b := p.pair(0)
		c, d := p.pair(1)
		twice := p.iadd(p.index(), p.index())
		where := p.iadd(p.scalarWord(0), twice)
		one := p.bits(1)
		below := p.iadd(where, p.scalarWord(1))
		for _, t := range []struct{ v, at value }{{b, p.iadd(where, one)}, {c, below}, {d, p.iadd(below, one)}} {
			// A NaN is taken, and stays.
			better := p.both(p.notLE(t.v, best), p.eq(best, best))
			best = p.choose(better, t.v, best)
			where = p.choose(better, t.at, where)
		}
		p.out(0, best)
		p.out(1, where)
	})
	def("vecMaxPoolBack", "p[2i], p[2i+1], q[2i], q[2i+1] = x where y is its place, s0 + 2i for p, + s1 for q, else 0", func(p *prog) {
		dy, at := p.in(0), p.inWord(1)
		first := p.iadd(p.scalarWord(0), p.iadd(p.index(), p.index()))
		one := p.bits(1)
		below := p.iadd(first, p.scalarWord(1))
		pick := func(where value) value { return p.choose(p.ieq(at, where), dy, p.f(0)) }
		p.outPair(0, pick(first), pick(p.iadd(first, one)))
		p.outPair(1, pick(below), pick(p.iadd(below, one)))
	})
	def("vecAvgPool", "p = ((x[2i] + x[2i+1]) + y[2i] + y[2i+1]) * 0.25", func(p *prog) {
		a, b := p.pair(0)
		c, d := p.pair(1)
		p.out(0, p.mul(p.add(p.add(p.add(a, b), c), d), p.f(0.25)))
	})
}

// pairs are copies between a line and its even and odd elements.
func pairs(def define) {
	def("vecSplit", "p = x[2i], q = x[2i+1]", func(p *prog) {
		even, odd := p.pair(0)
		p.out(0, even)
		p.out(1, odd)
	})
	def("vecJoin", "p[2i] = x, p[2i+1] = y", func(p *prog) {
		p.outPair(0, p.in(0), p.in(1))
	})
}

// cells are the element by element parts of recurrent cells.
func cells(def define) {
	slope := func(p *prog, s value) value { return p.mul(s, p.sub(p.f(1), s)) } // of sigmoid
	def("vecLSTM", "x, y, z, u = sigmoid, sigmoid, tanh, sigmoid of themselves (i, f, g, o); p = f*a + i*g, q = tanh(p), r = o*q", func(p *prog) {
		i, f, g, o := p.sigmoid(p.in(0)), p.sigmoid(p.in(1)), p.tanh(p.in(2)), p.sigmoid(p.in(3))
		c := p.add(p.mul(f, p.in(4)), p.mul(i, g))
		t := p.tanh(c)
		for place, v := range []value{i, f, g, o} {
			p.back(place, v)
		}
		p.out(0, c)
		p.out(1, t)
		p.out(2, p.mul(o, t))
	})
	def("vecLSTMBack", "gradients by the gates replace x, y, z, u; a is c before, b tanh(c); p is dh, read and cleared, q dc, changed", func(p *prog) {
		i, f, g, o, before, t := p.in(0), p.in(1), p.in(2), p.in(3), p.in(4), p.in(5)
		dh, one := p.into(0), p.f(1)
		d := p.add(p.into(1), p.mul(p.mul(dh, o), p.sub(one, p.mul(t, t))))
		p.back(3, p.mul(p.mul(dh, t), slope(p, o)))
		p.back(0, p.mul(p.mul(d, g), slope(p, i)))
		p.back(1, p.mul(p.mul(d, before), slope(p, f)))
		p.back(2, p.mul(p.mul(d, i), p.sub(one, p.mul(g, g))))
		p.out(1, p.mul(d, f))
		p.out(0, p.f(0))
	})
	def("vecGRU", "x = sigmoid(x + p), y = sigmoid(y + q), z = tanh(z + x*u); r = z + y*(a - z)", func(p *prog) {
		reset := p.sigmoid(p.add(p.in(0), p.into(0)))
		update := p.sigmoid(p.add(p.in(1), p.into(1)))
		fresh := p.tanh(p.add(p.in(2), p.mul(reset, p.in(3))))
		p.back(0, reset)
		p.back(1, update)
		p.back(2, fresh)
		p.out(2, p.add(fresh, p.mul(update, p.sub(p.in(4), fresh))))
	})
	def("vecGRUBack", "gradients by the gates replace x, y, z and go to p, q, u, the last times x; a is h before; r is dh, becomes dh*y", func(p *prog) {
		r, z, f, hidden, before := p.in(0), p.in(1), p.in(2), p.in(3), p.in(4)
		dh, one := p.into(2), p.f(1)
		df := p.mul(p.mul(dh, p.sub(one, z)), p.sub(one, p.mul(f, f)))
		dz := p.mul(p.mul(dh, p.sub(before, f)), slope(p, z))
		dr := p.mul(p.mul(df, hidden), slope(p, r))
		for place, v := range []value{dr, dz, df, p.mul(df, r)} {
			p.back(place, v)
		}
		p.out(0, dr)
		p.out(1, dz)
		p.out(2, p.mul(dh, z))
	})
}
