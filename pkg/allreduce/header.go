package allreduce

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// ErrFrame means that bytes which came from a neighbour are not the segment
// that is due: garbage, another generation, or a rank that has lost step. The
// ring can not be used any more.
var ErrFrame = errors.New("not the segment that is due")

// Kind is the type of the numbers in a segment.
type Kind uint32

// The kinds of numbers.
const (
	Int32   Kind = 1
	Float32 Kind = 2
)

// String returns the name of the Go type.
func (k Kind) String() string {
	switch k {
	case Int32:
		return "int32"
	case Float32:
		return "float32"
	}
	return fmt.Sprintf("kind %d", uint32(k))
}

// Header stands before the numbers of every segment.
type Header struct {
	Generation uint64 // of the sender
	Operation  uint64 // how many operations the sender did before, in this generation
	Elements   uint64 // length of the whole vector that is summed
	Kind       Kind   // of its numbers
	Block      uint32 // 0 <= Block < blocks of the vector
	Round      uint32 // 0 <= Round < 2*(size-1)
	Segment    uint32 // 0 <= Segment < segments per chunk
	Bytes      uint32 // of the payload
}

// HeaderSize is the length of an encoded Header in bytes.
const HeaderSize = 48

// magic begins every frame, and names its version.
const magic = 0x4c4b5331 // "LKS1"

// Put encodes h into the first HeaderSize bytes of b.
func (h Header) Put(b []byte) {
	_ = b[HeaderSize-1]
	le := binary.LittleEndian
	le.PutUint32(b[0:], magic)
	le.PutUint64(b[4:], h.Generation)
	le.PutUint64(b[12:], h.Operation)
	le.PutUint64(b[20:], h.Elements)
	le.PutUint32(b[28:], uint32(h.Kind))
	le.PutUint32(b[32:], h.Block)
	le.PutUint32(b[36:], h.Round)
	le.PutUint32(b[40:], h.Segment)
	le.PutUint32(b[44:], h.Bytes)
}

// ParseHeader decodes the header of a frame of size bytes, which begins with b.
// Errors are ErrFrame.
func ParseHeader(b []byte, size int) (Header, error) {
	if len(b) < HeaderSize || size < HeaderSize {
		return Header{}, fmt.Errorf("%w: a frame of %d bytes is shorter than its header of %d", ErrFrame, min(size, len(b)), HeaderSize)
	}
	le := binary.LittleEndian
	if m := le.Uint32(b); m != magic {
		return Header{}, fmt.Errorf("%w: the frame begins with %#08x, a frame of this version with %#08x: run the same version on every worker", ErrFrame, m, magic)
	}
	h := Header{
		Generation: le.Uint64(b[4:]),
		Operation:  le.Uint64(b[12:]),
		Elements:   le.Uint64(b[20:]),
		Kind:       Kind(le.Uint32(b[28:])),
		Block:      le.Uint32(b[32:]),
		Round:      le.Uint32(b[36:]),
		Segment:    le.Uint32(b[40:]),
		Bytes:      le.Uint32(b[44:]),
	}
	if int64(h.Bytes) != int64(size-HeaderSize) {
		return Header{}, fmt.Errorf("%w: the header says %d bytes of numbers, %d came", ErrFrame, h.Bytes, size-HeaderSize)
	}
	return h, nil
}

// match says what is wrong with a received header, the most telling first. It
// returns nil if got is want.
func match(got, want Header) error {
	if got == want {
		return nil
	}
	say := func(what string, got, want any) error {
		return fmt.Errorf("%w: %s %v, want %v", ErrFrame, what, got, want)
	}
	switch {
	case got.Generation != want.Generation:
		return say("generation", got.Generation, want.Generation)
	case got.Operation != want.Operation:
		return say("operation", got.Operation, want.Operation)
	case got.Kind != want.Kind:
		return say("a sum of", got.Kind, want.Kind)
	case got.Elements != want.Elements:
		return say("vector length", got.Elements, want.Elements)
	case got.Block != want.Block:
		return say("block", got.Block, want.Block)
	case got.Round != want.Round:
		return say("round", got.Round, want.Round)
	case got.Segment != want.Segment:
		return say("segment", got.Segment, want.Segment)
	}
	return say("payload bytes", got.Bytes, want.Bytes)
}
