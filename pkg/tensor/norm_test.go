package tensor

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

func TestRowNorm(t *testing.T) {
	eachEngine(t, func(t *testing.T, e *Engine, r *rand.Rand) {
		for _, cols := range []int{1, 5, 16, 37, 128} {
			const rows = 6
			x, w, b, dy := usual(r, rows*cols), usual(r, cols), usual(r, cols), usual(r, rows*cols)
			y, hat, root, dx := make([]float32, rows*cols), make([]float32, rows*cols), make([]float32, rows), make([]float32, rows*cols)
			e.RowNorm(y, hat, root, x, w, b, rows, cols, 1e-5)
			e.RowNormBackward(dx, dy, hat, root, w, rows, cols)
			each := 1 / float32(cols)
			for i := range rows {
				x, y, hat, dy, dx := x[i*cols:][:cols], y[i*cols:][:cols], hat[i*cols:][:cols], dy[i*cols:][:cols], dx[i*cols:][:cols]
				mean := float32(strided(cols, func(p float32, j int) float32 { return p + x[j] }) * each)
				variance := float32(strided(cols, func(p float32, j int) float32 { return fma32(x[j]-mean, x[j]-mean, p) }) * each)
				rt := 1 / sqrt32(variance+1e-5)
				g := func(j int) float32 { return float32(dy[j] * w[j]) }
				shift := float32(strided(cols, func(p float32, j int) float32 { return p + g(j) }) * each)
				slope := float32(strided(cols, func(p float32, j int) float32 { return fma32(g(j), hat[j], p) }) * each)
				for j := range x {
					h := float32((x[j] - mean) * rt)
					mustEqual(t, "row norm", []float32{hat[j], y[j], root[i]}, []float32{h, float32(h*w[j]) + b[j], rt})
					mustEqual(t, "row norm backward", dx[j:j+1], []float32{float32((g(j) - shift - float32(h*slope)) * rt)})
				}
			}
		}
	})
}

// channelSum is the sum over the rows of a channel of sums of planes, with planes
// of one element added up one after the other.
func channelSum(c Channels, ch int, plane, one func(p float32, i int) float32) (sum float32) {
	for r := range c.Rows {
		at := (r*c.Count + ch) * c.Plane
		if c.Plane == 1 {
			sum = one(sum, at)
			continue
		}
		sum += strided(c.Plane, func(p float32, j int) float32 { return plane(p, at+j) })
	}
	return sum
}

func TestChannelAffine(t *testing.T) {
	eachEngine(t, func(t *testing.T, e *Engine, r *rand.Rand) {
		for _, plane := range []int{1, 7, 49} {
			c := Channels{Rows: 4, Count: 11, Plane: plane}
			x, y, a, s := usual(r, c.size()), make([]float32, c.size()), usual(r, c.Count), usual(r, c.Count)
			e.ChannelAffine(y, x, a, s, c)
			for i := range x {
				ch := i / plane % c.Count
				mustEqual(t, "affine", y[i:i+1], []float32{float32(x[i]*a[ch]) - s[ch]})
			}
		}
	})
}

func TestChannelNorm(t *testing.T) {
	eachEngine(t, func(t *testing.T, e *Engine, r *rand.Rand) {
		for _, plane := range []int{1, 7, 49, 600} {
			for _, act := range []Act{ActNone, ActReLU} {
				testChannelNorm(t, e, r, Channels{Rows: 4, Count: 19, Plane: plane}, act)
			}
		}
	})
}

func testChannelNorm(t *testing.T, e *Engine, r *rand.Rand, c Channels, act Act) {
	n := ChannelNorm{Channels: c, Epsilon: 1e-5, Act: act, Weight: usual(r, c.Count), Bias: usual(r, c.Count),
		Mean: make([]float32, c.Count), Variance: make([]float32, c.Count), Centred: make([]float32, c.size())}
	x, dy, y, dx := usual(r, c.size()), usual(r, c.size()), make([]float32, c.size()), make([]float32, c.size())
	dw, db := make([]float32, c.Count), make([]float32, c.Count)
	before := append([]float32(nil), dy...)
	e.ChannelNormForward(y, x, n)
	e.ChannelNormBackward(dx, dw, db, dy, y, n)
	each := 1 / float32(c.Rows*c.Plane)
	plus := func(s []float32) func(p float32, i int) float32 {
		return func(p float32, i int) float32 { return p + s[i] }
	}
	dots := func(a, b []float32) (plane, one func(p float32, i int) float32) {
		return func(p float32, i int) float32 { return fma32(a[i], b[i], p) }, func(p float32, i int) float32 { return p + float32(a[i]*b[i]) }
	}
	for ch := range c.Count {
		mean := float32(channelSum(c, ch, plus(x), plus(x)) * each)
		plane, one := dots(n.Centred, n.Centred)
		variance := float32(channelSum(c, ch, plane, one) * each)
		root := 1 / sqrt32(variance+n.Epsilon)
		sum := channelSum(c, ch, plus(dy), plus(dy))
		plane, one = dots(dy, n.Centred)
		dot := float32(channelSum(c, ch, plane, one) * root)
		mustEqual(t, "statistics", []float32{n.Mean[ch], n.Variance[ch], db[ch], dw[ch]}, []float32{mean, variance, sum, dot})
		a := float32(n.Weight[ch] * root)
		b, shift := float32(float32(float32(a*root)*dot)*each), float32(float32(a*sum)*each)
		for i := range x {
			if i/c.Plane%c.Count != ch {
				continue
			}
			d, g := x[i]-mean, before[i]
			out := float32(d*a) + n.Bias[ch]
			if act == ActReLU {
				out = max32(0, out)
				if !(out > 0) {
					g = 0
				}
			}
			mustEqual(t, "channel norm", []float32{n.Centred[i], y[i], dy[i], dx[i]}, []float32{d, out, g, float32(a*g) - float32(b*d) - shift})
		}
	}
}

