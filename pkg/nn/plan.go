package nn

import (
	"fmt"
	"slices"
	"strconv"

	"github.com/lockstep-ml/lockstep/internal/nearest"
)

// Plan is a network whose shapes are known and fit. It is plain data and is
// never changed; several trainers may share it.
type Plan struct {
	spec       Spec
	in         Input
	values     []value // values[0] is the input
	nodes      []node  // in order of computation
	params     []param // in order of the model
	buffers    []buffer
	order      []int // trained params in the order in which their gradients become final
	size       int   // elements of all params
	trained    int   // elements of those that are trained; they come first
	bufferSize int   // elements of all buffers
	output     int   // value that the network gives
	logits     int   // value that the loss reads
	loss       Loss
	opt        optimizer
	training   training
	sched      schedule
	metrics    []metric
	start      map[string][]float32 // first values that are not drawn, by name of the tensor
}

// value is one edge of the graph. Values that share memory have the same root.
type value struct {
	Value
	size  int // elements a record
	root  int // the value whose memory this one uses
	grad  bool
	users int // of the root: nodes that read it or an alias
	named string
}

// node is one layer with its edges.
type node struct {
	Fitted
	number  int // in the plan
	index   int // in the job's model
	name    string
	kind    string
	path    string
	in      []int
	out     int
	params  []int
	buffers []int
	stream  int     // number of its random stream
	factor  float64 // of the learning rate; 0 is frozen
}

// param is one parameter with its place in the flat buffers.
type param struct {
	Param
	name   string  // "0.weight"
	offset int     // in the flat buffers
	node   int     // whose it is
	factor float64 // of the learning rate; 0 is frozen
}

// buffer is one tensor that is not trained, with its place.
type buffer struct {
	Buffer
	name   string
	offset int
	node   int // whose it is
}

// NewPlan fits a network to the records of a data set. It reports all that is
// wrong at once as Errors; each names the path of the node in the job.
func NewPlan(spec Spec, in Input) (*Plan, error) {
	p := &Plan{spec: spec, in: in}
	var errs Errors
	p.checkInput(&errs)
	if len(errs) > 0 {
		return nil, errs
	}
	p.fitModel(&errs)
	if len(errs) == 0 {
		p.fitLoss(&errs)
	}
	p.fitTraining(&errs)
	if len(errs) > 0 {
		return nil, errs
	}
	p.fuseActivations()
	p.markGradients()
	p.placeParams()
	return p, nil
}

func (p *Plan) checkInput(errs *Errors) {
	if len(p.spec.Model) == 0 {
		errs.addf("model", "has no layers; the least is one, say dense")
	}
	if p.spec.Lanes < 1 {
		errs.addf("lanes", "is %d; expected at least 1", p.spec.Lanes)
	}
	for _, d := range p.in.Shape {
		if d < 1 {
			errs.addf("data", "the records have shape %s; every axis must be at least 1", shapeString(p.in.Shape))
			return
		}
	}
}

// fitModel fits the layers one after the other. A layer that does not fit ends
// it: what follows would only repeat the error.
func (p *Plan) fitModel(errs *Errors) {
	p.values = []value{{Value: Value{Shape: p.in.Shape, Tokens: p.in.Tokens}, size: size(p.in.Shape), named: "input"}}
	kinds := slices.Concat(p.spec.Custom, layerKinds())
	for i, n := range p.spec.Model {
		before := len(*errs)
		kind, ok := lookup(kinds, n, "layer", errs)
		if !ok {
			return
		}
		ins := p.inputs(n, errs)
		site := &Site{Args: kind.args(n, errs), path: n.Path, errs: errs, input: p.values[0].Value}
		for _, v := range ins {
			site.In = append(site.In, p.values[v].Value)
		}
		if len(*errs) > before {
			return
		}
		fitted := kind.Fit(site)
		if len(*errs) > before {
			return
		}
		factor := 1.0
		if v, ok := site.Args[lrFactor].(float64); ok {
			factor = v
		}
		p.addNode(i, n, ins, fitted, factor)
	}
	p.output = len(p.values) - 1
	p.checkUsed(errs)
}

// inputs resolves the names that a node reads from.
func (p *Plan) inputs(n Node, errs *Errors) []int {
	p.checkName(n, errs)
	if len(n.From) == 0 {
		return []int{len(p.values) - 1}
	}
	var ins []int
	var names []string
	for _, v := range p.values {
		if v.named != "" {
			names = append(names, v.named)
		}
	}
	for _, from := range n.From {
		i := slices.IndexFunc(p.values, func(v value) bool { return v.named == from && from != "" })
		if i < 0 {
			errs.addf(n.Path+".from", "there is no layer named %q before this one%s", from, nearest.DidYouMean(from, names))
			continue
		}
		ins = append(ins, i)
	}
	return ins
}

