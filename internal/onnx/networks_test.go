package onnx

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/lockstep-ml/lockstep/internal/philox"
	"github.com/lockstep-ml/lockstep/pkg/nn"
	"github.com/lockstep-ml/lockstep/pkg/tensor"
)

// network is a small model with random weights, and records for it.
type network struct {
	name  string
	in    nn.Input
	model []nn.Node
}

// l is a layer: kind, field, value, …; name and from are the node's.
func l(s ...any) nn.Node {
	n := nn.Node{Kind: s[0].(string), Path: s[0].(string), Fields: map[string]any{}}
	for i := 1; i < len(s); i += 2 {
		switch field := s[i].(string); field {
		case "name":
			n.Name = s[i+1].(string)
		case "from":
			n.From = s[i+1].([]string)
		default:
			n.Fields[field] = s[i+1]
		}
	}
	return n
}

func numbers(shape ...int) nn.Input { return nn.Input{Shape: shape} }

func tokens(vocabulary int, shape ...int) nn.Input { return nn.Input{Shape: shape, Tokens: vocabulary} }

// networks has every kind of the catalogue that can be exported.
func networks() []network {
	list := slices.Concat(plainNetworks(), imageNetworks(), sequenceNetworks())
	for _, e := range nn.Catalogue() {
		if e.Class == "activation" {
			list = append(list, network{e.Name, numbers(3, 5), []nn.Node{l(e.Name)}})
		}
	}
	return list
}

func plainNetworks() []network {
	return []network{
		{"dense", numbers(7), []nn.Node{l("dense", "units", 5)}},
		{"dense of one number", numbers(), []nn.Node{l("dense", "units", 5)}},
		{"dense without bias", numbers(7), []nn.Node{l("dense", "units", 5, "bias", false), l("relu"), l("dense", "units", 3)}},
		{"dense along a sequence", numbers(4, 6), []nn.Node{l("dense", "units", 5), l("dense", "units", 3, "bias", false)}},
		{"named", numbers(6), []nn.Node{l("dense", "units", 4, "name", "first"), l("relu"), l("dense", "units", 2, "name", "head.out")}},
		{"shapes", numbers(2, 6), []nn.Node{l("transpose"), l("reshape", "shape", []any{3, -1}), l("flatten"), l("dense", "units", 3)}},
		{"flatten of one number", numbers(), []nn.Node{l("flatten")}},
		{"dropout", numbers(3, 5), []nn.Node{l("dropout", "rate", 0.25), l("spatial_dropout"), l("gaussian_noise"), l("tanh")}},
		{"slopes", numbers(6), []nn.Node{l("dense", "units", 9), l("leaky_relu", "slope", 0.2), l("dense", "units", 9), l("elu", "alpha", 0.7)}},
		{"sample", numbers(4), []nn.Node{l("dense", "units", 6), l("gaussian_sample"), l("dense", "units", 4)}},
		{"branches", numbers(4), []nn.Node{
			l("dense", "units", 3, "name", "a"), l("dense", "units", 3, "from", []string{"input"}, "name", "b"),
			l("add", "from", []string{"a", "b", "a"}, "name", "sum"), l("multiply", "from", []string{"a", "b"}, "name", "product"),
			l("dot", "from", []string{"sum", "b"}, "name", "dot"), l("concat", "from", []string{"sum", "product", "dot", "input"})}},
		{"concat along the last axis", numbers(2, 3), []nn.Node{l("tanh", "name", "a"), l("concat", "from", []string{"input", "a"}, "axis", -1)}},
		{"group norm of numbers", numbers(6), []nn.Node{l("group_norm", "groups", 2)}},
		{"batch norm of numbers", numbers(6), []nn.Node{l("batch_norm")}},
	}
}

