package nn

import (
	"github.com/lockstep-ml/lockstep/pkg/tensor"
)

// gaussianNoise adds normal random numbers in training. Like a dropout mask they are a
// function of seed, layer, epoch, step, lane and place.
type gaussianNoise struct {
	deviation float32
	size      int
}

func noiseKind() LayerKind {
	return LayerKind{
		Entry: Entry{Name: "gaussian_noise", Class: classLayer, Shapes: sameShape, Summary: "adds normal random numbers while training",
			Fields: []Field{number("deviation", 0.1, "standard deviation of what is added").min(0).short()}},
		Fit: func(s *Site) Fitted {
			in, ok := s.one("gaussian_noise")
			if !ok {
				return Fitted{}
			}
			return Fitted{Layer: gaussianNoise{deviation: float32(s.Float("deviation")), size: size(in)}, Out: in, Scratch: size(in), Random: true}
		},
	}
}

func (l gaussianNoise) Forward(p *Pass) {
	if !p.Training() {
		copy(p.Y(), p.X(0))
		return
	}
	draws := p.Scratch()
	for i := range p.LaneCount() {
		from, to := p.Lane(i)
		p.Engine().Normal(draws[from*l.size:to*l.size], 0, l.deviation, p.Stream(i), 0)
	}
	p.Engine().Add(p.Y(), p.X(0), draws)
}

func (l gaussianNoise) Backward(p *Pass) {
	if dx := p.DX(0); dx != nil {
		copy(dx, p.DY())
	}
}

// sample draws the code of a variational autoencoder. Its input (B, 2F) is a
// mean m and, through softplus, a deviation s of every element of the code:
//
//	z = m + s*e,  e normal; z = m when the model is applied to records
//
// and beta times the divergence of the code from normal numbers,
// sum((m² + s² - 1)/2 - log(s)), belongs to the loss of the record.
type sample struct {
	n    int
	beta float32
}

// leastDeviation keeps the logarithm of a deviation finite.
const leastDeviation = 1e-6

const sampleName = "gaussian_sample"

func sampleKind() LayerKind {
	return LayerKind{
		Entry: Entry{Name: sampleName, Class: classLayer, Shapes: "(2 n) -> (n)",
			Summary: "draws the code of a variational autoencoder: of 2n inputs n are means and n, through softplus, deviations",
			Fields:  []Field{number("beta", 1, "weight in the loss of how far the code is from normal numbers").min(0).short()}},
		Fit: func(s *Site) Fitted {
			in, ok := s.one(sampleName)
			if !ok {
				return Fitted{}
			}
			if len(in) != 1 || in[0]%2 != 0 {
				s.Fail("", "gaussian_sample needs an even number of inputs, means and deviations, but its input is %s", shapeString(in))
				return Fitted{}
			}
			n := in[0] / 2
			return Fitted{Layer: sample{n: n, beta: float32(s.Float("beta"))}, Out: []int{n}, Keep: []int{n, n}, Scratch: n, Loss: true, Drawn: true}
		},
	}
}

func (l sample) Forward(p *Pass) {
	draws, deviations := p.Keep(0), p.Keep(1)
	clear(draws)
	if p.Drawing() {
		for i := range p.LaneCount() {
			from, to := p.Lane(i)
			p.Engine().Normal(draws[from*l.n:to*l.n], 0, 1, p.Stream(i), 0)
		}
	}
	x, y := p.X(0), p.Y()
	for r := range p.Rows() {
		mean, s := x[r*2*l.n:][:l.n], deviations[r*l.n:][:l.n]
		p.Engine().ActForward(s, x[(r*2+1)*l.n:][:l.n], tensor.ActSoftplus)
		for i, d := range s {
			s[i] = max(d, leastDeviation)
		}
		logs := p.Scratch()[:l.n]
		p.Engine().Log(logs, s)
		divergence := 0.0
		for i, m := range mean {
			y[r*l.n+i] = m + float32(s[i]*draws[r*l.n+i])
			divergence += 0.5*(float64(m*m)+float64(s[i]*s[i])-1) - float64(logs[i])
		}
		p.AddLoss(r, float32(float64(l.beta)*divergence))
	}
}

// Backward adds beta*m to the gradient by m and beta*(s - 1/s) to that by s.
func (l sample) Backward(p *Pass) {
	dx, x, dy := p.DX(0), p.X(0), p.DY()
	if dx == nil {
		return
	}
	draws, deviations := p.Keep(0), p.Keep(1)
	for r := range p.Rows() {
		beta := l.beta * p.Weight(r)
		mean, raw := dx[r*2*l.n:][:l.n], dx[(r*2+1)*l.n:][:l.n]
		for i := range mean {
			at := r*l.n + i
			s := deviations[at]
			mean[i] = dy[at] + float32(beta*x[r*2*l.n+i])
			raw[i] = float32(dy[at]*draws[at]) + float32(beta*(s-1/s))
		}
		p.Engine().ActBackward(raw, raw, x[(r*2+1)*l.n:][:l.n], deviations[r*l.n:][:l.n], tensor.ActSoftplus)
	}
}
