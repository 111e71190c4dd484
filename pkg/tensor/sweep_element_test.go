package tensor

import (
	"math"

	"github.com/lockstep-ml/lockstep/internal/philox"
)

func elementSweeps() []sweep {
	binary := func(name string, op func(e *Engine, dst, a, b []float32), definition func(a, b num) num) sweep {
		return sweep{[]string{name}, 120, func(c *trial) { sweepBinary(c, op, definition) }}
	}
	unary := func(name string, op func(e *Engine, y, x []float32), definition func(x num) num) sweep {
		return sweep{[]string{name}, 150, func(c *trial) { sweepUnary(c, op, definition) }}
	}
	return []sweep{
		binary("Add", (*Engine).Add, num.add),
		binary("Sub", (*Engine).Sub, num.sub),
		binary("Mul", (*Engine).Mul, num.mul),
		unary("Exp", (*Engine).Exp, num.exp),
		unary("Log", (*Engine).Log, num.log),
		unary("NormalCDF", (*Engine).NormalCDF, num.normal),
		{[]string{"ActForward", "ActForwardSlope"}, 400, sweepActForward},
		{[]string{"ActBackward", "ActBackwardSlope"}, 400, sweepActBackward},
		{[]string{"Axpy"}, 120, sweepAxpy},
		{[]string{"Scale"}, 120, sweepScale},
		{[]string{"Fill", "ClearInt", "Copy"}, 120, sweepFillAndCopy},
		{[]string{"AddInt"}, 120, sweepAddInt},
		{[]string{"Dequantise"}, 120, sweepDequantise},
		{[]string{"Sum", "SumSquares"}, 120, sweepSums},
		{[]string{"Dot", "MaxAbs"}, 120, sweepDot},
		{[]string{"ToBF16", "FromBF16", "ToFP16", "FromFP16"}, 120, sweepHalf},
		{[]string{"DropoutMask", "Uniform"}, 120, sweepUniform},
		{[]string{"Normal"}, 120, sweepNormal},
	}
}

func sweepBinary(c *trial, op func(e *Engine, dst, a, b []float32), definition func(a, b num) num) {
	n := c.length(60000)
	a, b := c.in(n), c.in(n)
	dst := c.over(a)
	if c.r.IntN(8) == 0 {
		b = a
	}
	c.batch(n, func(from, to int) { op(c.e, dst[from:to], a[from:to], b[from:to]) })
	wasA, wasB := c.was(a), c.was(b)
	c.check("dst", dst, 1, func(i int) num { return definition(exact(wasA[i]), exact(wasB[i])) })
}

func sweepUnary(c *trial, op func(e *Engine, y, x []float32), definition func(x num) num) {
	n := c.length(40000)
	x := c.in(n)
	y := c.over(x)
	c.batch(n, func(from, to int) { op(c.e, y[from:to], x[from:to]) })
	was := c.was(x)
	c.check("y", y, 4, func(i int) num { return definition(exact(was[i])) })
}

func (a num) normal() num {
	f := func(x float32) float32 { return scalar(vecNormal, 0, x) }
	return a.function(f, normal64, 0.4, ulpNormal)
}

// activation draws one, with or without a slope of its own.
func (c *trial) activation() (act Act, slope float32) {
	act = Act(c.i % int(ActSoftplus+1))
	if c.r.IntN(2) == 0 {
		return act, act.slope()
	}
	return act, float32(c.r.IntN(40)) / 16
}

func sweepActForward(c *trial) {
	act, slope := c.activation()
	n := c.length(40000)
	x := c.in(n)
	y := c.over(x)
	c.batch(n, func(from, to int) {
		if slope == act.slope() {
			c.e.ActForward(y[from:to], x[from:to], act)
		} else {
			c.e.ActForwardSlope(y[from:to], x[from:to], act, slope)
		}
	})
	was := c.was(x)
	c.check("y", y, 10, func(i int) num { return exact(was[i]).act(act, slope) })
}

func sweepActBackward(c *trial) {
	act, slope := c.activation()
	n := c.length(40000)
	dy, from := c.in(n), c.in(n)
	dx, x, y := c.over(dy), []float32(nil), []float32(nil)
	if act.readsX() {
		x = from
	} else if act != ActNone {
		y = from
	}
	c.batch(n, func(a, b int) {
		x, y := x, y
		if x != nil {
			x = x[a:b]
		}
		if y != nil {
			y = y[a:b]
		}
		if slope == act.slope() {
			c.e.ActBackward(dx[a:b], dy[a:b], x, y, act)
		} else {
			c.e.ActBackwardSlope(dx[a:b], dy[a:b], x, y, act, slope)
		}
	})
	was := c.was(dy)
	c.check("dx", dx, 10, func(i int) num { return exact(was[i]).slope(act, from[i], from[i], slope) })
}

