package nn

import "github.com/lockstep-ml/lockstep/pkg/tensor"

// activation is y = act(x), element by element.
type activation struct {
	act tensor.Act
	// slope is that of leaky_relu below 0, or the alpha of elu.
	slope float32
	// fuses means that the activation can be fused into the layer before it: its
	// derivative follows from y alone, and its slope is the usual one.
	fuses bool
}

func activationKinds() []LayerKind {
	kind := func(name string, act tensor.Act, fromY bool, summary string, slope ...Field) LayerKind {
		return LayerKind{
			Entry: Entry{Name: name, Class: classActivation, Shapes: sameShape, Summary: summary, Fields: slope},
			Fit: func(s *Site) Fitted {
				in, ok := s.one(name)
				if !ok {
					return Fitted{}
				}
				l := activation{act: act, fuses: fromY}
				for _, f := range slope {
					l.slope = float32(s.Float(f.Name))
					l.fuses = fromY && s.Float(f.Name) == f.Default
				}
				return Fitted{Layer: l, Out: in}
			},
		}
	}
	return []LayerKind{
		softmaxKind(),
		clipKind(),
		kind("relu", tensor.ActReLU, true, "max(x, 0)"),
		kind("sigmoid", tensor.ActSigmoid, true, "1 / (1 + exp(-x))"),
		kind("tanh", tensor.ActTanh, true, "the hyperbolic tangent"),
		kind("leaky_relu", tensor.ActLeakyReLU, true, "x if x > 0, else slope times x",
			number("slope", 0.01, "the slope below 0").min(0).short()),
		kind("elu", tensor.ActELU, true, "x if x > 0, else alpha times (exp(x) - 1)",
			number("alpha", 1, "what the output tends to below 0, with a minus").min(0).short()),
		kind("gelu", tensor.ActGELU, false, "x times the normal distribution function of x"),
		kind("silu", tensor.ActSiLU, false, "x times sigmoid(x)"),
		kind("softplus", tensor.ActSoftplus, false, "log(1 + exp(x))"),
	}
}

func (a activation) Forward(p *Pass) { p.Engine().ActForwardSlope(p.Y(), p.X(0), a.act, a.slope) }

func (a activation) Backward(p *Pass) {
	if dx := p.DX(0); dx != nil {
		p.Engine().ActBackwardSlope(dx, p.DY(), p.X(0), p.Y(), a.act, a.slope)
	}
}

// backwardInPlace turns the gradient by the output of a fused activation into
// that by its input. Only activations with fromY are fused: x is not there.
func (a activation) backwardInPlace(p *Pass, dy []float32) {
	if a.act != tensor.ActNone {
		p.Engine().ActBackward(dy, dy, p.Y(), p.Y(), a.act)
	}
}
