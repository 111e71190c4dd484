package safetensors

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"unicode/utf8"
)

const metadataKey = "__metadata__"

// Write writes a whole file. It returns an error if the tensors are not
// consistent, before anything is written, or if w does.
func Write(w io.Writer, tensors []Tensor, metadata map[string]string) error {
	header, sorted, err := Header(tensors, metadata)
	if err != nil {
		return err
	}
	if _, err := w.Write(header); err != nil {
		return err
	}
	for _, t := range sorted {
		if err := WriteData(w, t); err != nil {
			return err
		}
	}
	return nil
}

// Header returns the bytes that precede the data, and the tensors in the order
// in which WriteData must follow for each.
func Header(tensors []Tensor, metadata map[string]string) ([]byte, []Tensor, error) {
	for _, t := range tensors {
		if err := t.check(); err != nil {
			return nil, nil, err
		}
		if !utf8.ValidString(t.Name) {
			return nil, nil, fmt.Errorf("tensor name %q is not UTF-8", t.Name)
		}
	}
	if name := duplicate(tensors); name != "" {
		return nil, nil, fmt.Errorf("two tensors are named %q", name)
	}
	sorted := arranged(tensors)
	b := bytes.NewBuffer(make([]byte, 8, 1024))
	b.WriteByte('{')
	if len(metadata) > 0 {
		writeMetadata(b, metadata)
	}
	offset := int64(0)
	for i, t := range sorted {
		if i > 0 || len(metadata) > 0 {
			b.WriteByte(',')
		}
		end := offset + int64(t.length())*int64(t.DType().size())
		writeString(b, t.Name)
		fmt.Fprintf(b, `:{"dtype":%q,"shape":[`, string(t.DType()))
		for j, d := range t.Shape {
			if j > 0 {
				b.WriteByte(',')
			}
			fmt.Fprintf(b, "%d", d)
		}
		fmt.Fprintf(b, `],"data_offsets":[%d,%d]}`, offset, end)
		offset = end
	}
	b.WriteByte('}')
	for b.Len()%8 != 0 {
		b.WriteByte(' ')
	}
	binary.LittleEndian.PutUint64(b.Bytes(), uint64(b.Len()-8))
	return b.Bytes(), sorted, nil
}

func writeMetadata(b *bytes.Buffer, metadata map[string]string) {
	writeString(b, metadataKey)
	b.WriteString(":{")
	for i, key := range slices.Sorted(maps.Keys(metadata)) {
		if i > 0 {
			b.WriteByte(',')
		}
		writeString(b, key)
		b.WriteByte(':')
		writeString(b, metadata[key])
	}
	b.WriteByte('}')
}

// writeString writes s as JSON; what is not UTF-8 becomes U+FFFD.
func writeString(b *bytes.Buffer, s string) {
	e := json.NewEncoder(b)
	e.SetEscapeHTML(false)
	if e.Encode(s) == nil { // a string always encodes
		b.Truncate(b.Len() - 1) // the newline that Encode adds
	}
}

// WriteData writes the elements of t, little-endian.
func WriteData(w io.Writer, t Tensor) error {
	if t.U8 != nil {
		_, err := w.Write(t.U8)
		return err
	}
	buf := make([]byte, 0, min(t.length()*t.DType().size(), bufferBytes))
	for i := range t.length() {
		switch {
		case t.F32 != nil:
			buf = binary.LittleEndian.AppendUint32(buf, math.Float32bits(t.F32[i]))
		case t.I32 != nil:
			buf = binary.LittleEndian.AppendUint32(buf, uint32(t.I32[i]))
		default:
			buf = binary.LittleEndian.AppendUint64(buf, uint64(t.I64[i]))
		}
		if len(buf)+8 > bufferBytes {
			if _, err := w.Write(buf); err != nil {
				return err
			}
			buf = buf[:0]
		}
	}
	_, err := w.Write(buf)
	return err
}

// bufferBytes is how much is converted before it is written.
const bufferBytes = 64 << 10