// slope is the definition of the gradient before an activation of a gradient
// after it.
func (a num) slope(act Act, x, y, slope float32) num {
	one, v := exact(1), exact(y)
	switch act {
	case ActReLU, ActLeakyReLU, ActELU:
		switch {
		case y > 0:
			return a
		case act == ActReLU:
			return num{}
		case act == ActLeakyReLU:
			return a.mul(exact(slope))
		}
		return a.mul(v.add(exact(slope)))
	case ActSigmoid:
		return a.mul(v.mul(one.sub(v)))
	case ActTanh:
		return a.mul(fma(v.neg(), v, one))
	case ActSiLU:
		v = exact(x)
		s := v.sigmoid()
		return a.mul(fma(v.mul(s), one.sub(s), s))
	case ActSoftplus:
		return a.mul(exact(x).sigmoid())
	case ActGELU:
		v = exact(x)
		// The bell is at most 4 ulp off: one of exp, the others of roundings.
		bell := v.function(func(x float32) float32 { return float32(bell64(float64(x))) }, bell64, 1, 4)
		d := a.mul(fma(v, bell.mul(exact(0.3989422804014327)), v.normal()))
		d.f = scalar(vecGELUBack, 0, a.f, x)
		return d
	}
	return a
}

func sweepAxpy(c *trial) {
	n := c.length(60000)
	dst, x, alpha := c.out(n), c.in(n), c.in(1)[0]
	c.batch(n, func(from, to int) { c.e.Axpy(dst[from:to], alpha, x[from:to]) })
	was := c.was(dst)
	c.check("dst", dst, 1, func(i int) num { return fma(exact(alpha), exact(x[i]), exact(was[i])) })
}

func sweepScale(c *trial) {
	n := c.length(60000)
	dst, alpha := c.out(n), c.in(1)[0]
	c.batch(n, func(from, to int) { c.e.Scale(dst[from:to], alpha) })
	was := c.was(dst)
	c.check("dst", dst, 1, func(i int) num { return exact(was[i]).mul(exact(alpha)) })
}

func sweepFillAndCopy(c *trial) {
	n := c.length(20000)
	x, filled, copied, v := c.in(n), c.out(n), c.out(n), c.in(1)[0]
	cleared := c.outInts(n)
	c.e.Fill(filled, v)
	c.e.ClearInt(cleared)
	c.equalInts(cleared, make([]int32, n))
	c.e.Copy(copied, x)
	c.check("filled", filled, 1, func(i int) num { return exact(v) })
	c.check("copied", copied, 1, func(i int) num { return exact(x[i]) })
}

func sweepAddInt(c *trial) {
	n := c.length(60000)
	dst, q := c.outInts(n), c.ints(n, -1<<31)
	c.batch(n, func(from, to int) { c.e.AddInt(dst[from:to], q[from:to]) })
	want := c.wasInts(dst)
	for i, v := range c.wasInts(q) {
		if got := dst[i]; got != want[i]+v {
			c.t.Fatalf("%s: element %d is %d, want %d", c.what, i, got, want[i]+v)
		}
	}
}

func sweepDequantise(c *trial) {
	n := c.length(60000)
	dst, q, scale := c.out(n), c.ints(n, -1<<31), c.in(1)[0]
	c.batch(n, func(from, to int) { c.e.Dequantise(dst[from:to], q[from:to], scale) })
	c.check("dst", dst, 1, func(i int) num {
		return rounded(float32(q[i]), float64(q[i]), 0).mul(exact(scale))
	})
}

// sums64 is a sum in float64, in strided partial sums, with a bound: n roundings
// of at most 2^-53 of all that is added.
func (c *trial) sums64(name string, got float64, x []float32, f func(v float64) float64) {
	c.t.Helper()
	var p [sums]float64
	var all float64
	for i, v := range x {
		p[i%sums] += f(float64(v))
		all += math.Abs(f(float64(v)))
	}
	if want := tree64(&p); math.Float64bits(got) != math.Float64bits(want) && (got == got || want == want) {
		c.t.Fatalf("%s: %s is %g, by definition %g", c.what, name, got, want)
	}
	var exactly float64
	for _, v := range x {
		exactly += f(float64(v))
	}
	c.near(name, 0, got, exactly, 2*float64(len(x))*0x1p-53*all)
}