func (p *Plan) checkName(n Node, errs *Errors) {
	if n.Name == "" {
		return
	}
	if _, err := strconv.Atoi(n.Name); err == nil {
		errs.addf(n.Path+".name", "is %q; a name must not be a number", n.Name)
	}
	for _, v := range p.values {
		if v.named == n.Name {
			errs.addf(n.Path+".name", "%q is taken; every name may be used once", n.Name)
			return
		}
	}
}

func (p *Plan) addNode(index int, n Node, ins []int, f Fitted, factor float64) {
	out := value{Value: Value{Shape: f.Out}, size: size(f.Out), root: len(p.values), named: n.Name}
	if f.Alias {
		out.root = p.values[ins[0]].root
		out.Tokens = p.values[ins[0]].Tokens
	}
	nd := node{Fitted: f, number: len(p.nodes), index: index, name: n.Name, kind: n.Kind, path: n.Path, in: ins, out: len(p.values), stream: index, factor: factor}
	prefix := n.Name
	if prefix == "" {
		prefix = strconv.Itoa(index)
	}
	for _, prm := range f.Params {
		nd.params = append(nd.params, len(p.params))
		p.params = append(p.params, param{Param: prm, name: prefix + "." + prm.Name, node: len(p.nodes), factor: factor})
	}
	for _, b := range f.Buffers {
		nd.buffers = append(nd.buffers, len(p.buffers))
		p.buffers = append(p.buffers, buffer{Buffer: b, name: prefix + "." + b.Name, offset: p.bufferSize, node: len(p.nodes)})
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
func (p *Plan) checkUsed(errs *Errors) {
	read := make([]bool, len(p.values))
	read[p.output] = true
	for _, n := range p.nodes {
		for _, v := range n.in {
			read[v] = true
		}
	}
	for _, n := range p.nodes {
		if !read[n.out] {
			errs.addf(n.path, "nothing reads the output of this layer; name it in the from of a later one, or remove it")
		}
	}
}

// markGradients finds the values through which a gradient must flow: those
// that depend on a parameter.
func (p *Plan) markGradients() {
	for _, n := range p.nodes {
		needs := len(n.params) > 0 && n.factor > 0
		for _, v := range n.in {
			needs = needs || p.values[p.values[v].root].grad
		}
		root := p.values[n.out].root
		p.values[root].grad = p.values[root].grad || needs
	}
}

// placeParams lays the parameters out in the order in which backward completes
// their gradients: the last layer first. Frozen ones come behind all others.
func (p *Plan) placeParams() {
	for frozen := range 2 {
		for i := len(p.nodes) - 1; i >= 0; i-- {
			if n := p.nodes[i]; (n.factor == 0) == (frozen == 1) {
				p.placeNode(n)
			}
		}
		if frozen == 0 {
			p.trained = p.size
		}
	}
}

func (p *Plan) placeNode(n node) {
	for _, j := range n.params {
		p.params[j].offset = p.size
		p.size += p.params[j].Size()
		if n.factor > 0 {
			p.order = append(p.order, j)
		}
	}
}

// Row is one line of the table of layers that a user is shown.
type Row struct {
	Name   string `json:"name"`
	Kind   string `json:"kind"`
	Output []int  `json:"output"`
	Params int    `json:"params"`
}

// Table lists the layers with the shape of one record's output and the number
// of trained numbers.
func (p *Plan) Table() []Row {
	rows := make([]Row, len(p.nodes))
	for i, n := range p.nodes {
		rows[i] = Row{Name: n.name, Kind: n.kind, Output: slices.Clone(p.values[n.out].Shape)}
		if n.name == "" {
			rows[i].Name = strconv.Itoa(n.index)
		}
		for _, j := range n.params {
			rows[i].Params += p.params[j].Size()
		}
	}
	return rows
}

// Parameters is the number of numbers in all parameters, also frozen ones.
func (p *Plan) Parameters() int { return p.size }

// Trained is the number of those that are trained.
func (p *Plan) Trained() int { return p.trained }

// Flops is the number of floating point operations that one record costs in a
// step: two for each multiply-add of the forward pass, of the gradient of the
// weights, and of the gradient of the input where it is needed.
func (p *Plan) Flops() int {
	sum := 0
	for _, n := range p.nodes {
		passes := 2
		for _, v := range n.in {
			if p.values[p.values[v].root].grad {
				passes = 3
			}
		}
		sum += 2 * passes * n.MACs
	}
	return sum
}

// Lanes is V of the job.
func (p *Plan) Lanes() int { return p.spec.Lanes }

// Input is what the plan was made for.
func (p *Plan) Input() Input { return p.in }

// Output is the shape of what the network gives for one record.
func (p *Plan) Output() []int { return slices.Clone(p.values[p.output].Shape) }

// MetricNames are the names of the metrics, in the order of Outcome.Metrics.
func (p *Plan) MetricNames() []string {
	names := make([]string, len(p.spec.Metrics))
	for i, n := range p.spec.Metrics {
		names[i] = n.Kind
	}
	return names
}

func (p *Plan) String() string {
	return fmt.Sprintf("%d layers, %d parameters", len(p.nodes), p.size)
}
