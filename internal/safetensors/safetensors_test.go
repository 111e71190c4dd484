package safetensors

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"math"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
	"github.com/x448/float16"
)

func sample() ([]Tensor, map[string]string) {
	return []Tensor{
		{Name: "b", Shape: []int{2}, U8: []byte{1, 2}},
		{Name: "0.weight", Shape: []int{2, 3}, F32: []float32{1, 2, 3, -4, 0.5, float32(math.Inf(1))}},
		{Name: "steps", Shape: []int{}, I64: []int64{-7}},
		{Name: "exponents", Shape: []int{3}, I32: []int32{1, -2, 3}},
		{Name: "empty", Shape: []int{0, 4}, F32: []float32{}},
	}, map[string]string{"z": "last", "a": `quote " < é`}
}

// file builds a file of any header.
func file(header, data string) []byte {
	b := binary.LittleEndian.AppendUint64(nil, uint64(len(header)))
	return append(append(b, header...), data...)
}

func encode(t *testing.T, tensors []Tensor, metadata map[string]string) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := Write(&b, tensors, metadata); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// The layout is checked byte by byte: it is what other programs read.
func TestLayout(t *testing.T) {
	tensors, metadata := sample()
	got := encode(t, tensors, metadata)
	header := `{"__metadata__":{"a":"quote \" < é","z":"last"},` +
		`"steps":{"dtype":"I64","shape":[],"data_offsets":[0,8]},` +
		`"0.weight":{"dtype":"F32","shape":[2,3],"data_offsets":[8,32]},` +
		`"exponents":{"dtype":"I32","shape":[3],"data_offsets":[32,44]},` +
		`"empty":{"dtype":"F32","shape":[0,4],"data_offsets":[44,44]},` +
		`"b":{"dtype":"U8","shape":[2],"data_offsets":[44,46]}}`
	header += strings.Repeat(" ", (8-len(header)%8)%8)
	data := "\xf9\xff\xff\xff\xff\xff\xff\xff" +
		"\x00\x00\x80\x3f\x00\x00\x00\x40\x00\x00\x40\x40\x00\x00\x80\xc0\x00\x00\x00\x3f\x00\x00\x80\x7f" +
		"\x01\x00\x00\x00\xfe\xff\xff\xff\x03\x00\x00\x00" + "\x01\x02"
	if diff := cmp.Diff(string(file(header, data)), string(got)); diff != "" {
		t.Errorf("file (-want +got):\n%s", diff)
	}
}

func TestRoundTrip(t *testing.T) {
	tensors, metadata := sample()
	long := make([]float32, bufferBytes/4*2+5) // crosses the write buffer
	for i := range long {
		long[i] = float32(i) / 7
	}
	tensors = append(tensors, Tensor{Name: "long", Shape: []int{len(long)}, F32: long})
	text := encode(t, tensors, metadata)
	got, gotMetadata, err := Read(iotest.HalfReader(bytes.NewReader(text)))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(arranged(tensors), got); diff != "" {
		t.Errorf("tensors (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(metadata, gotMetadata); diff != "" {
		t.Errorf("metadata (-want +got):\n%s", diff)
	}
}

func TestWriteRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		tensors []Tensor
		want    string
	}{
		"shape":     {[]Tensor{{Name: "x", Shape: []int{2}, F32: []float32{1}}}, "2 elements, but 1 values"},
		"duplicate": {[]Tensor{{Name: "x", Shape: []int{0}}, {Name: "x", Shape: []int{0}}}, `two tensors are named "x"`},
		"reserved":  {[]Tensor{{Name: "__metadata__", Shape: []int{0}}}, "must not be named"},
		"negative":  {[]Tensor{{Name: "x", Shape: []int{-1}}}, "negative"},
		"huge":      {[]Tensor{{Name: "x", Shape: []int{1 << 62, 1 << 62}}}, "too many"},
		"two types": {[]Tensor{{Name: "x", Shape: []int{1}, F32: []float32{1}, I32: []int32{}}}, "2 types"},
		"not UTF-8": {[]Tensor{{Name: "\xff", Shape: []int{0}}}, "UTF-8"},
	} {
		t.Run(name, func(t *testing.T) {
			var b bytes.Buffer
			err := Write(&b, c.tensors, nil)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want %q", err, c.want)
			}
			if b.Len() > 0 {
				t.Errorf("%d bytes were written", b.Len())
			}
		})
	}
}

