package nn

import "math"

// positions adds a vector to every position of a sequence: y = x + table, with
//
//	x, y  (B, T, Dim)      table  (T, Dim)
type positions struct {
	n     int
	fixed []float32 // the sinusoids; nil if the table is trained
}

func positionsKind() LayerKind {
	return LayerKind{
		Entry: Entry{Name: "positions", Class: classLayer, Shapes: "(t, n) -> (t, n)", Summary: "adds to every position of a sequence (positions, features) a vector that tells where it is",
			Fields: []Field{
				word("kind", "learned", []string{"learned", "sinusoidal"}, "whether the vectors are trained").short(),
				deviationField(usualDeviation),
			}},
		Fit: func(s *Site) Fitted {
			in, ok := s.sequence("positions")
			if !ok {
				return Fitted{}
			}
			l := positions{n: size(in)}
			if s.Text("kind") == "sinusoidal" {
				l.fixed = Sinusoids(in[0], in[1])
				return Fitted{Layer: l, Out: in}
			}
			return Fitted{Layer: l, Out: in, Params: []Param{{Name: "weight", Shape: in, Init: Init{Kind: "normal", Deviation: s.Float("deviation")}}}}
		},
	}
}

// sequence checks that the layer has one input of shape (T, F).
func (s *Site) sequence(kind string) ([]int, bool) {
	in, ok := s.one(kind)
	if !ok {
		return nil, false
	}
	if len(in) != 2 {
		s.Fail("", "%s works on sequences (positions, features), but its input is %s", kind, shapeString(in))
		return nil, false
	}
	return in, true
}

// Sinusoids is the table of positions of the kind sinusoidal, (steps, dim):
// it is sin(t/10000^(i/dim)) in even columns i, and the cosine of the
// same angle in the column after it. Only operations that round alike everywhere
// are used, so every machine agrees on the bits.
func Sinusoids(steps, dim int) []float32 {
	table := make([]float32, steps*dim)
	ratio := power(root(1e-4, dim), 2) // of a pair's frequency to that of the pair before
	for i := 0; i < dim; i += 2 {
		frequency := power(ratio, i/2)
		for t := range steps {
			sin, cos := sinCos(float64(t) * frequency)
			table[t*dim+i] = float32(sin)
			if i+1 < dim {
				table[t*dim+i+1] = float32(cos)
			}
		}
	}
	return table
}

// root is the n-th root of x, 0 < x < 1, by bisection.
func root(x float64, n int) float64 {
	low, high := 0.0, 1.0
	for range 200 {
		middle := (low + high) / 2
		if power(middle, n) < x {
			low = middle
		} else {
			high = middle
		}
	}
	return high
}

// sinCos reduces a, at least 0, to a half turn.
func sinCos(a float64) (sin, cos float64) {
	turns := a / (2 * math.Pi)
	part := 2 * (turns - math.Floor(turns)) // half turns, in [0, 2)
	if part > 1 {
		part, sin = part-1, -1
	} else {
		sin = 1
	}
	cos = sin * cosPi(part)
	if part <= 0.5 {
		return sin * cosPi(0.5-part), cos
	}
	return sin * cosPi(part-0.5), cos
}

func (l positions) Forward(p *Pass) {
	table := l.fixed
	if table == nil {
		table = p.Param(0)
	}
	x, y := p.X(0), p.Y()
	for r := range p.Rows() {
		p.Engine().Add(y[r*l.n:][:l.n], x[r*l.n:][:l.n], table)
	}
}

func (l positions) Backward(p *Pass) {
	if l.fixed == nil {
		p.Engine().ColSumLanes(p.Grad(0), p.DY(), l.n, p.LaneRows(1))
	}
	p.addDY(0)
}

func (positions) keepsDY() bool   { return true }
func (positions) passes(int) bool { return true }
func (positions) adds() bool      { return true }
