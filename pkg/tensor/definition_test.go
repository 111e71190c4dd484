package tensor

import "math"

// num is a number in the definition of an operation: what the arithmetic of the
// contract makes it, to the bit, what exact arithmetic would, and how far they may
// be apart.
//
// Bounds are derived by the definitions themselves. Every step rounds once: the t
// of exact arithmetic on the rounded operands becomes f with
//
//	|f - t| <= u*|t| + 2^-150    u = 2^-24
//
// and t differs from v by what the errors of the operands make of it. So a chain
// of k fused multiply-adds is bounded by gamma(k)*sum|a||b|, gamma(k) = k*u/(1-k*u),
// or by less.
type num struct {
	f    float32
	v, e float64 // |f-v| <= e; not finite where nothing is claimed
}

// unit is u and a little more, for the roundings of v.
const unitError = 0x1p-24 * (1 + 0x1p-10)

func exact(x float32) num { return num{x, float64(x), spread(float64(x), 0)} }

// spread is e, or Inf if float32 may overflow.
func spread(v, e float64) float64 {
	if math.Abs(v)+e < math.MaxFloat32 {
		return e
	}
	return math.Inf(1)
}

// rounded is f, rounded once, whose operands leave an error e of v.
func rounded(f float32, v, e float64) num {
	return num{f, v, spread(v, e+unitError*(math.Abs(v)+e)+0x1p-150)}
}

func (a num) add(b num) num { return rounded(a.f+b.f, a.v+b.v, a.e+b.e) }
func (a num) sub(b num) num { return rounded(a.f-b.f, a.v-b.v, a.e+b.e) }

func (a num) mul(b num) num { return rounded(float32(a.f*b.f), a.v*b.v, productError(a, b)) }

func productError(a, b num) float64 { return math.Abs(a.v)*b.e + math.Abs(b.v)*a.e + a.e*b.e }

// fma is a*b + c.
func fma(a, b, c num) num {
	return rounded(fma32(a.f, b.f, c.f), a.v*b.v+c.v, productError(a, b)+c.e)
}

func (a num) div(b num) num {
	v := a.v / b.v
	return rounded(a.f/b.f, v, (math.Abs(v)*b.e+a.e)/max(math.Abs(b.v)-b.e, 0))
}

func (a num) sqrt() num {
	return rounded(sqrt32(a.f), math.Sqrt(a.v), a.e/(2*math.Sqrt(max(a.v-a.e, 0))))
}

func (a num) neg() num { return num{-a.f, -a.v, a.e} }

// function is f of the contract, at most ulp off, and f of mathematics, whose slope
// round a is at most so much. Half an ulp of a result is at most u times it.
func (a num) function(f func(float32) float32, exact func(float64) float64, slope, ulp float64) num {
	v := exact(a.v)
	e := a.e * slope
	return num{f(a.f), v, spread(v, e+2*ulp*unitError*(math.Abs(v)+e)+ulp*0x1p-149)}
}

func (a num) exp() num { return a.function(exp32, math.Exp, math.Exp(a.v+a.e), ulpExp) }
func (a num) log() num { return a.function(log32, math.Log, 1/max(a.v-a.e, 0), ulpLog) }

func (a num) sigmoid() num { return a.function(sigmoid32, sigmoid64, 0.25, ulpSigmoid) }
func (a num) tanh() num    { return a.function(tanh32, math.Tanh, 1, ulpTanh) }

func sigmoid64(x float64) float64 { return 1 / (1 + math.Exp(-x)) }
func normal64(x float64) float64  { return math.Erfc(-x/math.Sqrt2) / 2 }
func bell64(x float64) float64    { return math.Exp(-x * x / 2) }

// softplus64 is log(1+exp(x)).
func softplus64(x float64) float64 { return max(x, 0) + math.Log1p(math.Exp(-math.Abs(x))) }

// stridedNum is the order that all reductions of a row follow: element i goes to
// partial sum i mod 16, and partial sums are joined by halves.
func stridedNum(n int, step func(p num, i int) num) num {
	var p [sums]num
	for i := range n {
		p[i%sums] = step(p[i%sums], i)
	}
	for h := sums / 2; h > 0; h /= 2 {
		for i := range h {
			p[i] = p[i].add(p[i+h])
		}
	}
	return p[0]
}

// sumNum is the strided sum of x.
func sumNum(x []float32) num {
	return stridedNum(len(x), func(p num, i int) num { return p.add(exact(x[i])) })
}
