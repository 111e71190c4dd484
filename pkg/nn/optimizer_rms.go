package nn

import "math"

// rmsprop is
//
//	g += decay*w
//	v  = rho*v + (1-rho)*g²
//	m  = momentum*m + g / (sqrt(v) + epsilon)
//	w -= lr*m
//
// and adagrad the same with v the sum of all g² and no momentum.
type rmsprop struct {
	rho, rest, momentum, epsilon, decay float32
}

func rmspropKind() optimizerKind {
	return optimizerKind{
		Entry: optimizerEntry("rmsprop", "divides the gradient by the root of its running mean square", 0.01,
			number("rho", 0.99, "memory of the mean square").min(0).below(1),
			number("momentum", 0, "share of the last change that is kept").min(0).below(1),
			number("epsilon", 1e-8, "keeps the division finite").above(0),
			number("weight_decay", 0, "L2: adds weight_decay*w to the gradient").min(0)),
		fit: func(a Args) optimizer {
			rho := a.Float("rho")
			return rmsprop{rho: float32(rho), rest: float32(1 - rho), momentum: float32(a.Float("momentum")),
				epsilon: float32(a.Float("epsilon")), decay: float32(a.Float("weight_decay"))}
		},
	}
}

func adagradKind() optimizerKind {
	return optimizerKind{
		Entry: optimizerEntry("adagrad", "divides the gradient by the root of the sum of its squares", 0.01,
			number("epsilon", 1e-10, "keeps the division finite").above(0),
			number("weight_decay", 0, "L2: adds weight_decay*w to the gradient").min(0)),
		fit: func(a Args) optimizer {
			return rmsprop{rho: 1, rest: 1, epsilon: float32(a.Float("epsilon")), decay: float32(a.Float("weight_decay"))}
		},
	}
}

func (o rmsprop) slots() []string {
	if o.momentum == 0 {
		return []string{"square"}
	}
	return []string{"square", "momentum"}
}

func (o rmsprop) update(u *update) {
	v, decay := u.slots[0][:len(u.w)], u.share(o.decay)
	for i, w := range u.w {
		g := u.g[i] + float32(decay*w)
		v[i] = float32(o.rho*v[i]) + float32(o.rest*float32(g*g))
		d := g / (float32(math.Sqrt(float64(v[i]))) + o.epsilon)
		if o.momentum > 0 {
			m := u.slots[1]
			m[i] = float32(o.momentum*m[i]) + d
			d = m[i]
		}
		u.w[i] = w - float32(u.lr*d)
	}
}
