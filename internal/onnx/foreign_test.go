package onnx

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"

	"github.com/lockstep-ml/lockstep/internal/onnx/onnxtest"
	"github.com/lockstep-ml/lockstep/internal/philox"
	"github.com/lockstep-ml/lockstep/pkg/nn"
	pb "github.com/lockstep-ml/lockstep/proto/onnx"
)

// foreign is a graph as another program may write it, and the layers it is.
type foreign struct {
	name      string
	in        nn.Input
	opset     int64
	constants []Tensor
	nodes     []*pb.NodeProto // of which the last gives the output
	model     []nn.Node
}

// op is an operator: its kind, its inputs and its output.
func op(kind, inputs, output string, attributes ...*pb.AttributeProto) *pb.NodeProto {
	return &pb.NodeProto{OpType: kind, Name: output, Input: strings.Split(inputs, " "), Output: []string{output}, Attribute: attributes}
}

// w is a constant with random numbers.
func w(name string, shape ...int) Tensor {
	randoms := philox.New(3, philox.Init, 0, len(name), len(shape))
	return Tensor{Name: name, Shape: shape, F32: fill(size(shape), func(i int) float32 { return randoms.Float32(uint64(i)) - 0.3 })}
}

func list(name string, v ...int64) Tensor { return Tensor{Name: name, Shape: []int{len(v)}, I64: v} }

func one(name string, v float32) Tensor { return Tensor{Name: name, Shape: []int{}, F32: []float32{v}} }

