package nn

// fuser is a layer that can apply an activation to its own output.
type fuser interface {
	// fuse returns a copy of the layer that ends with the activation.
	fuse(a activation) Layer
}

// plusser is a layer that can add one more input, its last, to its own output.
type plusser interface {
	// plus returns a copy of the layer that adds its last input and ends with an
	// activation; nil if it cannot.
	plus(a activation) Layer
}

// fuse lets layers do what else is done with their output, so that it is read and
// written once. This saves memory and time and changes no bit.
func (p *Plan) fuse() {
	for i := range p.nodes {
		if act, ok := p.nodes[i].Layer.(activation); ok && act.fuses {
			p.fuseActivation(&p.nodes[i], act)
		}
	}
	for i := range p.nodes {
		if sum, ok := p.nodes[i].Layer.(add); ok && len(p.nodes[i].in) == 2 {
			p.fuseAdd(&p.nodes[i], sum)
		}
	}
}

// fuseActivation lets the layer whose output is read by an activation alone apply
// it.
func (p *Plan) fuseActivation(n *node, act activation) {
	producer := p.only(n, n.in[0])
	if producer == nil {
		return
	}
	if layer, ok := producer.Layer.(fuser); ok {
		producer.Layer = layer.fuse(act)
		p.join(n, producer)
	}
}

// fuseAdd lets the layer that makes one input of a sum add the other, if that is
// there by then.
func (p *Plan) fuseAdd(n *node, sum add) {
	for i, v := range n.in {
		producer, other := p.only(n, v), n.in[1-i]
		if producer == nil || p.values[p.values[other].root].node >= producer.number {
			continue
		}
		layer, ok := producer.Layer.(plusser)
		if !ok {
			continue
		}
		if with := layer.plus(sum.act); with != nil {
			producer.Layer, producer.extra = with, 1
			producer.in = append(producer.in, other)
			p.join(n, producer)
			return
		}
	}
}

// only is the node whose output v is read by n alone, nil if it is not.
func (p *Plan) only(n *node, v int) *node {
	source := p.values[v]
	if source.root != v || source.users != 1 || source.node < 0 || v == p.nets[n.net].logits {
		return nil
	}
	return &p.nodes[source.node]
}

// join makes the output of n, whose work the producer of its input has taken over,
// that of the producer.
func (p *Plan) join(n, producer *node) {
	n.Layer, n.Alias = nil, true
	p.values[producer.out].users = p.values[n.out].users
	for j := range p.values {
		if p.values[j].root == n.out {
			p.values[j].root = producer.out
		}
	}
}
