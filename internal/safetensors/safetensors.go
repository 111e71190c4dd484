// Package safetensors reads and writes the safetensors format, the file form of
// weights that PyTorch, JAX and others share.
//
// # The format
//
//	8 bytes   n, the length of the header, little-endian
//	n bytes   the header, JSON, padded with blanks to a multiple of 8
//	the rest  the tensors' data, little-endian, row-major, without gaps
//
// The header maps each name to {"dtype", "shape", "data_offsets": [begin, end)},
// counted from the end of the header; the key __metadata__ maps words to words.
//
// # Bytes
//
// The bytes that Write produces follow from its arguments alone: metadata stands
// first and sorted, tensors follow in the order given, those with wider elements
// first so that each is aligned. Equal weights therefore have equal files.
//
// # Cost
//
// Writing needs a buffer of 64 KiB beside the header. Reading needs the memory
// of the tensors; a file that claims more than it has is found out before more
// than twice its true size is allocated.
package safetensors

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
)

// DType is the type of a tensor's elements as the format spells it.
type DType string

// The types this package reads. F16 and BF16 are widened to float32, which is
// exact, and are not written.
const (
	F32  DType = "F32"
	I32  DType = "I32"
	I64  DType = "I64"
	U8   DType = "U8"
	F16  DType = "F16"
	BF16 DType = "BF16"
)

// size returns the bytes of one element, 0 for a type that is not supported.
func (t DType) size() int {
	switch t {
	case I64:
		return 8
	case F32, I32:
		return 4
	case F16, BF16:
		return 2
	case U8:
		return 1
	}
	return 0
}

// Tensor is a named array. Exactly the slice of its type is set; all are nil if
// the shape has a 0 and the type is F32.
type Tensor struct {
	Name  string
	Shape []int // row-major; empty for a single number

	F32 []float32
	I32 []int32
	I64 []int64
	U8  []byte
}

// DType returns the type under which the tensor is written.
func (t Tensor) DType() DType {
	switch {
	case t.I32 != nil:
		return I32
	case t.I64 != nil:
		return I64
	case t.U8 != nil:
		return U8
	}
	return F32
}

// length returns the number of elements.
func (t Tensor) length() int {
	return len(t.F32) + len(t.I32) + len(t.I64) + len(t.U8)
}

// check returns an error if the tensor cannot be written.
func (t Tensor) check() error {
	if t.Name == "" || t.Name == metadataKey {
		return fmt.Errorf("a tensor must not be named %q", t.Name)
	}
	kinds := 0
	for _, set := range []bool{t.F32 != nil, t.I32 != nil, t.I64 != nil, t.U8 != nil} {
		if set {
			kinds++
		}
	}
	if kinds > 1 {
		return fmt.Errorf("tensor %q has elements of %d types", t.Name, kinds)
	}
	n, err := elements(t.Shape)
	if err != nil {
		return fmt.Errorf("tensor %q: %w", t.Name, err)
	}
	if n != int64(t.length()) {
		return fmt.Errorf("tensor %q has shape %v, %d elements, but %d values", t.Name, t.Shape, n, t.length())
	}
	return nil
}

// elements returns the number of elements of a shape.
func elements(shape []int) (int64, error) {
	n := int64(1)
	for _, d := range shape {
		if d < 0 {
			return 0, fmt.Errorf("shape %v has a negative size", shape)
		}
		if d > 0 && n > math.MaxInt64/16/int64(d) {
			return 0, fmt.Errorf("shape %v has too many elements", shape)
		}
		n *= int64(d)
	}
	return n, nil
}

// ErrFormat means that the bytes are not a safetensors file, or not a whole one.
// The caller must not use anything of it.
var ErrFormat = errors.New("not a valid safetensors file")

func malformed(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrFormat, fmt.Sprintf(format, args...))
}

// arranged returns the tensors in the order of the file: wider elements first,
// otherwise as given.
func arranged(tensors []Tensor) []Tensor {
	sorted := slices.Clone(tensors)
	slices.SortStableFunc(sorted, func(a, b Tensor) int { return b.DType().size() - a.DType().size() })
	return sorted
}

// duplicate returns a name that two tensors have, or "".
func duplicate(tensors []Tensor) string {
	names := make([]string, len(tensors))
	for i, t := range tensors {
		names[i] = t.Name
	}
	slices.SortFunc(names, strings.Compare)
	for i := 1; i < len(names); i++ {
		if names[i] == names[i-1] {
			return names[i]
		}
	}
	return ""
}
