package nn

import "math"

// lamb scales adam's move of every tensor to the length of the tensor:
//
//	r  = m/(1-beta1^t) / (sqrt(v/(1-beta2^t)) + epsilon) + decay*w
//	w -= lr * |w|/|r| * r        (|w|/|r| is 1 if either is 0)
type lamb struct{ adam }

func lambKind() optimizerKind {
	decay := number("weight_decay", 0.01, "adds weight_decay*w to the move before it is scaled").min(0)
	return optimizerKind{
		Entry: optimizerEntry("lamb", "adam with a rate for every tensor, for very large batches", 0.001, adamFields(decay)...),
		fit:   func(a Args) optimizer { return lamb{newAdam(a, true)} },
	}
}

func (o lamb) update(u *update) {
	b1, b2, eps, decay := float32(o.beta1), float32(o.beta2), float32(o.epsilon), float32(o.decay*u.decay)
	c1, c2 := float32(1-o.beta1), float32(1-o.beta2)
	scale := float32(1 / (1 - power(o.beta1, u.t)))
	root := float32(1 / math.Sqrt(1-power(o.beta2, u.t)))
	m, v, r := u.slots[0][:len(u.w)], u.slots[1][:len(u.w)], u.g
	for i, g := range u.g {
		m[i] = float32(b1*m[i]) + float32(c1*g)
		v[i] = float32(b2*v[i]) + float32(c2*float32(g*g))
		d := float32(float32(math.Sqrt(float64(v[i])))*root) + eps
		r[i] = float32(m[i]*scale)/d + float32(decay*u.w[i])
	}
	ratio := 1.0
	if weight, move := math.Sqrt(u.eng.SumSquares(u.w)), math.Sqrt(u.eng.SumSquares(r)); weight > 0 && move > 0 {
		ratio = weight / move
	}
	u.eng.Axpy(u.w, float32(-float64(u.lr)*ratio), r)
}
