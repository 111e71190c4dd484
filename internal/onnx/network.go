package onnx

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/lockstep-ml/lockstep/pkg/nn"
	pb "github.com/lockstep-ml/lockstep/proto/onnx"
)

// Network is a graph as layers.
type Network struct {
	// Input is the shape of a record, and the vocabulary if it is tokens.
	Input nn.Value
	// Model is the layers in order of computation.
	Model []nn.Node
	// Tensors are the weights, named and shaped as in a model file of Model.
	Tensors []Tensor
}

// maxRecord bounds the elements of a record's values.
const maxRecord = 1 << 27

// flow is a value of the graph that depends on the input.
type flow struct {
	layer  int      // that gives it, -1 for the input
	value  nn.Value // as the next layer sees it
	given  []int    // the shape that the layer gives
	column int      // of the tokens, -1 for all
}

// importer turns operators into layers, one after the other.
type importer struct {
	m        *Model
	nodes    []*pb.NodeProto
	constant map[string]Tensor
	flows    map[string]flow
	uses     map[string]int // of a value, the graph's output included
	input    string
	net      Network
	weights  [][]Tensor      // of each layer, with the layer's own names
	reshaped map[string]flow // flows in another shape that have a layer
	named    map[string]bool
}

// Network reads the graph as layers. It must have one input and one output,
// whose first axis is that of the records. An error wraps ErrFormat and names
// the node that is not one of our layers.
func (m *Model) Network() (*Network, error) {
	im := &importer{m: m, nodes: m.graph.GetNode(), constant: map[string]Tensor{}, flows: map[string]flow{}, uses: map[string]int{},
		reshaped: map[string]flow{}, named: map[string]bool{"input": true}}
	for _, t := range m.tensors {
		im.constant[t.Name] = t
	}
	if err := im.begin(); err != nil {
		return nil, err
	}
	for i := 0; i < len(im.nodes); {
		used, err := im.next(i)
		if err != nil {
			return nil, err
		}
		i += used
	}
	if err := im.end(); err != nil {
		return nil, err
	}
	return &im.net, nil
}

// begin finds the input and counts who reads what.
func (im *importer) begin() error {
	for _, n := range im.nodes {
		for _, name := range n.GetInput() {
			im.uses[name]++
		}
	}
	for _, out := range im.m.graph.GetOutput() {
		im.uses[out.GetName()]++
	}
	var inputs []*pb.ValueInfoProto
	for _, in := range im.m.graph.GetInput() {
		if _, known := im.constant[in.GetName()]; !known {
			inputs = append(inputs, in)
		}
	}
	if len(inputs) != 1 {
		return malformed("it has %d inputs; a network has one", len(inputs))
	}
	im.input = inputs[0].GetName()
	tensor := inputs[0].GetType().GetTensorType()
	dims := tensor.GetShape().GetDim()
	if len(dims) == 0 {
		return malformed("input %q has no axis for the records", im.input)
	}
	v := nn.Value{Shape: []int{}}
	for _, d := range dims[1:] {
		if d.GetDimValue() < 1 || d.GetDimValue() > maxRecord || size(v.Shape) > maxRecord/int(d.GetDimValue()) {
			return malformed("input %q has an axis of %d; all but the first must be known", im.input, d.GetDimValue())
		}
		v.Shape = append(v.Shape, int(d.GetDimValue()))
	}
	switch kind := pb.TensorProto_DataType(tensor.GetElemType()); kind {
	case pb.TensorProto_FLOAT:
	case pb.TensorProto_INT64, pb.TensorProto_INT32:
		if v.Tokens = im.vocabulary(); v.Tokens == 0 {
			return malformed("input %q is integers, but no Gather reads a table of vectors by them", im.input)
		}
	default:
		return malformed("input %q is of type %v; networks read float32 or tokens", im.input, kind)
	}
	im.net.Input = v
	im.flows[im.input] = flow{layer: -1, value: v, given: v.Shape, column: -1}
	return nil
}

// vocabulary is the number of rows of the first table that tokens are looked up
// in, 0 if there is none.
func (im *importer) vocabulary() int {
	for _, n := range im.nodes {
		if n.GetOpType() == "Gather" && len(n.GetInput()) == 2 {
			if t, ok := im.constant[n.GetInput()[0]]; ok && len(t.Shape) == 2 && t.F32 != nil {
				return t.Shape[0]
			}
		}
	}
	return 0
}

// next reads the operators from i on that make one layer and returns how many.
func (im *importer) next(i int) (int, error) {
	n := im.nodes[i]
	if used, err := im.composite(i); used > 0 || err != nil {
		return used, err
	}
	if len(n.GetOutput()) == 0 || n.GetOutput()[0] == "" {
		return 0, im.fail(n, "it has no output")
	}
	if domain := n.GetDomain(); domain != "" && domain != "ai.onnx" {
		return 0, im.fail(n, "it is an operator of %s", domain)
	}
	o := &operator{im: im, node: n}
	if err := o.readAttributes(); err != nil {
		return 0, err
	}
	if o.isConstant() {
		o.fold()
	} else if read, ok := readers()[n.GetOpType()]; ok {
		read(o)
	} else {
		o.failf("it is not one of lockstep's layers")
	}
	return 1, o.finish()
}

