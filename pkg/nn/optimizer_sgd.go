package nn

import "github.com/lockstep-ml/lockstep/pkg/tensor"

// sgd is stochastic gradient descent with momentum:
//
//	g += decay*w
//	v  = momentum*v + g
//	w -= lr*v          (nesterov: lr*(g + momentum*v))
type sgd struct {
	momentum, decay float32
	nesterov        bool
}

func sgdKind() optimizerKind {
	return optimizerKind{
		Entry: optimizerEntry("sgd", "stochastic gradient descent, with momentum if wanted", 0.01,
			number("momentum", 0, "share of the last change that is kept").min(0).below(1),
			boolean("nesterov", false, "looks ahead along the momentum"),
			number("weight_decay", 0, "L2: adds weight_decay*w to the gradient").min(0)),
		fit: func(a Args) optimizer {
			return sgd{momentum: float32(a.Float("momentum")), decay: float32(a.Float("weight_decay")), nesterov: a.Bool("nesterov")}
		},
	}
}

func (o sgd) slots() []string {
	if o.momentum == 0 {
		return nil
	}
	return []string{"momentum"}
}

func (o sgd) update(u *update) {
	var v []float32
	if o.momentum > 0 {
		v = u.slots[0]
	}
	u.eng.SGD(u.w, v, u.g, tensor.SGDStep{LR: u.lr, Momentum: o.momentum, Decay: u.share(o.decay), Nesterov: o.nesterov})
}