// file is the graph as bytes.
func (f foreign) file(t testing.TB) []byte {
	t.Helper()
	kind, opset := pb.TensorProto_FLOAT, f.opset
	if f.in.Tokens > 0 {
		kind = pb.TensorProto_INT64
	}
	if opset == 0 {
		opset = 17
	}
	g := &pb.GraphProto{Name: "g", Node: f.nodes, Input: []*pb.ValueInfoProto{info("x", kind, f.in.Shape)},
		Output: []*pb.ValueInfoProto{{Name: f.nodes[len(f.nodes)-1].Output[0], Type: &pb.TypeProto{TensorType: &pb.TypeProto_Tensor{ElemType: int32(pb.TensorProto_FLOAT)}}}}}
	for _, c := range f.constants {
		g.Initializer = append(g.Initializer, encode(c))
	}
	text, err := proto.Marshal(&pb.ModelProto{IrVersion: 8, OpsetImport: []*pb.OperatorSetIdProto{{Version: opset}}, Graph: g})
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func foreigners() []foreign {
	return []foreign{
		{"bias added later", numbers(2, 6, 5), 0, []Tensor{w("k", 4, 2, 3, 3), w("b", 4, 1, 1), w("m", 16, 3), w("c", 1, 3)}, []*pb.NodeProto{
			op("Conv", "x k", "conv", attrText("auto_pad", "SAME_UPPER"), attrInts("kernel_shape", 3, 3), attrInts("strides", 2, 2)),
			op("Add", "conv b", "biased"), op("MaxPool", "biased", "p", attrInts("kernel_shape", 2, 2)), op("Flatten", "p", "f"),
			op("MatMul", "f m", "dense"), op("Add", "c dense", "y")},
			[]nn.Node{l("pad", "axis", int64(1), "after", int64(1)), l("conv2d", "filters", int64(4), "stride", int64(2), "padding", []any{int64(0), int64(1)}, "name", "conv"),
				l("max_pool", "size", int64(2), "stride", int64(1)), l("flatten"), l("dense", "units", int64(3), "name", "dense")}},
		{"pads of one side", numbers(2, 5, 5), 0, []Tensor{w("k", 3, 2, 2, 2)}, []*pb.NodeProto{
			op("Conv", "x k", "y", attrText("auto_pad", "SAME_LOWER"))},
			[]nn.Node{l("pad", "axis", int64(1), "before", int64(1)), l("pad", "axis", int64(2), "before", int64(1)),
				l("conv2d", "filters", int64(3), "kernel", int64(2), "bias", false, "name", "y")}},
		{"old bounds", numbers(6), 6, nil, []*pb.NodeProto{
			op("Clip", "x", "a", attrFloat("min", -0.5), attrFloat("max", 0.25)), op("Dropout", "a", "b", attrFloat("ratio", 0.25)), op("Clip", "b", "c", attrFloat("min", 0)),
			op("Softmax", "c", "y")},
			[]nn.Node{l("clip", "min", -0.5, "max", 0.25), l("dropout", "rate", 0.25), l("relu"), l("softmax")}},
		{"slopes", numbers(6), 6, nil, []*pb.NodeProto{
			op("LeakyRelu", "x", "a", attrFloat("alpha", 0.2)), op("Elu", "a", "b", attrFloat("alpha", 0.7)), op("LeakyRelu", "b", "c"), op("Elu", "c", "y")},
			[]nn.Node{l("leaky_relu", "slope", 0.2), l("elu", "alpha", 0.7), l("leaky_relu"), l("elu")}},
		{"mean over axes", numbers(3, 4, 5), 0, []Tensor{w("m", 3, 2), one("lo", 0), one("hi", 6)}, []*pb.NodeProto{
			op("Clip", "x lo hi", "c"), op("ReduceMean", "c", "mean", attrInts("axes", -2, -1), attrInt("keepdims", 0)), op("Gemm", "mean m", "y")},
			[]nn.Node{l("clip"), l("global_avg_pool"), l("dense", "units", int64(2), "bias", false, "name", "y")}},
		{"shapes that undo each other", numbers(3, 4, 5), 0, []Tensor{list("axes", 3), list("s", 0, -1), list("two", 2, 3)}, []*pb.NodeProto{
			op("GlobalAveragePool", "x", "p"), op("Squeeze", "p two", "a"), op("Unsqueeze", "a two", "b"), op("Reshape", "b s", "c"), op("Tanh", "c", "y")},
			[]nn.Node{l("global_avg_pool"), l("tanh")}},
		{"constants that are computed", numbers(4), 0, []Tensor{w("m", 3, 2, 2), list("s", -1, 4)}, []*pb.NodeProto{
			op("Reshape", "m s", "flat"), {OpType: "Constant", Output: []string{"b"}, Attribute: []*pb.AttributeProto{{Name: "value", Type: pb.AttributeProto_TENSOR, T: encode(w("", 3))}}},
			op("Identity", "flat", "same"), op("Transpose", "same", "turned", attrInts("perm", 1, 0)), op("MatMul", "x turned", "h"), op("Add", "h b", "y")},
			[]nn.Node{l("dense", "units", int64(3), "name", "h")}},
		{"a sum of branches", numbers(4), 0, nil, []*pb.NodeProto{
			op("Relu", "x", "a"), op("Tanh", "x", "b"), op("Sum", "a b x", "s"), op("Mul", "s b", "m"), op("Concat", "m x", "y", attrInt("axis", -1))},
			[]nn.Node{l("relu", "name", "relu_0"), l("tanh", "from", []string{"input"}, "name", "tanh_1"), l("add", "from", []string{"relu_0", "tanh_1", "input"}, "name", "add_2"),
				l("multiply", "from", []string{"add_2", "tanh_1"}, "name", "multiply_3"), l("concat", "from", []string{"multiply_3", "input"})}},
		{"vectors for positions", tokens(7, 3), 0, []Tensor{w("table", 7, 4), w("where", 1, 3, 4)}, []*pb.NodeProto{
			op("Gather", "table x", "e"), op("Add", "e where", "y")},
			[]nn.Node{l("embedding", "dim", int64(4), "name", "e"), l("positions", "name", "y")}},
		{"zeros and enlarged", numbers(1, 2, 3), 0, []Tensor{list("pads", 0, 1, 0, 0, 0, 0, 0, 2), {Name: "scales", Shape: []int{4}, F32: []float32{1, 1, 2, 2}}}, []*pb.NodeProto{
			op("Pad", "x pads", "p"), op("Resize", "p  scales", "y", attrText("coordinate_transformation_mode", "asymmetric"), attrText("nearest_mode", "floor"))},
			[]nn.Node{l("pad", "before", int64(1)), l("pad", "axis", int64(2), "after", int64(2)), l("upsample", "factor", int64(2))}},
		{"norm of instances", numbers(3, 4), 0, []Tensor{w("g", 3), w("b", 3)}, []*pb.NodeProto{op("InstanceNormalization", "x g b", "y", attrFloat("epsilon", 0.01))},
			[]nn.Node{l("group_norm", "groups", int64(3), "epsilon", 0.01, "name", "y")}},
		{"transposed filters", numbers(2, 3, 3), 0, []Tensor{w("k", 2, 3, 2, 2), w("b", 3)}, []*pb.NodeProto{
			op("ConvTranspose", "x k b", "t"), op("AveragePool", "t", "y", attrInts("kernel_shape", 2, 2), attrInts("strides", 2, 2))},
			[]nn.Node{l("conv_transpose2d", "filters", int64(3), "kernel", int64(2), "stride", int64(1), "padding", int64(0), "name", "t"), l("avg_pool", "size", int64(2))}},
	}
}

// A graph that another program wrote is the layers that one would write, and
// gives what onnxruntime gives.
func TestForeignGraphs(t *testing.T) {
	for _, f := range foreigners() {
		t.Run(f.name, func(t *testing.T) {
			n, _ := imported(t, f.file(t))
			want := slices.Clone(f.model)
			for i := range want {
				want[i].Path = ""
				if len(want[i].Fields) == 0 {
					want[i].Fields = nil
				}
			}
			for i := range n.Model {
				if len(n.Model[i].Fields) == 0 {
					n.Model[i].Fields = nil
				}
			}
			if diff := cmp.Diff(want, n.Model); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestForeignGraphsInOnnxruntime(t *testing.T) {
	o := onnxtest.New(t)
	ours := map[string][]float32{}
	for _, f := range foreigners() {
		_, b := imported(t, f.file(t))
		n := network{f.name, f.in, f.model}
		ours[f.name] = n.predict(t, b)
		dims := append([]int{rows}, f.in.Shape...)
		if f.in.Tokens > 0 {
			o.Tokens(t, f.name, f.file(t), n.batch().Tokens, dims...)
		} else {
			o.Numbers(t, f.name, f.file(t), n.batch().X, dims...)
		}
	}
	theirs := o.Run(t)
	for name, y := range ours {
		if d := onnxtest.Difference(y, theirs[name]); !(d <= onnxtest.Tolerance) {
			t.Errorf("%s: differs by %v\nours   %v\ntheirs %v", name, d, y, theirs[name])
		}
	}
}

// What is not one of our layers is refused, with the name of the node.
func TestNetworkRefuses(t *testing.T) {
	image, vector := numbers(2, 4, 4), numbers(4)
	for want, f := range map[string]foreign{
		`node "y" (Sin): it is not one of lockstep's layers`:  {in: vector, nodes: []*pb.NodeProto{op("Sin", "x", "y")}},
		`input "z" is not what an earlier layer gives`:        {in: vector, nodes: []*pb.NodeProto{op("Relu", "z", "y")}},
		`its alpha is -0.2; a negative one`:                   {in: vector, nodes: []*pb.NodeProto{op("LeakyRelu", "x", "y", attrFloat("alpha", -0.2))}},
		`attribute "surprise" is not supported`:               {in: vector, nodes: []*pb.NodeProto{op("Relu", "x", "y", attrInt("surprise", 1))}},
		`"ceil_mode" is 1; only 0 is supported`:               {in: image, nodes: []*pb.NodeProto{op("MaxPool", "x", "y", attrInts("kernel_shape", 2, 2), attrInt("ceil_mode", 1))}},
		`"kernel_shape" is of type INT, not INTS`:             {in: image, nodes: []*pb.NodeProto{op("MaxPool", "x", "y", attrInt("kernel_shape", 2))}},
		`its mean does not count the padding`:                 {in: image, nodes: []*pb.NodeProto{op("AveragePool", "x", "y", attrInts("kernel_shape", 2, 2), attrInts("pads", 1, 1, 1, 1))}},
		`its padding [0 0] and [1 1] must be alike`:           {in: image, nodes: []*pb.NodeProto{op("MaxPool", "x", "y", attrInts("kernel_shape", 2, 2), attrInts("pads", 0, 0, 1, 1))}},
		`its input is (2, 4, 4); put flatten before it`:       {in: image, constants: []Tensor{w("m", 4, 3)}, nodes: []*pb.NodeProto{op("MatMul", "x m", "y")}},
		`its weight has shape [3 4]; expected [3 5]`:          {in: numbers(5), constants: []Tensor{w("m", 4, 3)}, nodes: []*pb.NodeProto{op("MatMul", "x m", "y")}},
		`its shape [4] does not keep the axis of the records`: {in: vector, constants: []Tensor{list("s", 4)}, nodes: []*pb.NodeProto{op("Reshape", "x s", "y")}},
		`its shape [1 3] is not one of [1 4]`:                 {in: vector, constants: []Tensor{list("s", -1, 3)}, nodes: []*pb.NodeProto{op("Reshape", "x s", "y")}},
		`is no bias of the layer before`:                      {in: vector, constants: []Tensor{w("b", 4)}, nodes: []*pb.NodeProto{op("Add", "x b", "y")}},
		`input 1 is not a constant`:                           {in: vector, nodes: []*pb.NodeProto{op("MatMul", "x x", "y")}},
		`it computes a constant`:                              {in: vector, constants: []Tensor{w("b", 4)}, nodes: []*pb.NodeProto{op("Sin", "b", "c"), op("Add", "x c", "y")}},
		`no Gather reads a table`:                             {in: tokens(5, 3), nodes: []*pb.NodeProto{op("Identity", "x", "y")}},
		`output "y" is not what the last layer gives`:         {in: vector, nodes: []*pb.NodeProto{op("Identity", "x", "y")}},
		`its perm is [0 3 1 2]`:                               {in: image, nodes: []*pb.NodeProto{op("Transpose", "x", "y", attrInts("perm", 0, 3, 1, 2))}},
		`(LSTM): it is not one of lockstep's layers`:          {in: numbers(3, 4), nodes: []*pb.NodeProto{op("LSTM", "x", "y", attrInt("hidden_size", 3))}},
	} {
		t.Run(want, func(t *testing.T) {
			m, err := Read(bytes.NewReader(f.file(t)))
			if err != nil {
				t.Fatal(err)
			}
			if _, err = m.Network(); !errors.Is(err, ErrFormat) || !strings.Contains(err.Error(), want) {
				t.Errorf("error %v, want ErrFormat with %q", err, want)
			}
		})
	}
}

// Whatever is in a file, reading it ends with a network that fits itself, or with
// ErrFormat.
func FuzzNetwork(f *testing.F) {
	for _, n := range networks() {
		f.Add(n.build(f).write(f))
	}
	for _, n := range foreigners() {
		f.Add(n.file(f))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		m, err := Read(bytes.NewReader(text))
		if err == nil {
			_, err = m.Network()
		}
		if err != nil && !errors.Is(err, ErrFormat) {
			t.Errorf("error %v is not ErrFormat", err)
		}
	})
}
