package nn

import (
	"slices"
	"strconv"
)

// GraphNode is one layer of a plan with its edges, for programs that translate
// networks.
type GraphNode struct {
	// Name is that of the job, or the layer's number; the names of the layer's
	// tensors begin with it: "3.weight".
	Name string
	Kind string
	// Args are the layer's fields with defaults filled in.
	Args Args
	// In and Out are numbers of values.
	In  []int
	Out int
	// Params and Buffers are the layer's tensors.
	Params  []Param
	Buffers []Buffer
}

// Graph is the model, without the networks of a recipe beside it: its values, of
// which the first is the input and the last what it gives, and its layers in order
// of computation.
func (p *Plan) Graph() ([]Value, []GraphNode) {
	model := &p.nets[0] // whose input is value 0
	values := make([]Value, model.output+1)
	for i := range values {
		values[i] = p.values[i].Value
	}
	nodes := make([]GraphNode, model.to)
	for i, n := range p.nodes[:model.to] {
		nodes[i] = GraphNode{Name: n.ownName(), Kind: n.kind, Args: n.args, In: slices.Clone(n.in[:len(n.in)-n.extra]), Out: n.out, Params: n.Params, Buffers: n.Buffers}
	}
	return values, nodes
}

// ownName is the node's name in its network.
func (n *node) ownName() string {
	if n.name == "" {
		return strconv.Itoa(n.index)
	}
	return n.name
}

// FitLayer fits one layer of the Catalogue to its inputs, at least one, in a
// network with the given input, and gives also its fields with defaults. Of n only
// Kind, Fields and Path are read. What is wrong is reported as Errors.
func FitLayer(n Node, input Value, in ...Value) (Args, Fitted, error) {
	var errs Errors
	kind, ok := lookup(layerKinds(), n, "layer", &errs)
	if !ok {
		return nil, Fitted{}, errs
	}
	site := &Site{Args: kind.args(n, &errs), In: in, path: n.Path, errs: &errs, input: input}
	if len(errs) > 0 {
		return nil, Fitted{}, errs
	}
	f := kind.Fit(site)
	if len(errs) > 0 {
		return nil, Fitted{}, errs
	}
	return site.Args, f, nil
}
