package onnx

import (
	"errors"
	"fmt"
	"io"

	"google.golang.org/protobuf/proto"

	"github.com/lockstep-ml/lockstep/internal/safetensors"
	pb "github.com/lockstep-ml/lockstep/proto/onnx"
)

// ErrFormat means that the bytes are not an ONNX file, or not a whole one, or
// one that holds what is not supported. The caller must not use anything of it.
var ErrFormat = errors.New("not a usable ONNX file")

func malformed(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrFormat, fmt.Sprintf(format, args...))
}

// MaxBytes is the size of the largest file, that of the format itself.
const MaxBytes = 1<<31 - 1

// Tensor is a named array, as in a model file. Half precision and double
// numbers become float32.
type Tensor = safetensors.Tensor

// Model is a file that was read.
type Model struct {
	graph   *pb.GraphProto
	opset   int64
	tensors []Tensor
}

// Read reads a file. Data of a tensor that stand in another file, beside it, are
// not supported. The error wraps ErrFormat unless it is the reader's.
func Read(r io.Reader) (*Model, error) {
	data, err := io.ReadAll(io.LimitReader(r, MaxBytes+1))
	if err != nil {
		return nil, fmt.Errorf("reading ONNX: %w", err)
	}
	if len(data) > MaxBytes {
		return nil, malformed("it is larger than %d bytes", MaxBytes)
	}
	var file pb.ModelProto
	if err := (proto.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(data, &file); err != nil {
		return nil, malformed("%v", err)
	}
	m := &Model{graph: file.GetGraph()}
	for _, set := range file.GetOpsetImport() {
		if set.GetDomain() == "" || set.GetDomain() == "ai.onnx" {
			m.opset = set.GetVersion()
		}
	}
	switch {
	case m.graph == nil:
		return nil, malformed("it holds no graph")
	case m.opset < 1:
		return nil, malformed("it does not say of which version its operators are")
	}
	seen := map[string]bool{}
	for _, t := range m.graph.GetInitializer() {
		if seen[t.GetName()] {
			return nil, malformed("two initializers are named %q", t.GetName())
		}
		seen[t.GetName()] = true
		tensor, err := decode(t)
		if err != nil {
			return nil, err
		}
		m.tensors = append(m.tensors, tensor)
	}
	return m, nil
}

// Tensors are the initializers with the names, the shapes and the order of the
// file. Those that are weights of a layer have the layout of the operator, which
// is ours for Conv and ConvTranspose, for Gemm with transB, for embeddings
// (Gather) and for normalisations; MatMul has (inputs, outputs). The slices are
// the model's.
func (m *Model) Tensors() []Tensor { return m.tensors }