func imageNetworks() []network {
	return []network{
		{"conv1d", numbers(4, 9), []nn.Node{l("conv1d", "filters", 6, "kernel", 3, "stride", 2, "padding", 2, "dilation", 2, "groups", 2),
			l("conv1d", "filters", 3, "kernel", 5, "dilation", 2, "same", true)}},
		{"conv2d", numbers(3, 9, 8), []nn.Node{
			l("conv2d", "filters", 4, "kernel", []any{3, 5}, "padding", []any{0, 2}, "stride", []any{2, 1}, "bias", false),
			l("conv2d", "filters", 5, "same", true, "dilation", 2)}},
		{"depthwise", numbers(4, 7, 7), []nn.Node{l("conv2d", "filters", 8, "groups", 4, "padding", 1), l("conv2d", "filters", 3, "kernel", 1)}},
		{"conv transpose", numbers(4, 5, 6), []nn.Node{
			l("conv_transpose2d", "filters", 6, "groups", 2),
			l("conv_transpose2d", "filters", 2, "kernel", []any{3, 2}, "stride", []any{3, 2}, "padding", []any{1, 0}, "output_padding", []any{1, 0}, "bias", false),
			l("conv_transpose2d", "filters", 3, "kernel", []any{2, 3}, "stride", 2, "padding", 1, "dilation", []any{2, 3})}},
		{"max pool", numbers(2, 9, 8), []nn.Node{l("max_pool", "size", 3, "stride", 2, "padding", 1), l("max_pool")}},
		{"avg pool", numbers(2, 9, 8), []nn.Node{l("avg_pool", "size", []any{3, 2}, "padding", 1), l("avg_pool", "size", 2, "stride", 1)}},
		{"global pools", numbers(3, 4, 5), []nn.Node{l("global_avg_pool", "name", "mean"), l("global_max_pool", "from", []string{"input"}, "name", "most"),
			l("concat", "from", []string{"mean", "most"})}},
		{"global pool of a sequence", numbers(3, 7), []nn.Node{l("global_max_pool")}},
		{"pad", numbers(2, 3, 4), []nn.Node{l("pad", "before", 1, "after", 2), l("pad", "axis", -1, "after", 1)}},
		{"upsample", numbers(2, 3, 4), []nn.Node{l("upsample", "factor", 3)}},
		{"norms", numbers(6, 4, 3), []nn.Node{l("batch_norm"), l("group_norm", "groups", 3), l("layer_norm", "epsilon", 1e-3)}},
		{"residual", numbers(3, 8, 8), []nn.Node{
			l("conv2d", "filters", 4, "same", true, "bias", false), l("batch_norm"), l("relu", "name", "start"),
			l("conv2d", "filters", 4, "same", true, "bias", false), l("batch_norm", "name", "end"),
			l("add", "from", []string{"start", "end"}), l("relu"), l("global_avg_pool"), l("dense", "units", 5), l("softmax")}},
	}
}

func sequenceNetworks() []network {
	list := []network{
		{"embedding", tokens(9, 5), []nn.Node{l("embedding", "dim", 4), l("positions"), l("positions", "kind", "sinusoidal")}},
		{"columns", tokens(9, 2), []nn.Node{l("embedding", "dim", 4, "column", 0, "name", "a"), l("embedding", "dim", 4, "column", 1, "from", []string{"input"}, "name", "b"),
			l("dot", "from", []string{"a", "b"})}},
		{"attention", numbers(5, 6), []nn.Node{l("attention", "heads", 3), l("attention", "heads", 2, "causal", true)}},
		{"attention with padding", tokens(6, 7), []nn.Node{l("embedding", "dim", 4), l("attention", "heads", 2, "padding", 0, "causal", true),
			l("attention", "padding", 0)}},
		{"gpt block", tokens(11, 6), []nn.Node{
			l("embedding", "dim", 8), l("positions", "name", "x"), l("layer_norm"), l("attention", "heads", 2, "causal", true, "name", "seen"),
			l("add", "from", []string{"x", "seen"}, "name", "y"), l("layer_norm"), l("dense", "units", 16), l("gelu"), l("dense", "units", 8, "name", "mlp"),
			l("add", "from", []string{"y", "mlp"}), l("dense", "units", 11, "bias", false)}},
	}
	for _, kind := range []string{"rnn", "lstm", "gru"} {
		for _, output := range []string{"all", "last"} {
			for _, both := range []bool{false, true} {
				r := func(padding int) nn.Node {
					return l(kind, "units", 3, "output", output, "bidirectional", both, "padding", padding)
				}
				name := fmt.Sprint(kind, " ", output, " ", both)
				list = append(list, network{name, numbers(5, 4), []nn.Node{r(-1)}},
					network{name + " with padding", tokens(4, 5), []nn.Node{l("embedding", "dim", 4), r(0)}})
			}
		}
	}
	return list
}

