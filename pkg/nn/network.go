package nn

import (
	"slices"
	"strconv"

	"github.com/lockstep-ml/lockstep/internal/nearest"
)

// network is a run of nodes that are computed together: the model of the job,
// or a network of its recipe. Its parameters lie side by side in the flat buffers.
type network struct {
	Net
	input      int // value that it reads
	from, to   int // its nodes
	output     int // value that it gives
	logits     int // value that the loss reads
	begin, end int // its trained parameters in the flat buffers
	opt        optimizer
	training   training
}

// passes is how often it is applied in a step.
func (n *network) passes() int { return max(n.Passes, 1) }

// prefix is what the names of its tensors begin with.
func (n *network) prefix() string {
	if n.Name == "" {
		return ""
	}
	return n.Name + "."
}

// fitNetworks fits the model and what the recipe has beside it.
func (p *Plan) fitNetworks(errs *Errors) {
	before := len(*errs)
	p.fitNetwork(Net{Model: p.spec.Model, Input: p.recipe.Input, Optimizer: p.spec.Optimizer}, errs)
	if want := p.recipe.Output; len(*errs) == before && want != nil {
		if out := p.values[p.nets[0].output]; out.size != size(want) {
			errs.addf(p.nodes[out.node].path, "the model gives %s, but the records are %s", shapeString(out.Shape), shapeString(want))
		}
	}
	for _, net := range p.recipe.Networks {
		if len(*errs) == before {
			p.fitNetwork(net, errs)
		}
	}
}

// fitNetwork fits the layers one after the other. A layer that does not fit
// ends it: what follows would only repeat the error.
func (p *Plan) fitNetwork(spec Net, errs *Errors) {
	net := network{Net: spec, input: len(p.values), from: len(p.nodes)}
	in := spec.Input
	p.values = append(p.values, value{Value: in, size: size(in.Shape), root: net.input, node: -1, named: "input"})
	p.nets = append(p.nets, net)
	kinds := slices.Concat(p.spec.Custom.Layers, layerKinds())
	for i, n := range spec.Model {
		if !p.fitNode(i, n, kinds, errs) {
			return
		}
	}
	last := &p.nets[len(p.nets)-1]
	last.to, last.output = len(p.nodes), len(p.values)-1
	last.logits = last.output
	p.checkUsed(last, errs)
}

// fitNode fits layer i of the last network.
func (p *Plan) fitNode(i int, n Node, kinds []LayerKind, errs *Errors) bool {
	before := len(*errs)
	kind, ok := lookup(kinds, n, "layer", errs)
	if !ok {
		return false
	}
	net := &p.nets[len(p.nets)-1]
	ins := p.inputs(net, n, errs)
	site := &Site{Args: kind.args(n, errs), path: n.Path, errs: errs, input: net.Input}
	for _, v := range ins {
		site.In = append(site.In, p.values[v].Value)
	}
	if len(*errs) > before {
		return false
	}
	fitted := kind.Fit(site)
	if len(*errs) > before {
		return false
	}
	factor := 1.0
	if v, ok := site.Args[lrFactor].(float64); ok {
		factor = v
	}
	p.addNode(i, n, ins, site.Args, fitted, factor)
	return true
}

// inputs resolves the names that a node reads from.
func (p *Plan) inputs(net *network, n Node, errs *Errors) []int {
	values := p.values[net.input:]
	checkName(values, n, errs)
	if len(n.From) == 0 {
		return []int{len(p.values) - 1}
	}
	var ins []int
	var names []string
	for _, v := range values {
		if v.named != "" {
			names = append(names, v.named)
		}
	}
	for _, from := range n.From {
		i := slices.IndexFunc(values, func(v value) bool { return v.named == from && from != "" })
		if i < 0 {
			errs.addf(n.Path+".from", "there is no layer named %q before this one%s", from, nearest.DidYouMean(from, names))
			continue
		}
		ins = append(ins, net.input+i)
	}
	return ins
}

func checkName(values []value, n Node, errs *Errors) {
	if n.Name == "" {
		return
	}
	if _, err := strconv.Atoi(n.Name); err == nil {
		errs.addf(n.Path+".name", "is %q; a name must not be a number", n.Name)
	}
	for _, v := range values {
		if v.named == n.Name {
			errs.addf(n.Path+".name", "%q is taken; every name may be used once", n.Name)
			return
		}
	}
}

// addNode adds layer index to the last network.
func (p *Plan) addNode(index int, n Node, ins []int, args Args, f Fitted, factor float64) {
	net := &p.nets[len(p.nets)-1]
	number := len(p.nodes)
	out := value{Value: Value{Shape: f.Out}, size: size(f.Out), root: len(p.values), node: number, named: n.Name}
	if f.Alias {
		out.root = p.values[ins[0]].root
		out.Tokens = p.values[ins[0]].Tokens
	}
	nd := node{Fitted: f, number: number, net: len(p.nets) - 1, index: index, name: n.Name, kind: n.Kind, path: n.Path,
		in: ins, out: len(p.values), args: args, factor: factor}
	prefix := net.prefix() + nd.ownName()
	for _, prm := range f.Params {
		prm.Uses = max(prm.Uses, 1) * net.passes()
		nd.params = append(nd.params, len(p.params))
		p.params = append(p.params, param{Param: prm, name: prefix + "." + prm.Name, node: number, factor: factor, decay: 1})
	}
	for _, b := range f.Buffers {
		nd.buffers = append(nd.buffers, len(p.buffers))
		p.buffers = append(p.buffers, buffer{Buffer: b, name: prefix + "." + b.Name, offset: p.bufferSize, node: number})
		p.bufferSize += size(b.Shape)
	}
	if !f.Alias {
		for _, v := range ins {
			p.values[p.values[v].root].users++
		}
	}
	p.values = append(p.values, out)
	p.nodes = append(p.nodes, nd)
}

// checkUsed reports layers whose output goes nowhere.
func (p *Plan) checkUsed(net *network, errs *Errors) {
	read := make([]bool, len(p.values))
	read[net.output] = true
	nodes := p.nodes[net.from:net.to]
	for _, n := range nodes {
		for _, v := range n.in {
			read[v] = true
		}
	}
	for _, n := range nodes {
		if !read[n.out] {
			errs.addf(n.path, "nothing reads the output of this layer; name it in the from of a later one, or remove it")
		}
	}
}
