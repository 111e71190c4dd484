package nn

import "github.com/lockstep-ml/lockstep/pkg/tensor"

// activation is y = act(x), element by element.
type activation struct {
	act tensor.Act
	// fromY means that the derivative follows from y alone, so that the
	// activation can be fused into the layer before it.
	fromY bool
}

func activationKinds() []LayerKind {
	kind := func(name string, act tensor.Act, fromY bool, summary string) LayerKind {
		return LayerKind{
			Entry: Entry{Name: name, Class: classActivation, Summary: summary},
			Fit: func(s *Site) Fitted {
				in, ok := s.one(name)
				if !ok {
					return Fitted{}
				}
				return Fitted{Layer: activation{act: act, fromY: fromY}, Out: in}
			},
		}
	}
	return []LayerKind{
		softmaxKind(),
		clipKind(),
		kind("relu", tensor.ActReLU, true, "max(x, 0)"),
		kind("sigmoid", tensor.ActSigmoid, true, "1 / (1 + exp(-x))"),
		kind("tanh", tensor.ActTanh, true, "the hyperbolic tangent"),
		kind("leaky_relu", tensor.ActLeakyReLU, true, "x if x > 0, else 0.01 x"),
		kind("elu", tensor.ActELU, true, "x if x > 0, else exp(x) - 1"),
		kind("gelu", tensor.ActGELU, false, "x times the normal distribution function of x"),
		kind("silu", tensor.ActSiLU, false, "x times sigmoid(x)"),
		kind("softplus", tensor.ActSoftplus, false, "log(1 + exp(x))"),
	}
}

func (a activation) Forward(p *Pass) { p.Engine().ActForward(p.Y(), p.X(0), a.act) }

func (a activation) Backward(p *Pass) {
	if dx := p.DX(0); dx != nil {
		p.Engine().ActBackward(dx, p.DY(), p.X(0), p.Y(), a.act)
	}
}

// backwardInPlace turns the gradient by the output of a fused activation into
// that by its input. Only activations with fromY are fused: x is not there.
func (a activation) backwardInPlace(p *Pass, dy []float32) {
	if a.act != tensor.ActNone {
		p.Engine().ActBackward(dy, dy, p.Y(), p.Y(), a.act)
	}
}

// fuseActivations lets layers that can do so apply the activation that alone
// reads their output. This saves memory and time and changes no bit.
func (p *Plan) fuseActivations() {
	for i := range p.nodes {
		n := &p.nodes[i]
		act, ok := n.Layer.(activation)
		if !ok || !act.fromY {
			continue
		}
		source := p.values[n.in[0]]
		if source.root != n.in[0] || source.users != 1 || source.node < 0 || n.in[0] == p.nets[n.net].logits {
			continue
		}
		producer := &p.nodes[source.node]
		layer, ok := producer.Layer.(fuser)
		if !ok {
			continue
		}
		producer.Layer = layer.fuse(act)
		n.Layer, n.Alias = nil, true
		p.values[n.in[0]].users = p.values[n.out].users
		for j := range p.values {
			if p.values[j].root == n.out {
				p.values[j].root = n.in[0]
			}
		}
	}
}
