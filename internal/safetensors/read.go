package safetensors

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
)

// maxHeader is the longest header that is read, as in the reference reader.
const maxHeader = 100_000_000

// Read reads a whole file, and returns the tensors in the order of their data.
// F16 and BF16 arrive as float32. It reads r to its end and returns an error that
// wraps ErrFormat if the bytes are not exactly one file: a part missing, bytes
// left over, overlaps, gaps, names given twice, sizes that do not agree. Errors
// of r are returned wrapped.
func Read(r io.Reader) ([]Tensor, map[string]string, error) {
	infos, metadata, err := readHeader(r)
	if err != nil {
		return nil, nil, err
	}
	tensors := make([]Tensor, len(infos))
	for i, info := range infos {
		if tensors[i], err = info.read(r); err != nil {
			return nil, nil, err
		}
	}
	switch n, err := io.ReadFull(r, make([]byte, 1)); {
	case n > 0:
		return nil, nil, malformed("bytes follow the last tensor")
	case !errors.Is(err, io.EOF):
		return nil, nil, fmt.Errorf("reading safetensors: %w", err)
	}
	return tensors, metadata, nil
}

// info is one entry of the header.
type info struct {
	name       string
	dtype      DType
	shape      []int
	begin, end int64
}

func readHeader(r io.Reader) ([]info, map[string]string, error) {
	var length [8]byte
	if err := readFull(r, length[:], "the length of the header"); err != nil {
		return nil, nil, err
	}
	n := binary.LittleEndian.Uint64(length[:])
	if n < 2 || n > maxHeader {
		return nil, nil, malformed("the header has %d bytes; expected 2 to %d", n, maxHeader)
	}
	// The buffer grows with what is there, not with what is claimed.
	text, err := io.ReadAll(io.LimitReader(r, int64(n)))
	if err != nil {
		return nil, nil, fmt.Errorf("reading safetensors: %w", err)
	}
	if uint64(len(text)) < n {
		return nil, nil, malformed("it ends inside the header, after %d of %d bytes", len(text), n)
	}
	if text[0] != '{' {
		return nil, nil, malformed("the header does not begin with {")
	}
	return parseHeader(text)
}

// parseHeader reads the JSON and checks that the data has no gaps or overlaps.
func parseHeader(text []byte) ([]info, map[string]string, error) {
	entries, err := object(text)
	if err != nil {
		return nil, nil, err
	}
	var infos []info
	var metadata map[string]string
	for _, e := range entries {
		if e.key == metadataKey {
			if metadata, err = parseMetadata(e.value); err != nil {
				return nil, nil, err
			}
			continue
		}
		in, err := parseInfo(e.key, e.value)
		if err != nil {
			return nil, nil, err
		}
		infos = append(infos, in)
	}
	slices.SortStableFunc(infos, func(a, b info) int {
		if a.begin != b.begin {
			return compare(a.begin, b.begin)
		}
		return compare(a.end, b.end)
	})
	offset := int64(0)
	for _, in := range infos {
		if in.begin != offset {
			return nil, nil, malformed("tensor %q begins at %d, but the data before it ends at %d", in.name, in.begin, offset)
		}
		offset = in.end
	}
	return infos, metadata, nil
}

func compare(a, b int64) int {
	if a < b {
		return -1
	}
	return 1
}

// member is one "key: value" of a JSON object.
type member struct {
	key   string
	value json.RawMessage
}

// object splits a JSON object into its members, in order. Unlike a map it
// finds keys that are given twice.
func object(text []byte) ([]member, error) {
	d := json.NewDecoder(bytes.NewReader(text))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return nil, malformed("expected a JSON object in the header")
	}
	var members []member
	seen := map[string]bool{}
	for d.More() {
		t, err := d.Token()
		key, ok := t.(string)
		if err != nil || !ok {
			return nil, malformed("the header is not JSON: %v", err)
		}
		if seen[key] {
			return nil, malformed("%q is in the header twice", key)
		}
		seen[key] = true
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			return nil, malformed("the header is not JSON: %v", err)
		}
		members = append(members, member{key, value})
	}
	if _, err := d.Token(); err != nil {
		return nil, malformed("the header is not JSON: %v", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, malformed("the header has more than one JSON value")
	}
	return members, nil
}

func parseMetadata(value json.RawMessage) (map[string]string, error) {
	members, err := object(value)
	if err != nil {
		return nil, err
	}
	metadata := make(map[string]string, len(members))
	for _, m := range members {
		var s *string
		if err := json.Unmarshal(m.value, &s); err != nil || s == nil {
			return nil, malformed("metadata %q is not text", m.key)
		}
		metadata[m.key] = *s
	}
	return metadata, nil
}

