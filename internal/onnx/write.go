package onnx

import (
	"encoding/binary"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"

	"google.golang.org/protobuf/proto"

	"github.com/lockstep-ml/lockstep/pkg/nn"
	pb "github.com/lockstep-ml/lockstep/proto/onnx"
)

// The versions of what is written: of the format, and of its operators.
const (
	irVersion    = 8
	opsetVersion = 17
)

// The names of a written graph's input and output.
const (
	inputName  = "input"
	outputName = "output"
)

// Write writes the network of a plan with the tensors of its model file. The
// graph computes what Trainer.Predict does, for any number of records:
//
//	input   (N, Plan.Input().Shape...)   float32, or int64 if the input is tokens
//	output  (N, Plan.Output()...)        float32
//
// Weights keep their names and, unless the operator wants another, their
// layout; tensors of other networks are passed over. metadata is text for other programs. Everything is checked before the
// first byte is written; equal arguments give equal bytes.
func Write(w io.Writer, plan *nn.Plan, tensors []Tensor, metadata map[string]string) error {
	file, err := export(plan, tensors)
	if err != nil {
		return err
	}
	for _, key := range slices.Sorted(maps.Keys(metadata)) {
		file.MetadataProps = append(file.MetadataProps, &pb.StringStringEntryProto{Key: key, Value: metadata[key]})
	}
	if n := proto.Size(file); n > MaxBytes {
		return fmt.Errorf("onnx: the network needs %d bytes; a file holds at most %d", n, MaxBytes)
	}
	text, err := proto.MarshalOptions{Deterministic: true}.Marshal(file)
	if err != nil {
		return fmt.Errorf("onnx: %w", err)
	}
	_, err = w.Write(text)
	return err
}

// graph is what operators are written to.
type graph struct {
	nodes     []*pb.NodeProto
	constants []Tensor
	known     map[string]bool // names of constants
}

// layer is one layer while its operators are written. Names of what lies inside
// it begin with its own and a slash.
type layer struct {
	nn.Args
	g      *graph
	name   string
	kind   string
	in     []string // inputs
	sites  []nn.Value
	out    string
	shape  []int  // of a record's output
	tokens string // the network's input, which layers with padding read
	// tensor gives the layer's tensor of a name.
	tensor func(name string) Tensor
}

// export translates the layers one by one.
func export(plan *nn.Plan, tensors []Tensor) (*pb.ModelProto, error) {
	byName, err := check(plan, tensors)
	if err != nil {
		return nil, err
	}
	values, nodes := plan.Graph()
	names := make([]string, len(values))
	names[0] = inputName
	g := &graph{known: map[string]bool{}}
	for _, n := range nodes {
		names[n.Out] = n.Name + "/y"
		if n.Out == len(values)-1 {
			names[n.Out] = outputName
		}
		l := &layer{Args: n.Args, g: g, name: n.Name, kind: n.Kind, out: names[n.Out], shape: values[n.Out].Shape, tokens: inputName,
			tensor: func(name string) Tensor { return byName[n.Name+"."+name] }}
		for _, v := range n.In {
			l.in, l.sites = append(l.in, names[v]), append(l.sites, values[v])
		}
		write, ok := operators()[n.Kind]
		if !ok {
			return nil, fmt.Errorf("onnx: layer %q: %s cannot be exported", n.Name, n.Kind)
		}
		write(l)
	}
	file := &pb.ModelProto{IrVersion: irVersion, ProducerName: "lockstep", OpsetImport: []*pb.OperatorSetIdProto{{Version: opsetVersion}},
		Graph: &pb.GraphProto{Name: "lockstep", Node: g.nodes}}
	kind := pb.TensorProto_FLOAT
	if values[0].Tokens > 0 {
		kind = pb.TensorProto_INT64
	}
	file.Graph.Input = []*pb.ValueInfoProto{info(inputName, kind, values[0].Shape)}
	file.Graph.Output = []*pb.ValueInfoProto{info(outputName, pb.TensorProto_FLOAT, values[len(values)-1].Shape)}
	for _, t := range g.constants {
		file.Graph.Initializer = append(file.Graph.Initializer, encode(t))
	}
	return file, nil
}

// check compares the tensors with those that the plan needs.
func check(plan *nn.Plan, tensors []Tensor) (map[string]Tensor, error) {
	byName := make(map[string]Tensor, len(tensors))
	for _, t := range tensors {
		byName[t.Name] = t
	}
	_, nodes := plan.Graph()
	need := func(name string, shape []int) error {
		t, ok := byName[name]
		n := 1
		for _, d := range shape {
			n *= d
		}
		switch {
		case !ok:
			return fmt.Errorf("onnx: tensor %q is missing", name)
		case !slices.Equal(t.Shape, shape) || len(t.F32) != n:
			return fmt.Errorf("onnx: tensor %q has shape %v; the network needs %v of float32", name, t.Shape, shape)
		}
		return nil
	}
	for _, n := range nodes {
		for _, p := range n.Params {
			if err := need(n.Name+"."+p.Name, p.Shape); err != nil {
				return nil, err
			}
		}
		for _, b := range n.Buffers {
			if err := need(n.Name+"."+b.Name, b.Shape); err != nil {
				return nil, err
			}
		}
	}
	return byName, nil
}

