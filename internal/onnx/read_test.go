package onnx

import (
	"bytes"
	"errors"
	"math"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"

	pb "github.com/lockstep-ml/lockstep/proto/onnx"
)

// file is a model of some initializers, as bytes.
func file(t testing.TB, initializers ...*pb.TensorProto) []byte {
	t.Helper()
	text, err := proto.Marshal(&pb.ModelProto{IrVersion: 8, OpsetImport: []*pb.OperatorSetIdProto{{Version: 17}},
		Graph: &pb.GraphProto{Initializer: initializers}})
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestTensors(t *testing.T) {
	kind := func(k pb.TensorProto_DataType) int32 { return int32(k) }
	text := file(t,
		&pb.TensorProto{Name: "raw", Dims: []int64{2}, DataType: kind(pb.TensorProto_FLOAT), RawData: []byte("\x00\x00\x80\x3f\x00\x00\x00\xc0")},
		&pb.TensorProto{Name: "floats", Dims: []int64{1, 2}, DataType: kind(pb.TensorProto_FLOAT), FloatData: []float32{3, -4}},
		&pb.TensorProto{Name: "half", Dims: []int64{1}, DataType: kind(pb.TensorProto_FLOAT16), RawData: []byte("\x00\x3c")},
		&pb.TensorProto{Name: "half field", Dims: []int64{1}, DataType: kind(pb.TensorProto_FLOAT16), Int32Data: []int32{0xc000}},
		&pb.TensorProto{Name: "brain", Dims: []int64{1}, DataType: kind(pb.TensorProto_BFLOAT16), RawData: []byte("\x80\x3f")},
		&pb.TensorProto{Name: "brain field", Dims: []int64{1}, DataType: kind(pb.TensorProto_BFLOAT16), Int32Data: []int32{0x3f80}},
		&pb.TensorProto{Name: "double", DataType: kind(pb.TensorProto_DOUBLE), DoubleData: []float64{0.5}},
		&pb.TensorProto{Name: "raw double", DataType: kind(pb.TensorProto_DOUBLE), RawData: []byte("\x00\x00\x00\x00\x00\x00\xe0\x3f")},
		&pb.TensorProto{Name: "shape", Dims: []int64{2}, DataType: kind(pb.TensorProto_INT64), Int64Data: []int64{-1, 7}},
		&pb.TensorProto{Name: "raw shape", Dims: []int64{1}, DataType: kind(pb.TensorProto_INT64), RawData: bytes.Repeat([]byte{0xff}, 8)},
		&pb.TensorProto{Name: "ints", Dims: []int64{1}, DataType: kind(pb.TensorProto_INT32), Int32Data: []int32{5}},
		&pb.TensorProto{Name: "raw ints", Dims: []int64{1}, DataType: kind(pb.TensorProto_INT32), RawData: []byte{5, 0, 0, 0}},
		&pb.TensorProto{Name: "raw bytes", Dims: []int64{2}, DataType: kind(pb.TensorProto_INT8), RawData: []byte{0xff, 1}},
		&pb.TensorProto{Name: "flags", Dims: []int64{2}, DataType: kind(pb.TensorProto_BOOL), RawData: []byte{0, 1}},
		&pb.TensorProto{Name: "flag field", Dims: []int64{1}, DataType: kind(pb.TensorProto_UINT8), Int32Data: []int32{200}},
		&pb.TensorProto{Name: "none", Dims: []int64{0}, DataType: kind(pb.TensorProto_FLOAT)},
	)
	m, err := Read(iotest.HalfReader(bytes.NewReader(text)))
	if err != nil {
		t.Fatal(err)
	}
	want := []Tensor{
		{Name: "raw", Shape: []int{2}, F32: []float32{1, -2}},
		{Name: "floats", Shape: []int{1, 2}, F32: []float32{3, -4}},
		{Name: "half", Shape: []int{1}, F32: []float32{1}},
		{Name: "half field", Shape: []int{1}, F32: []float32{-2}},
		{Name: "brain", Shape: []int{1}, F32: []float32{1}},
		{Name: "brain field", Shape: []int{1}, F32: []float32{1}},
		{Name: "double", Shape: []int{}, F32: []float32{0.5}},
		{Name: "raw double", Shape: []int{}, F32: []float32{0.5}},
		{Name: "shape", Shape: []int{2}, I64: []int64{-1, 7}},
		{Name: "raw shape", Shape: []int{1}, I64: []int64{-1}},
		{Name: "ints", Shape: []int{1}, I32: []int32{5}},
		{Name: "raw ints", Shape: []int{1}, I32: []int32{5}},
		{Name: "raw bytes", Shape: []int{2}, I32: []int32{-1, 1}},
		{Name: "flags", Shape: []int{2}, U8: []byte{0, 1}},
		{Name: "flag field", Shape: []int{1}, U8: []byte{200}},
		{Name: "none", Shape: []int{0}, F32: []float32{}},
	}
	if diff := cmp.Diff(want, m.Tensors()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestReadRefuses(t *testing.T) {
	one := &pb.TensorProto{Name: "x", DataType: int32(pb.TensorProto_FLOAT), FloatData: []float32{1}}
	with := func(change func(*pb.TensorProto)) []byte {
		x := proto.CloneOf(one)
		change(x)
		return file(t, x)
	}
	none, err := proto.Marshal(&pb.ModelProto{Graph: &pb.GraphProto{}})
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		text []byte
		want string
	}{
		"empty":        {nil, "no graph"},
		"other file":   {[]byte("PK\x03\x04 a zip archive"), "cannot parse"},
		"cut":          {file(t, one)[:9], "cannot parse"},
		"no opset":     {none, "of which version"},
		"twice":        {file(t, one, one), `two initializers are named "x"`},
		"external":     {with(func(x *pb.TensorProto) { x.DataLocation = pb.TensorProto_EXTERNAL }), "kept in another file"},
		"strings":      {with(func(x *pb.TensorProto) { x.DataType = int32(pb.TensorProto_STRING) }), "type STRING"},
		"unknown type": {with(func(x *pb.TensorProto) { x.DataType = 99 }), "type 99"},
		"negative":     {with(func(x *pb.TensorProto) { x.Dims = []int64{-1} }), "shape [-1]"},
		"huge":         {with(func(x *pb.TensorProto) { x.Dims = []int64{math.MaxInt32, math.MaxInt32} }), "shape [2147483647 2147483647]"},
		"too few":      {with(func(x *pb.TensorProto) { x.Dims = []int64{2} }), "2 elements, but 1 values"},
		"raw size":     {with(func(x *pb.TensorProto) { x.RawData = []byte{1} }), "but 1 bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Read(bytes.NewReader(c.text))
			if !errors.Is(err, ErrFormat) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want ErrFormat with %q", err, c.want)
			}
		})
	}
}

func TestReaderErrorIsNotFormat(t *testing.T) {
	broken := errors.New("connection lost")
	_, err := Read(iotest.ErrReader(broken))
	if !errors.Is(err, broken) || errors.Is(err, ErrFormat) {
		t.Errorf("error %v, want the reader's", err)
	}
}