func TestReadRefuses(t *testing.T) {
	huge := binary.LittleEndian.AppendUint64(nil, math.MaxUint64)
	const x = `"x":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}`
	for name, c := range map[string]struct {
		text []byte
		want string
	}{
		"empty":           {nil, "ends inside the length"},
		"huge header":     {append(huge, "{}"...), "expected 2 to 100000000"},
		"missing header":  {binary.LittleEndian.AppendUint64(nil, 90_000_000), "after 0 of 90000000"},
		"not an object":   {file(`[]`, ""), "does not begin with {"},
		"bad JSON":        {file(`{"x":}`, ""), "not JSON"},
		"unclosed":        {file(`{`+x, "1234"), "not JSON"},
		"two values":      {file(`{} {}`, ""), "more than one JSON value"},
		"same name":       {file(`{`+x+`,`+x+`}`, "1234"), "twice"},
		"unknown field":   {file(`{"x":{"dtype":"F32","shape":[1],"data_offsets":[0,4],"y":1}}`, "1234"), `unknown field "y"`},
		"no dtype":        {file(`{"x":{"shape":[1],"data_offsets":[0,4]}}`, "1234"), "lacks dtype"},
		"no shape":        {file(`{"x":{"dtype":"F32","shape":null,"data_offsets":[0,4]}}`, "1234"), "lacks dtype, shape"},
		"type":            {file(`{"x":{"dtype":"F64","shape":[1],"data_offsets":[0,8]}}`, "12345678"), `type "F64"`},
		"negative size":   {file(`{"x":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}}`, "1234"), "negative"},
		"fraction":        {file(`{"x":{"dtype":"F32","shape":[1.5],"data_offsets":[0,4]}}`, "1234"), `"x"`},
		"size":            {file(`{"x":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}}`, "1234"), "8 bytes, but data_offsets [0, 4]"},
		"backwards":       {file(`{"x":{"dtype":"F32","shape":[1],"data_offsets":[4,0]}}`, "1234"), "data_offsets [4, 0]"},
		"overlap":         {file(`{`+x+`,"y":{"dtype":"F32","shape":[1],"data_offsets":[2,6]}}`, "123456"), "begins at 2"},
		"same place":      {file(`{`+x+`,"y":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}`, "1234"), "begins at 0"},
		"gap":             {file(`{"x":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}`, "12345678"), "begins at 4"},
		"left over":       {file(`{`+x+`}`, "12345"), "bytes follow"},
		"claims too much": {file(`{"x":{"dtype":"U8","shape":[4611686018427387],"data_offsets":[0,4611686018427387]}}`, "1"), "ends inside"},
		"metadata":        {file(`{"__metadata__":{"a":1}}`, ""), "not text"},
		"null metadata":   {file(`{"__metadata__":{"a":null}}`, ""), "not text"},
	} {
		t.Run(name, func(t *testing.T) {
			_, _, err := Read(bytes.NewReader(c.text))
			if !errors.Is(err, ErrFormat) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want ErrFormat with %q", err, c.want)
			}
		})
	}
}

func TestTruncatedAtEveryByte(t *testing.T) {
	tensors, metadata := sample()
	text := encode(t, tensors, metadata)
	for n := range text {
		if _, _, err := Read(bytes.NewReader(text[:n])); !errors.Is(err, ErrFormat) {
			t.Errorf("%d of %d bytes: error %v, want ErrFormat", n, len(text), err)
		}
	}
}

func TestReaderErrorIsNotFormat(t *testing.T) {
	broken := errors.New("connection lost")
	tensors, _ := sample()
	text := encode(t, tensors, nil)
	for _, n := range []int{0, 8, 40, len(text) - 3, len(text)} {
		r := iotest.ErrReader(broken)
		_, _, err := Read(io.MultiReader(bytes.NewReader(text[:n]), r))
		if !errors.Is(err, broken) || errors.Is(err, ErrFormat) {
			t.Errorf("after %d bytes: error %v, want the reader's", n, err)
		}
	}
}

// All 65,536 half precision numbers widen as the independent library widens them.
func TestHalf(t *testing.T) {
	for i := range 1 << 16 {
		want := float16.Frombits(uint16(i)).Float32()
		got := Half(uint16(i))
		if math.IsNaN(float64(want)) && math.IsNaN(float64(got)) {
			continue
		}
		if math.Float32bits(got) != math.Float32bits(want) {
			t.Fatalf("Half(%#04x) = %v, want %v", i, got, want)
		}
	}
}

func TestReadNarrowFloats(t *testing.T) {
	text := file(`{"h":{"dtype":"F16","shape":[2],"data_offsets":[0,4]},"b":{"dtype":"BF16","shape":[1],"data_offsets":[4,6]}}`,
		"\x00\x3c\x00\xc0"+"\x80\x3f")
	got, _, err := Read(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	want := []Tensor{{Name: "h", Shape: []int{2}, F32: []float32{1, -2}}, {Name: "b", Shape: []int{1}, F32: []float32{1}}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// Whatever is read can be written, and is then read alike.
func FuzzRead(f *testing.F) {
	tensors, metadata := sample()
	var b bytes.Buffer
	if err := Write(&b, tensors, metadata); err != nil {
		f.Fatal(err)
	}
	f.Add(b.Bytes())
	f.Add(file(`{"x":{"dtype":"F16","shape":[2],"data_offsets":[0,4]}}`, "1234"))
	f.Add(file(`{"x":{"dtype":"U8","shape":[99999999999],"data_offsets":[0,99999999999]}}`, "1234"))
	f.Fuzz(func(t *testing.T, text []byte) {
		tensors, metadata, err := Read(bytes.NewReader(text))
		if err != nil {
			if !errors.Is(err, ErrFormat) {
				t.Errorf("error %v is not ErrFormat", err)
			}
			return
		}
		again := encode(t, tensors, metadata)
		tensors2, metadata2, err := Read(bytes.NewReader(again))
		if err != nil {
			t.Fatalf("what was written is not read: %v", err)
		}
		if !bytes.Equal(again, encode(t, tensors2, metadata2)) {
			t.Error("a second round gives other bytes")
		}
	})
}
