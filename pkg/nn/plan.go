package nn

import (
	"fmt"
	"slices"
)

// Plan is a network whose shapes are known and fit. It is plain data and is
// never changed; several trainers may share it.
type Plan struct {
	spec        Spec
	in          Input
	recipe      FittedRecipe
	nets        []network // the model, then those of the recipe
	values      []value   // of one network after the other; each begins with its input
	nodes       []node    // in order of computation
	params      []param   // in order of the model
	buffers     []buffer
	order       []int // trained params in the order in which their gradients become final
	size        int   // elements of all params
	trained     int   // elements of those that are trained; they come first
	bufferSize  int   // elements of all buffers
	loss        Loss
	sched       schedule
	plateau     plateau // if slow is not nil
	slow, stop  *watch  // evaluations that lower the rate, and that end training; may be nil
	keepBest    bool    // the model is that of the best evaluation
	metrics     []metric
	start       map[string][]float32 // first values that are not drawn, by name of the tensor
	fixed       []bool               // nodes of the model that give the same in every epoch
	edges       []int                // roots of values that fixed nodes give to others
	featureSize int                  // elements of the edges
	whole       bool                 // metrics read the output behind an activation that is part of the loss
}

// value is one edge of the graph. Values that share memory have the same root.
type value struct {
	Value
	size  int // elements a record
	root  int // the value whose memory this one uses
	node  int // that computes it; -1 for the input of a network
	grad  bool
	users int // of the root: nodes that read it or an alias
	named string
}

// node is one layer with its edges.
type node struct {
	Fitted
	number  int // in the plan
	net     int // whose it is
	index   int // in the model of the network
	name    string
	kind    string
	path    string
	in      []int
	extra   int // how many of in are not the layer's, but those of a sum that it does as well
	out     int
	params  []int
	buffers []int
	args    Args
	factor  float64 // of the learning rate, the highest of its parameters; 0 is frozen
}

// param is one parameter with its place in the flat buffers.
type param struct {
	Param
	name   string  // "0.weight"
	offset int     // in the flat buffers
	node   int     // whose it is
	factor float64 // of the learning rate; 0 is frozen
	decay  float64 // factor of the weight decay
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
	p.fitRecipe(&errs)
	if len(errs) > 0 {
		return nil, errs
	}
	p.fitNetworks(&errs)
	if len(errs) == 0 {
		p.applyGroups(&errs)
		p.fitLoss(&errs)
	}
	p.fitTraining(&errs)
	if len(errs) > 0 {
		return nil, errs
	}
	p.fuse()
	p.markGradients()
	p.findFixed()
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

// markGradients finds the values through which a gradient must flow: those
// that depend on a parameter, or on an input whose gradient the recipe wants.
func (p *Plan) markGradients() {
	for _, net := range p.nets {
		p.values[net.input].grad = net.InputGradient
	}
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
	for _, frozen := range []bool{false, true} {
		for i := len(p.nodes) - 1; i >= 0; i-- {
			p.placeNode(p.nodes[i], frozen)
		}
		if !frozen {
			p.trained = p.size
		}
	}
	for i := len(p.nets) - 1; i >= 0; i-- {
		net := &p.nets[i]
		if i+1 < len(p.nets) {
			net.begin = p.nets[i+1].end
		}
		net.end = net.begin
		for _, j := range p.order {
			if p.nodes[p.params[j].node].net == i {
				net.end += p.params[j].Size()
			}
		}
	}
}

// placeNode places the parameters of n that are frozen, or those that are not.
func (p *Plan) placeNode(n node, frozen bool) {
	for _, j := range n.params {
		if (p.params[j].factor == 0) != frozen {
			continue
		}
		p.params[j].offset = p.size
		p.size += p.params[j].Size()
		if !frozen {
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
		rows[i] = Row{Name: p.nets[n.net].prefix() + n.ownName(), Kind: n.kind, Output: slices.Clone(p.values[n.out].Shape)}
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
		sum += 2 * passes * n.MACs * p.nets[n.net].passes()
	}
	return sum
}

// Lanes is V of the job.
func (p *Plan) Lanes() int { return p.spec.Lanes }

// Input is what the plan was made for.
func (p *Plan) Input() Input { return p.in }

// Output is the shape of what the model gives for one record.
func (p *Plan) Output() []int { return slices.Clone(p.values[p.nets[0].output].Shape) }

// MetricNames are the names of the metrics, in the order of Outcome.Metrics:
// those of the job, then the numbers of the recipe.
// A metric that is there more than once is named with the number that tells it
// from the others: f1_0, top_k_5.
func (p *Plan) MetricNames() []string {
	names := make([]string, len(p.spec.Metrics))
	for i, n := range p.spec.Metrics {
		names[i] = n.Kind
		alike := func(o Node) bool { return o.Kind == n.Kind }
		if slices.IndexFunc(p.spec.Metrics, alike) < i || slices.ContainsFunc(p.spec.Metrics[i+1:], alike) {
			names[i] += metricSuffix(n)
		}
	}
	return append(names, p.recipe.Numbers...)
}

func (p *Plan) String() string {
	return fmt.Sprintf("%d layers, %d parameters", len(p.nodes), p.size)
}
