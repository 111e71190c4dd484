package onnx

import (
	"bytes"
	"fmt"
	"slices"

	"google.golang.org/protobuf/proto"

	"github.com/lockstep-ml/lockstep/pkg/nn"
	pb "github.com/lockstep-ml/lockstep/proto/onnx"
)

// A layer that is written as several operators is recognised by writing it again
// and comparing. What it may be, is guessed from what the first operators are.

// guess is a layer that may begin at an operator, with the names of its inputs.
type guess struct {
	node nn.Node
	in   []string
}

// reach is how many operators a guess looks ahead.
const reach = 24

// composite reads the operators from i on if together they are one layer, and
// returns how many they are.
func (im *importer) composite(i int) (int, error) {
	for _, g := range im.guesses(i) {
		flows := make([]flow, len(g.in))
		values := make([]nn.Value, len(g.in))
		known := true
		for j, name := range g.in {
			f, ok := im.flows[name]
			known = known && ok && f.column < 0
			flows[j], values[j] = f, f.value
		}
		if !known {
			continue
		}
		args, fitted, err := nn.FitLayer(g.node, im.net.Input, values...)
		if err != nil {
			continue
		}
		t := newTemplate(g.node.Kind, args, fitted, values)
		if !t.matches(im, im.nodes[i:], g.in) {
			continue
		}
		out, err := im.add(t.title, g.node, t.tensors(im), flows...)
		if err != nil {
			return 0, im.fail(im.nodes[i], "%v", err)
		}
		im.flows[t.bound[t.l.out]] = out
		return len(t.l.g.nodes), nil
	}
	return 0, nil
}

// template is a layer written with names of its own.
type template struct {
	l     *layer
	bound map[string]string // names of the template to those of the file
	title string
}

// The names in a template. Weights begin with templateName and a dot.
const (
	templateName   = "layer"
	templateInput  = "in"
	templateTokens = "tokens"
	templateOutput = "out"
)

func newTemplate(kind string, args nn.Args, f nn.Fitted, in []nn.Value) *template {
	l := &layer{Args: args, g: &graph{known: map[string]bool{}}, name: templateName, kind: kind, sites: in, out: templateOutput, shape: f.Out,
		tokens: templateTokens}
	l.tensor = func(name string) Tensor { // the values are those of the file
		for _, p := range f.Params {
			if p.Name == name {
				return Tensor{Shape: p.Shape}
			}
		}
		return Tensor{}
	}
	for i := range in {
		l.in = append(l.in, fmt.Sprint(templateInput, i))
	}
	operators()[kind](l)
	return &template{l: l, bound: map[string]string{}}
}

// matches compares the template with the first of the nodes and finds out which
// name is which.
func (t *template) matches(im *importer, nodes []*pb.NodeProto, in []string) bool {
	written := t.l.g.nodes
	if len(nodes) < len(written) {
		return false
	}
	t.bound[templateTokens] = im.input
	for i, name := range in {
		t.bound[t.l.in[i]] = name
	}
	for i, want := range written {
		got := nodes[i]
		if got.GetOpType() != want.GetOpType() || got.GetDomain() != "" || len(got.GetInput()) != len(want.GetInput()) ||
			len(got.GetOutput()) != len(want.GetOutput()) || !equalAttributes(got.GetAttribute(), want.GetAttribute()) {
			return false
		}
		for j, name := range want.GetInput() {
			if !t.same(im, name, got.GetInput()[j]) {
				return false
			}
		}
		for j, name := range want.GetOutput() {
			if (name == "") != (got.GetOutput()[j] == "") {
				return false
			}
			t.bound[name] = got.GetOutput()[j]
		}
		t.title = got.GetName()
	}
	return true
}

// same compares an input of the template with one of the file.
func (t *template) same(im *importer, want, got string) bool {
	if bound, ok := t.bound[want]; ok {
		return bound == got
	}
	i := slices.IndexFunc(t.l.g.constants, func(c Tensor) bool { return c.Name == want })
	c, ok := im.constant[got]
	if i < 0 || !ok {
		return want == "" && got == ""
	}
	t.bound[want] = got
	ours := t.l.g.constants[i]
	return slices.Equal(ours.Shape, c.Shape) && (isWeight(ours) || bytes.Equal(encode(ours).GetRawData(), encode(c).GetRawData()))
}

func isWeight(t Tensor) bool { return t.Name[len(templateName)] == '.' }

func equalAttributes(a, b []*pb.AttributeProto) bool {
	if len(a) != len(b) {
		return false
	}
	for _, x := range a {
		if !slices.ContainsFunc(b, func(y *pb.AttributeProto) bool { return proto.Equal(x, y) }) {
			return false
		}
	}
	return true
}

// tensors are the weights of the file under the names of the layer.
func (t *template) tensors(im *importer) []Tensor {
	c, recurrent := cells()[t.l.kind]
	var out []Tensor
	for _, ours := range t.l.g.constants {
		if isWeight(ours) {
			w := im.constant[t.bound[ours.Name]]
			w.Name = ours.Name[len(templateName)+1:]
			out = append(out, w)
		}
	}
	if recurrent {
		return c.split(out)
	}
	return out
}

