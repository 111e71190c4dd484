package tensor

// Act is an activation function.
type Act int

// The activations. LeakyReLU has slope 0.01, ELU has alpha 1, GELU is the exact
// one, x times the normal distribution function.
const (
	ActNone Act = iota
	ActReLU
	ActSigmoid
	ActTanh
	ActLeakyReLU
	ActELU
	ActGELU
	ActSiLU
	ActSoftplus
)

// slope is the parameter of an activation where its user gives none.
func (a Act) slope() float32 {
	if a == ActLeakyReLU {
		return 0.01
	}
	return 1
}

// check panics unless there is such an activation.
func (a Act) check(op string) {
	if a < ActNone || a > ActSoftplus {
		fail(op, "there is no activation %d", int(a))
	}
}

// readsX is whether the derivative follows from x, not from y.
func (a Act) readsX() bool { return a == ActGELU || a == ActSiLU || a == ActSoftplus }

// ActForward sets y to act(x). y may be x.
func (e *Engine) ActForward(y, x []float32, act Act) { e.ActForwardSlope(y, x, act, act.slope()) }

// ActForwardSlope is ActForward with the slope of LeakyReLU for x < 0, or the
// alpha of ELU; others do not read it.
func (e *Engine) ActForwardSlope(y, x []float32, act Act, slope float32) {
	need("ActForward", "x", len(x), len(y))
	inPlace("ActForward", y, x[:len(y)])
	op := e.k.actForward(act)
	if op == nil {
		act.check("ActForward")
		copy(y, x)
		return
	}
	e.args(y, x).s0 = bits(slope)
	e.each(op)
}

// ActBackward sets dx to dy times the derivative of act, where y = act(x). Only
// GELU, SiLU and Softplus read x, all others y; what is not read may be nil. dx
// may be dy.
func (e *Engine) ActBackward(dx, dy, x, y []float32, act Act) {
	e.ActBackwardSlope(dx, dy, x, y, act, act.slope())
}

// ActBackwardSlope is ActBackward with the slope of ActForwardSlope. ELU needs an
// alpha that is not negative.
func (e *Engine) ActBackwardSlope(dx, dy, x, y []float32, act Act, slope float32) {
	need("ActBackward", "dy", len(dy), len(dx))
	inPlace("ActBackward", dx, dy[:len(dx)])
	op := e.k.actBackward(act)
	if op == nil {
		act.check("ActBackward")
		copy(dx, dy)
		return
	}
	from := y
	if act.readsX() {
		from = x
	}
	need("ActBackward", "x or y", len(from), len(dx))
	inPlace("ActBackward", dx, from[:len(dx)])
	e.args(dx, dy, from).s0 = bits(slope)
	e.each(op)
}

// actForward applies act on one thread.
func (w *worker) actForward(y, x []float32, act Act) {
	v := w.aimVec(len(y))
	v.p, v.x, v.s0 = start(y), start(x), bits(act.slope())
	w.k.actForward(act)(v)
}

// actBackward turns dy, on one thread, into the gradient before act, whose
// derivative follows from y.
func (w *worker) actBackward(dy, y []float32, act Act) {
	v := w.aimVec(len(dy))
	v.p, v.x, v.y, v.s0 = start(dy), start(dy), start(y), bits(act.slope())
	w.k.actBackward(act)(v)
}

func (k *kernels) actForward(act Act) func(*vector) {
	switch act {
	case ActReLU:
		return k.opReLU
	case ActSigmoid:
		return k.opSigmoid
	case ActTanh:
		return k.opTanh
	case ActLeakyReLU:
		return k.opLeaky
	case ActELU:
		return k.opELU
	case ActGELU:
		return k.opGELU
	case ActSiLU:
		return k.opSiLU
	case ActSoftplus:
		return k.opSoftplus
	}
	return nil
}

func (k *kernels) actBackward(act Act) func(*vector) {
	switch act {
	case ActReLU:
		return k.opReLUBack
	case ActSigmoid:
		return k.opSigmoidBack
	case ActTanh:
		return k.opTanhBack
	case ActLeakyReLU:
		return k.opLeakyBack
	case ActELU:
		return k.opELUBack
	case ActGELU:
		return k.opGELUBack
	case ActSiLU:
		return k.opSiLUBack
	case ActSoftplus:
		return k.opSoftplusBack
	}
	return nil
}
