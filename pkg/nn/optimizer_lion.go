package nn

// lion moves every parameter by the same amount, along the sign of
//
//	c  = beta1*m + (1-beta1)*g
//	w -= lr*(sign(c) + decay*w)
//	m  = beta2*m + (1-beta2)*g
type lion struct {
	beta1, rest1, beta2, rest2, decay float32
}

func lionKind() optimizerKind {
	return optimizerKind{
		Entry: optimizerEntry("lion", "moves along the sign of a running mean of the gradient", 0.0001,
			number("beta1", 0.9, "share of the mean in a move").min(0).below(1),
			number("beta2", 0.99, "memory of the mean").min(0).below(1),
			number("weight_decay", 0, "every update takes lr*weight_decay*w off the parameters").min(0)),
		fit: func(a Args) optimizer {
			b1, b2 := a.Float("beta1"), a.Float("beta2")
			return lion{beta1: float32(b1), rest1: float32(1 - b1), beta2: float32(b2), rest2: float32(1 - b2), decay: float32(a.Float("weight_decay"))}
		},
	}
}

func (lion) slots() []string { return []string{"mean"} }

func (o lion) update(u *update) {
	m, decay := u.slots[0][:len(u.w)], u.share(o.decay)
	for i, w := range u.w {
		g := u.g[i]
		c := float32(o.beta1*m[i]) + float32(o.rest1*g)
		move := float32(decay * w)
		if c > 0 {
			move++
		} else if c < 0 {
			move--
		}
		u.w[i] = w - float32(u.lr*move)
		m[i] = float32(o.beta2*m[i]) + float32(o.rest2*g)
	}
}