// built is a network that can be applied.
type built struct {
	plan    *nn.Plan
	trainer *nn.Trainer
	tensors []Tensor
}

// build makes the network with random weights.
func (n network) build(t testing.TB) built {
	t.Helper()
	b := buildPlan(t, n.in, n.model)
	for i, tensor := range b.trainer.ParamTensors() {
		randoms := philox.New(1, philox.Init, 0, i, 0)
		for j := range tensor.F32 {
			tensor.F32[j] = randoms.Float32(uint64(j)) - 0.5
			if strings.HasSuffix(tensor.Name, "running_var") {
				tensor.F32[j] += 1
			}
		}
	}
	b.tensors = modelTensors(b.trainer)
	return b
}

// modelTensors are copies of what a model file holds.
func modelTensors(t *nn.Trainer) []Tensor {
	var out []Tensor
	for _, p := range t.ParamTensors() {
		out = append(out, Tensor{Name: p.Name, Shape: p.Shape, F32: slices.Clone(p.F32)})
	}
	return out
}

const rows = 3

// buildPlan fits a model, with a loss that is not used.
func buildPlan(t testing.TB, in nn.Input, model []nn.Node) built {
	t.Helper()
	shapes := map[string]nn.Value{"input": {Shape: in.Shape, Tokens: in.Tokens}}
	last := shapes["input"]
	for _, n := range model {
		var ins []nn.Value
		for _, from := range n.From {
			ins = append(ins, shapes[from])
		}
		if ins == nil {
			ins = []nn.Value{last}
		}
		_, f, err := nn.FitLayer(n, shapes["input"], ins...)
		if err != nil {
			t.Fatal(err)
		}
		last = nn.Value{Shape: f.Out}
		shapes[n.Name] = last
	}
	in.Target = nn.Target{Kind: nn.TargetValue, Shape: last.Shape}
	plan, err := nn.NewPlan(nn.Spec{Model: model, Loss: l("mse"), Optimizer: l("sgd"), Epochs: 1, StepsPerEpoch: 1, Lanes: 1, Exact: true}, in)
	if err != nil {
		t.Fatal(err)
	}
	eng, err := tensor.New(tensor.Config{Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(eng.Close)
	trainer, err := nn.NewTrainer(eng, plan, rows, 1)
	if err != nil {
		t.Fatal(err)
	}
	return built{plan: plan, trainer: trainer}
}

// batch is random records. Those of tokens end in padding, the last is nothing
// else.
func (n network) batch() *nn.Batch {
	b := &nn.Batch{}
	randoms := philox.New(2, philox.Init, 0, 0, 0)
	each := size(n.in.Shape)
	for i := range rows * each {
		word := randoms.Uint32(uint64(i))
		b.X = append(b.X, float32(float64(word)/(1<<31)-1))
		token := int32(0)
		if row, at := i/each, i%each; n.in.Tokens > 0 && at < each-row*each/(rows-1) {
			token = 1 + int32(word%uint32(n.in.Tokens-1))
		}
		b.Tokens = append(b.Tokens, token)
	}
	return b
}

// predict applies the network to its batch.
func (n network) predict(t testing.TB, b built) []float32 {
	t.Helper()
	y, err := b.trainer.Predict(n.batch(), rows)
	if err != nil {
		t.Fatal(err)
	}
	return slices.Clone(y)
}

// write exports the network.
func (b built) write(t testing.TB) []byte {
	t.Helper()
	var out bytes.Buffer
	if err := Write(&out, b.plan, b.tensors, nil); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}
