package tensor

// Exp sets y to e^x, at most 1.1 ulp off. y may be x.
func (e *Engine) Exp(y, x []float32) { e.unary("Exp", y, x, e.k.opExp) }

// Log sets y to the natural logarithm of x, at most 1 ulp off. y may be x.
func (e *Engine) Log(y, x []float32) { e.unary("Log", y, x, e.k.opLog) }

// NormalCDF sets y to the normal distribution function of x, at most 7.5 ulp off. y
// may be x.
func (e *Engine) NormalCDF(y, x []float32) { e.unary("NormalCDF", y, x, e.k.opNormal) }

func (e *Engine) unary(name string, y, x []float32, op func(*vector)) {
	need(name, "x", len(x), len(y))
	inPlace(name, y, x[:len(y)])
	e.args(y, x)
	e.each(op)
}
