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

const leakySlope = 0.01

// ActForward sets y to act(x). y may be x.
func (e *Engine) ActForward(y, x []float32, act Act) {
	need("ActForward", "x", len(x), len(y))
	e.pool.workers[0].actForward(y, x, act)
}

func (w *worker) actForward(y, x []float32, act Act) {
	f := actForward(act)
	if f == nil {
		copy(y, x)
		return
	}
	for i := range y {
		y[i] = f(x[i])
	}
}

// ActBackward sets dx to dy times the derivative of act, where y = act(x). Only
// GELU, SiLU and Softplus read x, all others y; what is not read may be nil. dx
// may be dy.
func (e *Engine) ActBackward(dx, dy, x, y []float32, act Act) {
	need("ActBackward", "dy", len(dy), len(dx))
	f, from := actDerivative(act), y
	switch act {
	case ActNone:
		copy(dx, dy)
		return
	case ActGELU, ActSiLU, ActSoftplus:
		from = x
	}
	need("ActBackward", "x or y", len(from), len(dx))
	for i := range dx {
		dx[i] = dy[i] * f(from[i])
	}
}

func actForward(act Act) func(x float32) float32 {
	switch act {
	case ActReLU:
		return func(x float32) float32 { return max32(0, x) }
	case ActSigmoid:
		return sigmoid32
	case ActTanh:
		return tanh32
	case ActLeakyReLU:
		return func(x float32) float32 {
			if x > 0 {
				return x
			}
			return x * leakySlope
		}
	case ActELU:
		return func(x float32) float32 {
			if x > 0 {
				return x
			}
			return exp32(x) - 1
		}
	case ActGELU:
		return func(x float32) float32 { return x * normal32(x) }
	case ActSiLU:
		return func(x float32) float32 { return x * sigmoid32(x) }
	case ActSoftplus:
		return softplus32
	}
	return nil
}

func actDerivative(act Act) func(v float32) float32 {
	switch act {
	case ActReLU:
		return func(y float32) float32 {
			if y > 0 {
				return 1
			}
			return 0
		}
	case ActSigmoid:
		return func(y float32) float32 { return y * (1 - y) }
	case ActTanh:
		return func(y float32) float32 { return fma32(-y, y, 1) }
	case ActLeakyReLU:
		return func(y float32) float32 {
			if y > 0 {
				return 1
			}
			return leakySlope
		}
	case ActELU:
		return func(y float32) float32 {
			if y > 0 {
				return 1
			}
			return y + 1
		}
	case ActGELU:
		return func(x float32) float32 { return fma32(x, density32(x), normal32(x)) }
	case ActSiLU:
		return func(x float32) float32 {
			s := sigmoid32(x)
			return fma32(float32(x*s), 1-s, s)
		}
	case ActSoftplus:
		return sigmoid32
	}
	return nil
}