// TestCellsHaveTheirDerivatives compares the gradients of a cell with finite
// differences in float64 of its definition.
func TestCellsHaveTheirDerivatives(t *testing.T) {
	sigmoid := func(x float64) float64 { return 1 / (1 + math.Exp(-x)) }
	lstm := func(a []float64) (h, c float64) {
		c = sigmoid(a[1])*a[4] + sigmoid(a[0])*math.Tanh(a[2])
		return sigmoid(a[3]) * math.Tanh(c), c
	}
	gru := func(a []float64) float64 {
		r, z := sigmoid(a[0]+a[3]), sigmoid(a[1]+a[4])
		n := math.Tanh(a[2] + r*a[5])
		return n + z*(a[6]-n)
	}
	slope := func(f func(a []float64) float64, a []float64, i int) float64 {
		const d = 1e-5
		up, down := append([]float64(nil), a...), append([]float64(nil), a...)
		up[i], down[i] = up[i]+d, down[i]-d
		return (f(up) - f(down)) / (2 * d)
	}
	// Both sides are sums of a few products of numbers up to 4.
	near := func(what string, got float32, want float64) {
		t.Helper()
		if math.Abs(float64(got)-want) > 4e-6 {
			t.Fatalf("%s: %g, want %g", what, got, want)
		}
	}
	eachEngine(t, func(t *testing.T, e *Engine, r *rand.Rand) {
		const n = 21
		at := func(x []float32, i, count int) (a []float64) {
			for k := range count {
				a = append(a, float64(x[k*n+i]))
			}
			return a
		}
		x, dh, dc := usual(r, 7*n), usual(r, n), usual(r, n)
		h, c, tanh := make([]float32, n), make([]float32, n), make([]float32, n)
		gates, dh2, dc2 := append([]float32(nil), x[:4*n]...), append([]float32(nil), dh...), append([]float32(nil), dc...)
		one := func(x []float32) Strided { return Strided{X: x} }
		e.LSTMForward(1, n, one(h), one(c), one(tanh), one(gates), one(x[4*n:5*n]))
		e.LSTMBackward(1, n, one(gates), one(dh2), one(dc2), one(x[4*n:5*n]), one(tanh))
		for i := range n {
			a := at(x, i, 5)
			wantH, wantC := lstm(a)
			near("h", h[i], wantH)
			near("c", c[i], wantC)
			loss := func(a []float64) float64 {
				h, c := lstm(a)
				return h*float64(dh[i]) + c*float64(dc[i])
			}
			for k := range 4 {
				near("lstm gate", gates[k*n+i], slope(loss, a, k))
			}
			near("lstm dc", dc2[i], slope(loss, a, 4))
			near("lstm dh", dh2[i], 0)
		}

		gates, hidden, dh2 := append([]float32(nil), x[:3*n]...), append([]float32(nil), x[3*n:6*n]...), append([]float32(nil), dh...)
		e.GRUForward(1, n, one(h), one(gates), one(hidden), one(x[6*n:]))
		e.GRUBackward(1, n, one(gates), one(hidden), one(dh2), one(x[6*n:]))
		for i := range n {
			a := at(x, i, 7)
			near("gru h", h[i], gru(a))
			loss := func(a []float64) float64 { return gru(a) * float64(dh[i]) }
			for k := range 3 {
				near("gru gate", gates[k*n+i], slope(loss, a, k))
				near("gru hidden", hidden[k*n+i], slope(loss, a, 3+k))
			}
			near("gru dh", dh2[i], slope(loss, a, 6))
		}
	})
}

// TestCellRows compares rows that lie apart, on several threads, with the same
// rows one by one.
func TestCellRows(t *testing.T) {
	const rows, n, apart = 37, 130, 7
	e, err := New(Config{Threads: 3})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	r := rand.New(rand.NewPCG(1, 2))
	strided := func(cols int) Strided { return Strided{X: usual(r, rows*(cols+apart)), Step: cols + apart} }
	row := func(s Strided, i int) Strided { return Strided{X: s.X[i*s.Step:]} }
	same := func(what string, a, b Strided) {
		t.Helper()
		if !slices.Equal(a.X, b.X) {
			t.Errorf("%s: rows together differ from rows one by one", what)
		}
	}
	before := Strided{X: usual(r, n)} // the same for all rows
	var all [2][5]Strided
	for i, s := range []Strided{strided(4 * n), strided(3 * n), strided(n), strided(n), strided(n)} {
		all[0][i], all[1][i] = s, Strided{X: slices.Clone(s.X), Step: s.Step}
	}
	a, b := all[0], all[1]
	e.LSTMForward(rows, n, a[2], a[3], a[4], a[0], before)
	e.LSTMBackward(rows, n, a[0], a[2], a[3], before, a[4])
	e.GRUForward(rows, n, a[2], a[0], a[1], before)
	e.GRUBackward(rows, n, a[0], a[1], a[2], before)
	e.AddStrided(a[3], a[4], rows, n)
	for i := range rows {
		gates, hidden, h, c, tanh := row(b[0], i), row(b[1], i), row(b[2], i), row(b[3], i), row(b[4], i)
		e.LSTMForward(1, n, h, c, tanh, gates, before)
		e.LSTMBackward(1, n, gates, h, c, before, tanh)
		e.GRUForward(1, n, h, gates, hidden, before)
		e.GRUBackward(1, n, gates, hidden, h, before)
		e.Add(c.X[:n], c.X[:n], tanh.X)
	}
	for i, name := range []string{"gates", "hidden", "h", "c", "tanh"} {
		same(name, a[i], b[i])
	}
}