func sweepSums(c *trial) {
	x := c.in(c.length(2000))
	c.sums64("sum", c.e.Sum(x), x, func(v float64) float64 { return v })
	c.sums64("sum of squares", c.e.SumSquares(x), x, func(v float64) float64 { return float64(v * v) })
}

func sweepDot(c *trial) {
	n := c.length(2000)
	x, y := c.in(n), c.in(n)
	dot, top := c.e.Dot(x, y), c.e.MaxAbs(x)
	c.check("dot", []float32{dot}, n, func(int) num {
		return stridedNum(n, func(p num, i int) num { return fma(exact(x[i]), exact(y[i]), p) })
	})
	c.check("greatest", []float32{top}, n, func(int) num {
		var top uint32
		for _, v := range x {
			top = max(top, math.Float32bits(abs32(v)))
		}
		return exact(math.Float32frombits(top))
	})
	c.result(dot)
	c.result(top)
}

// sweepHalf converts there and back. What comes back is near: half a unit of 8 or
// of 11 bits, or of the least subnormal number.
func sweepHalf(c *trial) {
	n := c.length(2000)
	x, back, half := c.in(n), c.out(n), make([]uint16, n)
	to, from, unit, least, most := (*Engine).ToBF16, (*Engine).FromBF16, 0x1p-9, 0x1p-134, 0x1p127
	if c.r.IntN(2) == 0 {
		to, from, unit, least, most = (*Engine).ToFP16, (*Engine).FromFP16, 0x1p-12, 0x1p-25, 65504
	}
	c.batch(n, func(a, b int) {
		to(c.e, half[a:b], x[a:b])
		from(c.e, back[a:b], half[a:b])
	})
	for i, v := range x {
		v := float64(v)
		switch got := float64(back[i]); {
		case math.Abs(v) < most:
			c.near("there and back", i, got, v, max(2*unit*math.Abs(v), least))
		case v != v && got == got, math.IsInf(v, 0) && got != v:
			c.t.Fatalf("%s: %g comes back as %g", c.what, v, got)
		}
	}
}

// stream draws a place in a stream, near a carry of the counter now and then.
func (c *trial) stream() (s philox.Stream, base uint64) {
	bases := []uint64{0, 3, 1<<34 - 20, 1<<34 - 4000, 5 << 33, 1<<40 + 1}
	return philox.New(c.r.Uint64(), philox.Noise, 1, 2, 3), bases[c.r.IntN(len(bases))]
}

func sweepUniform(c *trial) {
	n := c.length(3000)
	s, base := c.stream()
	keep := float32(c.upTo(16)) / 16
	mask, u := c.out(n), c.out(n)
	c.batch(n, func(from, to int) {
		c.e.DropoutMask(mask[from:to], keep, s, base+uint64(from))
		c.e.Uniform(u[from:to], -1, 2, s, base+uint64(from))
	})
	c.check("mask", mask, 40, func(i int) num {
		if s.Float32(base+uint64(i)) < keep {
			return exact(1).div(exact(keep))
		}
		return num{}
	})
	c.check("uniform", u, 40, func(i int) num { return fma(exact(s.Float32(base+uint64(i))), exact(3), exact(-1)) })
}

func sweepNormal(c *trial) {
	n := c.length(3000)
	s, base := c.stream()
	x := c.out(n)
	c.batch(n/2, func(from, to int) {
		end := 2 * to
		if to == n/2 {
			end = n
		}
		c.e.Normal(x[2*from:end], 0.5, 2, s, base+uint64(2*from))
	})
	c.check("normal", x, 40, func(i int) num {
		even := base + uint64(i-i%2)
		radius := exact(-2).mul(exact(1 - s.Float32(even)).log()).sqrt()
		u := s.Float32(even + 1)
		sin, cos := sincosTurn(u)
		// The argument and the polynomials are right to 4u.
		turn := num{cos, math.Cos(2 * math.Pi * float64(u)), 4 * unitError}
		if i%2 == 1 {
			turn = num{sin, math.Sin(2 * math.Pi * float64(u)), 4 * unitError}
		}
		return fma(exact(2), radius.mul(turn), exact(0.5))
	})
}
