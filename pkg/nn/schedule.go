package nn

import "math"

// schedule is the learning rate over time: a factor of the optimiser's rate.
type schedule interface {
	// factor is that of update t, 0 <= t < total.
	factor(t, total int) float64
}

type scheduleKind struct {
	Entry
	fit func(a Args, stepsPerEpoch int) schedule
}

// scheduleEntry is an entry with the warm-up that every schedule has.
func scheduleEntry(name, summary string, fields ...Field) Entry {
	fields = append(fields, integer("warmup", 0, "updates over which the rate first rises from 0, in equal steps").min(0))
	return Entry{Name: name, Class: classSchedule, Summary: summary, Fields: fields}
}

// warmup rises to 1 over the first n updates and then follows another schedule
// over the rest.
type warmup struct {
	n    int
	then schedule
}

func (w warmup) factor(t, total int) float64 {
	if t < w.n {
		return float64(t+1) / float64(w.n)
	}
	return w.then.factor(t-w.n, max(total-w.n, 1))
}

type scheduleFunc func(t, total int) float64

func (f scheduleFunc) factor(t, total int) float64 { return f(t, total) }

func constantKind() scheduleKind {
	return scheduleKind{
		Entry: scheduleEntry("constant", "the rate stays"),
		fit: func(Args, int) schedule {
			return scheduleFunc(func(int, int) float64 { return 1 })
		},
	}
}

func stepKind() scheduleKind {
	return scheduleKind{
		Entry: scheduleEntry("step", "the rate is multiplied by gamma every so many epochs",
			number("every", 1, "epochs from one drop to the next").above(0).short(),
			number("gamma", 0.1, "factor of a drop").above(0).max(1)),
		fit: func(a Args, stepsPerEpoch int) schedule {
			every := max(int(a.Float("every")*float64(stepsPerEpoch)), 1)
			gamma := a.Float("gamma")
			return scheduleFunc(func(t, _ int) float64 { return power(gamma, t/every) })
		},
	}
}

func exponentialKind() scheduleKind {
	return scheduleKind{
		Entry: scheduleEntry("exponential", "the rate is multiplied by gamma after every epoch",
			number("gamma", 0.9, "factor of an epoch").above(0).max(1).short()),
		fit: func(a Args, stepsPerEpoch int) schedule {
			gamma := a.Float("gamma")
			return scheduleFunc(func(t, _ int) float64 { return power(gamma, t/max(stepsPerEpoch, 1)) })
		},
	}
}

func cosineKind() scheduleKind {
	return scheduleKind{
		Entry: scheduleEntry("cosine", "the rate falls along half a cosine to its end at the last update",
			number("end", 0, "factor at the end").min(0).max(1)),
		fit: func(a Args, _ int) schedule {
			end := a.Float("end")
			return scheduleFunc(func(t, total int) float64 {
				return between(1, end, min(float64(t)/float64(max(total, 1)), 1))
			})
		},
	}
}

func oneCycleKind() scheduleKind {
	return scheduleKind{
		Entry: scheduleEntry("one_cycle", "the rate rises from start to 1 along half a cosine and then falls to end",
			number("peak", 0.3, "share of the updates after which the rate is highest").above(0).below(1),
			number("start", 0.04, "factor at the first update").min(0).max(1),
			number("end", 4e-6, "factor at the last update").min(0).max(1)),
		fit: func(a Args, _ int) schedule {
			peak, start, end := a.Float("peak"), a.Float("start"), a.Float("end")
			return scheduleFunc(func(t, total int) float64 {
				top := float64(peak*float64(total)) - 1
				at := float64(t)
				if at <= top && top > 0 {
					return between(start, 1, at/top)
				}
				return between(1, end, min((at-top)/max(float64(total)-1-top, 1), 1))
			})
		},
	}
}

// between goes from a to b along half a cosine as x goes from 0 to 1.
func between(a, b, x float64) float64 {
	return b + float64((a-b)*float64((1+cosPi(x))/2))
}

// power is x^n by squaring: only multiplications, so every machine agrees on
// the bits.
func power(x float64, n int) float64 {
	p := 1.0
	for ; n > 0; n >>= 1 {
		if n&1 == 1 {
			p *= x
		}
		x *= x
	}
	return p
}

// cosPi is cos(pi*x) for 0 <= x <= 1 by the Taylor series of the cosine or sine
// about the nearest multiple of pi/2. Every product is rounded by itself, so
// every machine agrees on the bits. The error is below 1e-15.
func cosPi(x float64) float64 {
	switch {
	case x <= 0.25:
		return series(math.Pi*x, 0)
	case x <= 0.75:
		return -series(math.Pi*(x-0.5), 1)
	default:
		return -series(math.Pi*(1-x), 0)
	}
}

// series is the Taylor series of the cosine (first 0) or sine (first 1) at a.
func series(a float64, first int) float64 {
	term, sum := 1.0, 0.0
	if first == 1 {
		term = a
	}
	for k := first + 1; k < first+20; k += 2 {
		sum += term
		term = -float64(float64(term*float64(a*a)) / float64(k*(k+1)))
	}
	return sum
}

// exp is e to the power of x, by the Taylor series about the nearest multiple of
// ln 2. Every product is rounded by itself, so every machine agrees on the bits;
// math.Exp differs between processors. The relative error is below 1e-14.
func exp(x float64) float64 {
	if math.IsNaN(x) || x > 709.78 || x < -745.2 {
		return math.Exp(x) // NaN, +Inf or 0 everywhere
	}
	n := math.RoundToEven(x / math.Ln2)
	const high, low = 6.93147180369123816490e-01, 1.90821492927058770002e-10 // ln 2 in two parts
	r := float64(x-float64(n*high)) - float64(n*low)
	term, sum := 1.0, 1.0
	for k := 1; k < 20; k++ {
		term = float64(term*r) / float64(k)
		sum += term
	}
	return math.Ldexp(sum, int(n))
}
