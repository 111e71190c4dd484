package nn

import "math"

// rmsprop is
//
//	g += decay*w
//	v  = rho*v + (1-rho)*g²
//	a  = rho*a + (1-rho)*g                         if centred, else 0
//	m  = momentum*m + g / (sqrt(v - a²) + epsilon)
//	w -= lr*m
//
// and adagrad the same with v the sum of all g² and of initial, no momentum, and a
// rate of lr/(1 + slowing*(t-1)) in update t.
type rmsprop struct {
	rho, rest, momentum, epsilon, decay float32
	centred                             bool
	initial, slowing                    float32
}

func rmspropKind() optimizerKind {
	return optimizerKind{
		Entry: optimizerEntry("rmsprop", "divides the gradient by the root of its running mean square", 0.01,
			number("rho", 0.99, "memory of the mean square").min(0).below(1),
			number("momentum", 0, "share of the last change that is kept").min(0).below(1),
			number("epsilon", 1e-8, "keeps the division finite").above(0),
			boolean("centred", false, "divides by the root of the running variance instead"),
			number("weight_decay", 0, "L2: adds weight_decay*w to the gradient").min(0)),
		fit: func(a Args) optimizer {
			rho := a.Float("rho")
			return rmsprop{rho: float32(rho), rest: float32(1 - rho), momentum: float32(a.Float("momentum")),
				epsilon: float32(a.Float("epsilon")), decay: float32(a.Float("weight_decay")), centred: a.Bool("centred")}
		},
	}
}

func adagradKind() optimizerKind {
	return optimizerKind{
		Entry: optimizerEntry("adagrad", "divides the gradient by the root of the sum of its squares", 0.01,
			number("epsilon", 1e-10, "keeps the division finite").above(0),
			number("initial", 0, "what the sum of squares begins with").min(0),
			number("lr_decay", 0, "update t has the rate lr/(1 + lr_decay*(t-1))").min(0),
			number("weight_decay", 0, "L2: adds weight_decay*w to the gradient").min(0)),
		fit: func(a Args) optimizer {
			return rmsprop{rho: 1, rest: 1, epsilon: float32(a.Float("epsilon")), decay: float32(a.Float("weight_decay")),
				initial: float32(a.Float("initial")), slowing: float32(a.Float("lr_decay"))}
		},
	}
}

func (o rmsprop) slots() []string {
	names := []string{"square"}
	if o.centred {
		names = append(names, "mean")
	}
	if o.momentum > 0 {
		names = append(names, "momentum")
	}
	return names
}

// kept is the slot of the last change.
func (o rmsprop) kept() int {
	if o.centred {
		return 2
	}
	return 1
}

func (o rmsprop) update(u *update) {
	v, decay := u.slots[0][:len(u.w)], u.share(o.decay)
	lr := u.lr / (1 + float32(o.slowing*float32(u.t-1)))
	for i, w := range u.w {
		g := u.g[i] + float32(decay*w)
		v[i] = float32(o.rho*v[i]) + float32(o.rest*float32(g*g))
		square := v[i] + o.initial
		if o.centred {
			a := u.slots[1]
			a[i] = float32(o.rho*a[i]) + float32(o.rest*g)
			square = max(square-float32(a[i]*a[i]), 0) // rounding may leave less
		}
		d := g / (float32(math.Sqrt(float64(square))) + o.epsilon)
		if o.momentum > 0 {
			m := u.slots[o.kept()]
			m[i] = float32(o.momentum*m[i]) + d
			d = m[i]
		}
		u.w[i] = w - float32(lr*d)
	}
}