// split undoes what gates joins.
func (c cell) split(joined []Tensor) []Tensor {
	parts := map[string][]string{"W": {"weight_ih"}, "R": {"weight_hh"}, "B": {"bias_ih", "bias_hh"}}
	var out []Tensor
	for _, t := range joined {
		names := parts[t.Name]
		each := len(t.F32) / t.Shape[0] / len(names)
		shape := slices.Clone(t.Shape[1:])
		shape[0] /= len(names)
		for i := range t.Shape[0] * len(names) {
			theirs := t.F32[i*each:][:each]
			ours := make([]float32, each)
			n := each / len(c.order)
			for at, g := range c.order {
				copy(ours[g*n:][:n], theirs[at*n:][:n])
			}
			out = append(out, Tensor{Name: names[i%len(names)] + []string{"_l0", "_l0_reverse"}[i/len(names)], Shape: shape, F32: ours})
		}
	}
	return out
}

// guesses are the layers that may begin at operator i.
func (im *importer) guesses(i int) []guess {
	n := im.nodes[i]
	in := n.GetInput()
	if len(in) == 0 {
		return nil
	}
	plain := func(kind string, names ...string) []guess { return []guess{{nn.Node{Kind: kind}, names}} }
	switch n.GetOpType() {
	case "Div":
		return plain("gelu", in[0])
	case "Sigmoid":
		return plain("silu", in[0])
	case "Mul":
		return plain("dot", in...)
	case "Slice":
		return plain("gaussian_sample", in[0])
	case "Reshape":
		return im.guessGroupNorm(i)
	case "Transpose":
		return append(im.guessAttention(i), im.guessRecurrent(i)...)
	}
	return nil
}

// ahead is the first operator of a kind within reach of i, nil if there is none.
func (im *importer) ahead(i int, kinds ...string) *pb.NodeProto {
	for _, n := range im.nodes[i:min(i+reach, len(im.nodes))] {
		if slices.Contains(kinds, n.GetOpType()) {
			return n
		}
	}
	return nil
}

// paddings are the tokens that a layer may pass over: none, and what an Equal
// within reach compares with.
func (im *importer) paddings(i int) []int64 {
	out := []int64{-1}
	if n := im.ahead(i, "Equal"); n != nil && len(n.GetInput()) == 2 {
		if t := im.constant[n.GetInput()[1]]; len(t.I64) == 1 {
			out = append(out, t.I64[0])
		}
	}
	return out
}

func attributeOf(n *pb.NodeProto, name string) *pb.AttributeProto {
	for _, a := range n.GetAttribute() {
		if a.GetName() == name {
			return a
		}
	}
	return nil
}

func (im *importer) guessGroupNorm(i int) []guess {
	n := im.ahead(i, "InstanceNormalization")
	if n == nil || len(n.GetInput()) != 3 {
		return nil
	}
	fields := map[string]any{"groups": int64(len(im.constant[n.GetInput()[1]].F32))}
	if a := attributeOf(n, "epsilon"); a != nil {
		fields["epsilon"] = decimal(a.GetF())
	}
	return []guess{{nn.Node{Kind: "group_norm", Fields: fields}, im.nodes[i].GetInput()[:1]}}
}

// guessAttention reads the number of heads from the shape of q, k and v. Masks
// are as large as the square of the steps, so they must be in the file.
func (im *importer) guessAttention(i int) []guess {
	if i+1 >= len(im.nodes) || im.nodes[i+1].GetOpType() != "MatMul" {
		return nil
	}
	shape := im.ahead(i, "Reshape")
	if shape == nil || len(shape.GetInput()) != 2 {
		return nil
	}
	dims := im.constant[shape.GetInput()[1]].I64
	if len(dims) != 5 || dims[3] < 1 || dims[1] < 1 || dims[1] > 1<<15 {
		return nil
	}
	masked := slices.ContainsFunc(im.nodes[i:min(i+reach, len(im.nodes))], func(n *pb.NodeProto) bool {
		return slices.ContainsFunc(n.GetInput(), func(name string) bool { return len(im.constant[name].U8) == int(dims[1]*dims[1]) })
	})
	var out []guess
	for _, causal := range []bool{false, true} {
		for _, padding := range im.paddings(i) {
			fields := map[string]any{"heads": dims[3]}
			if causal {
				fields["causal"] = true
			}
			if padding >= 0 {
				fields["padding"] = padding
			}
			if masked || !causal && padding < 0 {
				out = append(out, guess{nn.Node{Kind: "attention", Fields: fields}, im.nodes[i+1].GetInput()[:1]})
			}
		}
	}
	return out
}

func (im *importer) guessRecurrent(i int) []guess {
	n := im.ahead(i, "RNN", "LSTM", "GRU")
	if n == nil {
		return nil
	}
	var out []guess
	for kind, c := range cells() {
		if c.op != n.GetOpType() {
			continue
		}
		for _, output := range []string{"all", "last"} {
			for _, padding := range im.paddings(i) {
				fields := map[string]any{"units": attributeOf(n, "hidden_size").GetI()}
				if output == "last" {
					fields["output"] = output
				}
				if string(attributeOf(n, "direction").GetS()) == "bidirectional" {
					fields["bidirectional"] = true
				}
				if padding >= 0 {
					fields["padding"] = padding
				}
				out = append(out, guess{nn.Node{Kind: kind, Fields: fields}, im.nodes[i].GetInput()[:1]})
			}
		}
	}
	return out
}