func parseInfo(name string, value json.RawMessage) (info, error) {
	in := info{name: name}
	if name == "" {
		return in, malformed("a tensor has no name")
	}
	members, err := object(value)
	if err != nil {
		return in, err
	}
	var offsets []int64
	var dtype *DType
	var shape []int
	for _, m := range members {
		var target any
		switch m.key {
		case "dtype":
			target = &dtype
		case "shape":
			target = &shape
		case "data_offsets":
			target = &offsets
		default:
			return in, malformed("tensor %q has an unknown field %q", name, m.key)
		}
		if err := json.Unmarshal(m.value, target); err != nil {
			return in, malformed("tensor %q: %v", name, err)
		}
	}
	if dtype == nil || shape == nil || len(offsets) != 2 {
		return in, malformed("tensor %q lacks dtype, shape or two data_offsets", name)
	}
	in.dtype, in.shape, in.begin, in.end = *dtype, shape, offsets[0], offsets[1]
	return in, in.check()
}

// check compares type, shape and offsets with each other.
func (in info) check() error {
	size := int64(in.dtype.size())
	if size == 0 {
		return malformed("tensor %q has type %q; supported are F32, I32, I64, U8, F16 and BF16", in.name, in.dtype)
	}
	n, err := elements(in.shape)
	if err != nil {
		return malformed("tensor %q: %v", in.name, err)
	}
	if in.begin < 0 || in.end < in.begin || in.end-in.begin != n*size {
		return malformed("tensor %q has shape %v of %s, %d bytes, but data_offsets [%d, %d]",
			in.name, in.shape, in.dtype, n*size, in.begin, in.end)
	}
	return nil
}

// read reads the elements. Memory is taken as data arrives.
func (in info) read(r io.Reader) (Tensor, error) {
	t := Tensor{Name: in.name, Shape: in.shape}
	n := int(in.end-in.begin) / in.dtype.size()
	first := min(n, growElements)
	switch in.dtype {
	case I32:
		t.I32 = make([]int32, 0, first)
	case I64:
		t.I64 = make([]int64, 0, first)
	case U8:
		t.U8 = make([]byte, 0, first)
	default:
		t.F32 = make([]float32, 0, first)
	}
	buf := make([]byte, min(in.end-in.begin, bufferBytes))
	for left := in.end - in.begin; left > 0; left -= int64(len(buf)) {
		buf = buf[:min(left, bufferBytes)]
		if err := readFull(r, buf, fmt.Sprintf("tensor %q", in.name)); err != nil {
			return Tensor{}, err
		}
		in.append(&t, buf)
	}
	return t, nil
}

// growElements is the room that a tensor gets before any of its data was seen.
const growElements = 1 << 20

// append converts whole elements.
func (in info) append(t *Tensor, data []byte) {
	le := binary.LittleEndian
	switch in.dtype {
	case U8:
		t.U8 = append(t.U8, data...)
	case I64:
		for ; len(data) > 0; data = data[8:] {
			t.I64 = append(t.I64, int64(le.Uint64(data)))
		}
	case I32:
		for ; len(data) > 0; data = data[4:] {
			t.I32 = append(t.I32, int32(le.Uint32(data)))
		}
	case F32:
		for ; len(data) > 0; data = data[4:] {
			t.F32 = append(t.F32, math.Float32frombits(le.Uint32(data)))
		}
	case BF16:
		for ; len(data) > 0; data = data[2:] {
			t.F32 = append(t.F32, math.Float32frombits(uint32(le.Uint16(data))<<16))
		}
	case F16:
		for ; len(data) > 0; data = data[2:] {
			t.F32 = append(t.F32, Half(le.Uint16(data)))
		}
	}
}

// Half widens an IEEE 754 half precision number; the result is exact.
func Half(h uint16) float32 {
	sign, exponent, fraction := uint32(h>>15)<<31, uint32(h>>10&31), uint32(h&1023)
	switch exponent {
	case 0: // zero or subnormal: fraction * 2^-24
		return math.Float32frombits(sign | math.Float32bits(float32(fraction)*0x1p-24))
	case 31: // infinity or NaN
		return math.Float32frombits(sign | 0xff<<23 | fraction<<13)
	}
	return math.Float32frombits(sign | (exponent+112)<<23 | fraction<<13)
}

func readFull(r io.Reader, buf []byte, what string) error {
	n, err := io.ReadFull(r, buf)
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return malformed("it ends inside %s, %d bytes early", what, len(buf)-n)
	}
	if err != nil {
		return fmt.Errorf("reading safetensors: %w", err)
	}
	return nil
}
