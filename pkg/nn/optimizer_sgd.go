package nn

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

// update rounds every product by itself: a compiler that fuses it into an
// addition would give other bits on other machines.
func (o sgd) update(u *update) {
	if o.momentum == 0 {
		for i, w := range u.w {
			g := u.g[i] + float32(o.decay*w)
			u.w[i] = w - float32(u.lr*g)
		}
		return
	}
	v := u.slots[0][:len(u.w)]
	for i, w := range u.w {
		g := u.g[i] + float32(o.decay*w)
		m := float32(o.momentum*v[i]) + g
		v[i] = m
		if o.nesterov {
			m = g + float32(o.momentum*m)
		}
		u.w[i] = w - float32(u.lr*m)
	}
}
