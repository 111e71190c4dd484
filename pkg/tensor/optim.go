package tensor

// SGDStep is one update of stochastic gradient descent:
//
//	g += Decay*w
//	v  = Momentum*v + g
//	w -= LR*v            (Nesterov: LR*(g + Momentum*v))
//
// Every product and every sum is rounded.
type SGDStep struct {
	LR, Momentum, Decay float32
	Nesterov            bool
}

// SGD updates w, and v unless Momentum is 0; then v is not read. g stays.
func (e *Engine) SGD(w, v, g []float32, s SGDStep) {
	need("SGD", "g", len(g), len(w))
	apart("SGD", w, g)
	op := e.k.opSGD
	a := e.args(w, w, g)
	a.s0, a.s1, a.s2 = bits(s.LR), bits(s.Decay), bits(s.Momentum)
	if s.Momentum != 0 {
		need("SGD", "v", len(v), len(w))
		apart("SGD", v[:len(w)], w, g)
		a.z, a.q = start(v), start(v)
		op = e.k.opMomentum
		if s.Nesterov {
			op = e.k.opNesterov
		}
	}
	e.each(op)
}

// AdamStep is one update of Adam:
//
//	g += Decay*w
//	m  = Beta1*m + Rest1*g
//	v  = Beta2*v + Rest2*g²
//	w  = Shrink*w - Step*m / (sqrt(v)*Root + Epsilon)
//
// The caller corrects the bias of step t: Step = LR/(1-Beta1^t) and
// Root = 1/sqrt(1-Beta2^t). Shrink is 1, or 1 - LR*decay of AdamW.
type AdamStep struct {
	Decay, Beta1, Rest1, Beta2, Rest2, Shrink, Step, Root, Epsilon float32
}

// Adam updates w, m and v. g stays.
func (e *Engine) Adam(w, m, v, g []float32, s AdamStep) {
	need2("Adam", len(w), len(m), len(v))
	need("Adam", "g", len(g), len(w))
	apart("Adam", w, m, v, g)
	apart("Adam", m[:len(w)], v, g)
	apart("Adam", v[:len(w)], g)
	a := e.args(w, w, g, m, v)
	a.q, a.r = start(m), start(v)
	a.s0, a.s1, a.s2, a.s3, a.s4 = bits(s.Decay), bits(s.Beta1), bits(s.Rest1), bits(s.Beta2), bits(s.Rest2)
	a.s5, a.s6, a.s7, a.s8 = bits(s.Shrink), bits(s.Step), bits(s.Root), bits(s.Epsilon)
	e.each(e.k.opAdam)
}
