package nn

import (
	"math"

	"github.com/lockstep-ml/lockstep/pkg/tensor"
)

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
	s := tensor.AdamStep{Decay: float32(o.decay * u.decay), Shrink: 1, Epsilon: float32(o.epsilon),
		Beta1: float32(o.beta1), Rest1: float32(1 - o.beta1), Beta2: float32(o.beta2), Rest2: float32(1 - o.beta2),
		Step: float32(float64(u.lr) / (1 - power(o.beta1, u.t))),
		Root: float32(1 / math.Sqrt(1-power(o.beta2, u.t)))}
	if o.decoupled {
		s.Decay, s.Shrink = 0, 1-float32(u.lr*s.Decay)
	}
	u.eng.Adam(u.w, u.slots[0], u.slots[1], u.g, s)
}
