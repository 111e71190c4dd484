package onnx

import (
	"encoding/binary"
	"math"

	"github.com/lockstep-ml/lockstep/internal/safetensors"
	pb "github.com/lockstep-ml/lockstep/proto/onnx"
)

// width is the bytes of an element in raw_data.
func width(t pb.TensorProto_DataType) int {
	switch t {
	case pb.TensorProto_UINT8, pb.TensorProto_INT8, pb.TensorProto_BOOL:
		return 1
	case pb.TensorProto_FLOAT16, pb.TensorProto_BFLOAT16:
		return 2
	case pb.TensorProto_FLOAT, pb.TensorProto_INT32:
		return 4
	case pb.TensorProto_INT64, pb.TensorProto_DOUBLE:
		return 8
	}
	return 0
}

// decode checks a tensor and widens its elements.
func decode(t *pb.TensorProto) (Tensor, error) {
	kind := pb.TensorProto_DataType(t.GetDataType())
	out := Tensor{Name: t.GetName(), Shape: []int{}}
	if t.GetDataLocation() == pb.TensorProto_EXTERNAL {
		return out, malformed("tensor %q is kept in another file; save the model as one file", out.Name)
	}
	if width(kind) == 0 {
		return out, malformed("tensor %q is of type %v, which no layer uses", out.Name, kind)
	}
	n := 1
	for _, d := range t.GetDims() {
		if d < 0 || d > 0 && int64(n) > MaxBytes/d {
			return out, malformed("tensor %q has shape %v", out.Name, t.GetDims())
		}
		n *= int(d)
		out.Shape = append(out.Shape, int(d))
	}
	if raw := t.GetRawData(); len(raw) > 0 {
		if len(raw) != n*width(kind) {
			return out, malformed("tensor %q has shape %v of %v, but %d bytes", out.Name, t.GetDims(), kind, len(raw))
		}
		fromRaw(&out, kind, raw, n)
		return out, nil
	}
	if got := fromFields(&out, kind, t); got != n {
		return out, malformed("tensor %q has shape %v, %d elements, but %d values", out.Name, t.GetDims(), n, got)
	}
	return out, nil
}

// fromRaw converts n little-endian elements.
func fromRaw(out *Tensor, kind pb.TensorProto_DataType, raw []byte, n int) {
	le := binary.LittleEndian
	switch kind {
	case pb.TensorProto_INT64:
		out.I64 = fill(n, func(i int) int64 { return int64(le.Uint64(raw[8*i:])) })
	case pb.TensorProto_INT32:
		out.I32 = fill(n, func(i int) int32 { return int32(le.Uint32(raw[4*i:])) })
	case pb.TensorProto_INT8:
		out.I32 = fill(n, func(i int) int32 { return int32(int8(raw[i])) })
	case pb.TensorProto_UINT8, pb.TensorProto_BOOL:
		out.U8 = fill(n, func(i int) byte { return raw[i] })
	case pb.TensorProto_DOUBLE:
		out.F32 = fill(n, func(i int) float32 { return float32(math.Float64frombits(le.Uint64(raw[8*i:]))) })
	case pb.TensorProto_FLOAT16:
		out.F32 = fill(n, func(i int) float32 { return safetensors.Half(le.Uint16(raw[2*i:])) })
	case pb.TensorProto_BFLOAT16:
		out.F32 = fill(n, func(i int) float32 { return math.Float32frombits(uint32(le.Uint16(raw[2*i:])) << 16) })
	default:
		out.F32 = fill(n, func(i int) float32 { return math.Float32frombits(le.Uint32(raw[4*i:])) })
	}
}

// fromFields converts the elements of the field of the type and returns how many
// there are.
func fromFields(out *Tensor, kind pb.TensorProto_DataType, t *pb.TensorProto) int {
	ints := t.GetInt32Data() // also narrower types stand here
	switch kind {
	case pb.TensorProto_INT64:
		out.I64 = append([]int64{}, t.GetInt64Data()...)
		return len(out.I64)
	case pb.TensorProto_INT32, pb.TensorProto_INT8:
		out.I32 = append([]int32{}, ints...)
	case pb.TensorProto_UINT8, pb.TensorProto_BOOL:
		out.U8 = fill(len(ints), func(i int) byte { return byte(ints[i]) })
	case pb.TensorProto_DOUBLE:
		out.F32 = fill(len(t.GetDoubleData()), func(i int) float32 { return float32(t.GetDoubleData()[i]) })
		return len(out.F32)
	case pb.TensorProto_FLOAT16:
		out.F32 = fill(len(ints), func(i int) float32 { return safetensors.Half(uint16(ints[i])) })
	case pb.TensorProto_BFLOAT16:
		out.F32 = fill(len(ints), func(i int) float32 { return math.Float32frombits(uint32(ints[i]) << 16) })
	default:
		out.F32 = append([]float32{}, t.GetFloatData()...)
		return len(out.F32)
	}
	return len(ints)
}

func fill[T any](n int, at func(int) T) []T {
	s := make([]T, n)
	for i := range s {
		s[i] = at(i)
	}
	return s
}