// info describes an input or output of any number of records.
func info(name string, kind pb.TensorProto_DataType, record []int) *pb.ValueInfoProto {
	shape := &pb.TensorShapeProto{Dim: []*pb.TensorShapeProto_Dimension{{Value: &pb.TensorShapeProto_Dimension_DimParam{DimParam: "N"}}}}
	for _, d := range record {
		shape.Dim = append(shape.Dim, &pb.TensorShapeProto_Dimension{Value: &pb.TensorShapeProto_Dimension_DimValue{DimValue: int64(d)}})
	}
	return &pb.ValueInfoProto{Name: name, Type: &pb.TypeProto{TensorType: &pb.TypeProto_Tensor{ElemType: int32(kind), Shape: shape}}}
}

// constant writes a tensor that is known now and returns its name.
func (g *graph) constant(t Tensor) string {
	if !g.known[t.Name] {
		g.known[t.Name] = true
		g.constants = append(g.constants, t)
	}
	return t.Name
}

// inner is a name inside the layer.
func (l *layer) inner(name string) string { return l.name + "/" + name }

// op writes an operator whose output is out.
func (l *layer) op(kind, out string, inputs []string, attributes ...*pb.AttributeProto) string {
	name := out
	if out == l.out {
		name = l.inner("y")
	}
	l.g.nodes = append(l.g.nodes, &pb.NodeProto{Name: name, OpType: kind, Input: inputs, Output: []string{out}, Attribute: attributes})
	return out
}

// step is an operator inside the layer.
func (l *layer) step(kind, out string, inputs []string, attributes ...*pb.AttributeProto) string {
	return l.op(kind, l.inner(out), inputs, attributes...)
}

// last is the operator that gives the layer's output.
func (l *layer) last(kind string, inputs []string, attributes ...*pb.AttributeProto) {
	l.op(kind, l.out, inputs, attributes...)
}

// weight writes a tensor of the layer as it is.
func (l *layer) weight(name string) string {
	t := l.tensor(name)
	t.Name = l.name + "." + name
	return l.g.constant(t)
}

// ints writes integers: a shape, axes. scalar is for one that is not a list.
func (l *layer) ints(name string, values ...int) string {
	t := Tensor{Name: l.inner(name), Shape: []int{len(values)}, I64: fill(len(values), func(i int) int64 { return int64(values[i]) })}
	return l.g.constant(t)
}

func (l *layer) scalar(name string, value int) string {
	return l.g.constant(Tensor{Name: l.inner(name), Shape: []int{}, I64: []int64{int64(value)}})
}

// number writes one number.
func (l *layer) number(name string, value float32) string {
	return l.numbers(name, []int{}, []float32{value})
}

func (l *layer) numbers(name string, shape []int, values []float32) string {
	return l.g.constant(Tensor{Name: l.inner(name), Shape: shape, F32: values})
}

// flags writes booleans.
func (l *layer) flags(name string, shape []int, values []byte) string {
	return l.g.constant(Tensor{Name: l.inner(name), Shape: shape, U8: values})
}

func attrInt(name string, v int) *pb.AttributeProto {
	return &pb.AttributeProto{Name: name, Type: pb.AttributeProto_INT, I: int64(v)}
}

func attrInts(name string, v ...int) *pb.AttributeProto {
	return &pb.AttributeProto{Name: name, Type: pb.AttributeProto_INTS, Ints: fill(len(v), func(i int) int64 { return int64(v[i]) })}
}

func attrFloat(name string, v float64) *pb.AttributeProto {
	return &pb.AttributeProto{Name: name, Type: pb.AttributeProto_FLOAT, F: float32(v)}
}

func attrText(name, v string) *pb.AttributeProto {
	return &pb.AttributeProto{Name: name, Type: pb.AttributeProto_STRING, S: []byte(v)}
}

// encode is the tensor as it is written. Bytes are booleans.
func encode(t Tensor) *pb.TensorProto {
	out := &pb.TensorProto{Name: t.Name, Dims: fill(len(t.Shape), func(i int) int64 { return int64(t.Shape[i]) })}
	le := binary.LittleEndian
	switch {
	case t.I64 != nil:
		out.DataType = int32(pb.TensorProto_INT64)
		for _, v := range t.I64 {
			out.RawData = le.AppendUint64(out.RawData, uint64(v))
		}
	case t.U8 != nil:
		out.DataType, out.RawData = int32(pb.TensorProto_BOOL), t.U8
	default:
		out.DataType, out.RawData = int32(pb.TensorProto_FLOAT), make([]byte, 0, 4*len(t.F32))
		for _, v := range t.F32 {
			out.RawData = le.AppendUint32(out.RawData, math.Float32bits(v))
		}
	}
	return out
}
