package checkpoint

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
	"github.com/lockstep-ml/lockstep/internal/safetensors"
)

func sample(epoch, step int) *State {
	return &State{
		Cursor: Cursor{epoch, step},
		Job:    "sha256:1234",
		Tensors: []Tensor{
			{Name: "0.weight", Shape: []int{2, 2}, F32: []float32{1, 2, 3, float32(step)}},
			{Name: "exponents", Shape: []int{1}, I32: []int32{-7}},
			{Name: "mask", Shape: []int{3}, U8: []byte{1, 0, 1}},
		},
		Meta: map[string]string{"history": "[1,2]", "attempt": "0"},
	}
}

func encoded(t *testing.T, s *State) []byte {
	t.Helper()
	var b bytes.Buffer
	if _, _, err := Encode(&b, s); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestEncodeDecode(t *testing.T) {
	for name, s := range map[string]*State{
		"full":  sample(3, 42),
		"empty": {},
		"zero":  {Tensors: []Tensor{{Name: "none", Shape: []int{0}, F32: []float32{}}}},
	} {
		t.Run(name, func(t *testing.T) {
			var b bytes.Buffer
			digest, size, err := Encode(&b, s)
			if err != nil {
				t.Fatal(err)
			}
			if sum := sha256.Sum256(b.Bytes()); digest != hex.EncodeToString(sum[:]) || size != int64(b.Len()) {
				t.Errorf("Encode says %s, %d bytes; it wrote %x, %d", digest, size, sum, b.Len())
			}
			got, err := Decode(iotest.OneByteReader(bytes.NewReader(b.Bytes())))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(s.Tensors, got.Tensors, cmp.Transformer("nil", notNil)); diff != "" {
				t.Errorf("tensors (-want +got):\n%s", diff)
			}
			if got.Cursor != s.Cursor || got.Job != s.Job || !cmp.Equal(got.Meta, s.Meta) {
				t.Errorf("got %v %q %v, want %v %q %v", got.Cursor, got.Job, got.Meta, s.Cursor, s.Job, s.Meta)
			}
			if again := encoded(t, got); !bytes.Equal(again, b.Bytes()) {
				t.Error("the decoded state has other bytes")
			}
		})
	}
}

// notNil makes no difference between no tensors and none.
func notNil(ts []Tensor) map[string]Tensor {
	m := map[string]Tensor{}
	for _, t := range ts {
		m[t.Name] = t
	}
	return m
}

// A checkpoint is a safetensors file like any other.
func TestCheckpointIsSafetensors(t *testing.T) {
	tensors, metadata, err := safetensors.Read(bytes.NewReader(encoded(t, sample(1, 2))))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, t := range tensors {
		names = append(names, t.Name)
	}
	if want := []string{"0.weight", "exponents", "mask", "sha256"}; !slices.Equal(names, want) {
		t.Errorf("tensors %q, want %q", names, want)
	}
	want := map[string]string{"lockstep.checkpoint": "1", "epoch": "1", "step": "2", "job": "sha256:1234",
		"meta.history": "[1,2]", "meta.attempt": "0"}
	if diff := cmp.Diff(want, metadata); diff != "" {
		t.Errorf("metadata (-want +got):\n%s", diff)
	}
}

// Each of these damages is found, at every byte of the file.
func TestDamageAtEveryByte(t *testing.T) {
	text := encoded(t, sample(1, 2))
	for name, damage := range map[string]func([]byte, int) []byte{
		"cut":      func(b []byte, i int) []byte { return b[:i] },
		"flipped":  func(b []byte, i int) []byte { b[i] ^= 1; return b },
		"inserted": func(b []byte, i int) []byte { return slices.Insert(b, i, 0) },
		"removed":  func(b []byte, i int) []byte { return slices.Delete(b, i, i+1) },
		"zeroed": func(b []byte, i int) []byte { // a torn write: the rest of the file is zeros
			if allZero(b[i:]) {
				return b[:i]
			}
			clear(b[i:])
			return b
		},
	} {
		t.Run(name, func(t *testing.T) {
			for i := range text {
				_, err := Decode(bytes.NewReader(damage(bytes.Clone(text), i)))
				if !errors.Is(err, ErrCorrupt) {
					t.Fatalf("at byte %d of %d: error %v, want ErrCorrupt", i, len(text), err)
				}
			}
		})
	}
}

func allZero(b []byte) bool { return len(bytes.Trim(b, "\x00")) == 0 }

func TestDecodeRefuses(t *testing.T) {
	model := func() []byte {
		var b bytes.Buffer
		if err := safetensors.Write(&b, sample(0, 0).Tensors, nil); err != nil {
			t.Fatal(err)
		}
		return b.Bytes()
	}
	for name, c := range map[string]struct {
		text []byte
		want string
	}{
		"model":   {model(), "is this a model and not a checkpoint?"},
		"nothing": {nil, "ends inside the length"},
		"text":    {[]byte("name: digits\nseed: 1\n"), "the header has"},
		"cursor":  {sealed(t, map[string]string{keyVersion: "1", keyEpoch: "-1", keyStep: "0"}), `epoch "-1"`},
		"version": {sealed(t, map[string]string{keyVersion: "2", keyEpoch: "1", keyStep: "0"}), `version "2"`},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Decode(bytes.NewReader(c.text))
			if !errors.Is(err, ErrCorrupt) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want ErrCorrupt with %q", err, c.want)
			}
		})
	}
}

// sealed gives a file with a right seal and any metadata.
func sealed(t *testing.T, metadata map[string]string) []byte {
	t.Helper()
	seal := Tensor{Name: sealName, Shape: []int{sha256.Size}, U8: make([]byte, sha256.Size)}
	header, _, err := safetensors.Header([]Tensor{seal}, metadata)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(header)
	return append(header, sum[:]...)
}

func TestEncodeRefuses(t *testing.T) {
	s := sample(0, 0)
	s.Tensors = append(s.Tensors, Tensor{Name: sealName, Shape: []int{0}})
	var b bytes.Buffer
	if _, _, err := Encode(&b, s); err == nil || !strings.Contains(err.Error(), `two tensors are named "sha256"`) || b.Len() > 0 {
		t.Errorf("error %v, %d bytes written", err, b.Len())
	}
}

func TestReaderErrorIsNotCorruption(t *testing.T) {
	broken := errors.New("connection lost")
	_, err := Decode(iotest.ErrReader(broken))
	if !errors.Is(err, broken) || errors.Is(err, ErrCorrupt) {
		t.Errorf("error %v, want the reader's", err)
	}
}

func TestCursorBefore(t *testing.T) {
	order := []Cursor{{0, 0}, {0, 9}, {1, 0}, {1, 3}, {10, 0}}
	for i, a := range order {
		for j, b := range order {
			if a.Before(b) != (i < j) {
				t.Errorf("%v before %v is %v", a, b, a.Before(b))
			}
		}
	}
	if got := fmt.Sprint(Cursor{2, 17}); got != "epoch 2, step 17" {
		t.Errorf("String gives %q", got)
	}
}

func FuzzDecode(f *testing.F) {
	var b bytes.Buffer
	if _, _, err := Encode(&b, sample(1, 2)); err != nil {
		f.Fatal(err)
	}
	f.Add(b.Bytes())
	f.Fuzz(func(t *testing.T, text []byte) {
		if _, err := Decode(bytes.NewReader(text)); err != nil && !errors.Is(err, ErrCorrupt) {
			t.Errorf("error %v is not ErrCorrupt", err)
		}
	})
}