func (im *importer) fail(n *pb.NodeProto, format string, args ...any) error {
	return malformed("node %q (%s): %s", n.GetName(), n.GetOpType(), fmt.Sprintf(format, args...))
}

// end checks that the last layer gives the output, and names the tensors.
func (im *importer) end() error {
	outputs := im.m.graph.GetOutput()
	if len(outputs) != 1 {
		return malformed("it has %d outputs; a network has one", len(outputs))
	}
	out, ok := im.flows[outputs[0].GetName()]
	if ok {
		var err error
		if out, err = im.reshape(out); err != nil {
			return malformed("output %q: %v", outputs[0].GetName(), err)
		}
	}
	if !ok || out.layer != len(im.net.Model)-1 || out.layer < 0 {
		return malformed("output %q is not what the last layer gives", outputs[0].GetName())
	}
	for i, tensors := range im.weights {
		prefix := im.net.Model[i].Name
		if prefix == "" {
			prefix = strconv.Itoa(i)
		}
		for _, t := range tensors {
			t.Name = prefix + "." + t.Name
			im.net.Tensors = append(im.net.Tensors, t)
		}
	}
	return nil
}

// add appends a layer that reads the flows and returns what it gives. title is
// what the file calls it. The error says why it does not fit.
func (im *importer) add(title string, n nn.Node, tensors []Tensor, in ...flow) (flow, error) {
	values := make([]nn.Value, len(in))
	for i, f := range in {
		var err error
		if in[i], err = im.reshape(f); err != nil {
			return flow{}, err
		}
		values[i] = f.value
	}
	n.Path = n.Kind
	_, fitted, err := nn.FitLayer(n, im.net.Input, values...)
	if err != nil {
		return flow{}, err
	}
	n.Path = ""
	if out := size(fitted.Out); out > maxRecord || out < 1 {
		return flow{}, fmt.Errorf("%s gives %v, more than %d numbers a record", n.Kind, fitted.Out, maxRecord)
	}
	if err := fits(fitted, tensors); err != nil {
		return flow{}, err
	}
	for i := range in {
		if in[i].layer != len(im.net.Model)-1 || len(in) > 1 {
			n.From = append(n.From, im.refer(in[i].layer))
		}
	}
	if len(tensors) > 0 {
		n.Name = im.free(title)
	}
	im.net.Model = append(im.net.Model, n)
	im.weights = append(im.weights, tensors)
	out := flow{layer: len(im.net.Model) - 1, value: nn.Value{Shape: fitted.Out}, given: fitted.Out, column: -1}
	if fitted.Alias {
		out.value.Tokens = values[0].Tokens
	}
	return out, nil
}

// reshape adds the layer that gives f the shape in which it is seen. Changes of
// shape that follow each other so become one, or none.
func (im *importer) reshape(f flow) (flow, error) {
	shape := f.value.Shape
	if slices.Equal(shape, f.given) {
		return f, nil
	}
	key := fmt.Sprint(f.layer, shape)
	if known, ok := im.reshaped[key]; ok {
		return known, nil
	}
	n := nn.Node{Kind: "flatten"}
	if len(shape) != 1 {
		n = nn.Node{Kind: "reshape", Fields: map[string]any{"shape": fill(len(shape), func(i int) any { return int64(shape[i]) })}}
	}
	f.value.Shape = f.given
	out, err := im.add("", n, nil, f)
	if err == nil {
		im.reshaped[key] = out
	}
	return out, err
}

// fits compares tensors with those that a layer needs.
func fits(f nn.Fitted, tensors []Tensor) error {
	shapes := map[string][]int{}
	for _, p := range f.Params {
		shapes[p.Name] = p.Shape
	}
	for _, b := range f.Buffers {
		shapes[b.Name] = b.Shape
	}
	for _, t := range tensors {
		if want, ok := shapes[t.Name]; !ok || !slices.Equal(t.Shape, want) || len(t.F32) != size(want) {
			return fmt.Errorf("its %s has shape %v; expected %v of float32", t.Name, t.Shape, want)
		}
		delete(shapes, t.Name)
	}
	for name := range shapes {
		return fmt.Errorf("it has no constant %s", name)
	}
	return nil
}

// refer is the name of a layer, which gets one if it has none.
func (im *importer) refer(layer int) string {
	if layer < 0 {
		return "input"
	}
	n := &im.net.Model[layer]
	if n.Name == "" {
		n.Name = im.free(fmt.Sprintf("%s_%d", n.Kind, layer))
	}
	return n.Name
}

// free is a name for a layer that is like title, or none: a number is a layer
// without a name. What a layer's own graph adds to its name is left out.
func (im *importer) free(title string) string {
	title = strings.TrimSuffix(strings.TrimSuffix(title, "/y"), "/weight x")
	title = strings.Map(func(r rune) rune {
		switch {
		case r == '/':
			return '.'
		case r == '_' || r == '.' || r == '-' || r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z':
			return r
		}
		return '_'
	}, strings.Trim(title, "/"))
	if _, err := strconv.Atoi(title); err == nil || title == "" || len(title) > 64 {
		return ""
	}
	name := title
	for i := 2; im.named[name]; i++ {
		name = fmt.Sprintf("%s_%d", title, i)
	}
	im.named[name] = true
	return name
}
