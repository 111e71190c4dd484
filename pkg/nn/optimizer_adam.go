package nn

import "math"

// adam is
//
//	g += decay*w                       (coupled decay)
//	m  = beta1*m + (1-beta1)*g
//	v  = beta2*v + (1-beta2)*g²
//	w -= lr*decay*w                    (decoupled decay)
//	w -= lr/(1-beta1^t) * m / (sqrt(v/(1-beta2^t)) + epsilon)
type adam struct {
	beta1, beta2, epsilon, decay float64
	decoupled                    bool
}

func adamFields(decay Field) []Field {
	return []Field{
		number("beta1", 0.9, "memory of the mean of the gradient").min(0).below(1),
		number("beta2", 0.999, "memory of the mean of its square").min(0).below(1),
		number("epsilon", 1e-8, "keeps the division finite").above(0),
		decay,
	}
}

func newAdam(a Args, decoupled bool) adam {
	return adam{beta1: a.Float("beta1"), beta2: a.Float("beta2"), epsilon: a.Float("epsilon"),
		decay: a.Float("weight_decay"), decoupled: decoupled}
}

func adamKind() optimizerKind {
	decay := number("weight_decay", 0, "L2: adds weight_decay*w to the gradient").min(0)
	return optimizerKind{
		Entry: optimizerEntry("adam", "a rate for every parameter from the running mean and variance of its gradient", 0.001, adamFields(decay)...),
		fit:   func(a Args) optimizer { return newAdam(a, false) },
	}
}

func adamWKind() optimizerKind {
	decay := number("weight_decay", 0.01, "every update takes lr*weight_decay*w off the parameters").min(0)
	return optimizerKind{
		Entry: optimizerEntry("adamw", "adam with weight decay apart from the gradient", 0.001, adamFields(decay)...),
		fit:   func(a Args) optimizer { return newAdam(a, true) },
	}
}

func (adam) slots() []string { return []string{"mean", "variance"} }

func (o adam) update(u *update) {
	b1, b2, eps := float32(o.beta1), float32(o.beta2), float32(o.epsilon)
	c1, c2 := float32(1-o.beta1), float32(1-o.beta2)
	step := float32(float64(u.lr) / (1 - power(o.beta1, u.t)))
	root := float32(1 / math.Sqrt(1-power(o.beta2, u.t)))
	decay, shrink := float32(o.decay), float32(1)
	if o.decoupled {
		decay, shrink = 0, 1-float32(u.lr*decay)
	}
	m, v := u.slots[0][:len(u.w)], u.slots[1][:len(u.w)]
	for i, w := range u.w {
		g := u.g[i] + float32(decay*w)
		m[i] = float32(b1*m[i]) + float32(c1*g)
		v[i] = float32(b2*v[i]) + float32(c2*float32(g*g))
		d := float32(float32(math.Sqrt(float64(v[i])))*root) + eps
		u.w[i] = float32(w*shrink) - float32(step*m[i])/d
	}
}
