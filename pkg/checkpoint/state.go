package checkpoint

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"strconv"
	"strings"

	"github.com/lockstep-ml/lockstep/internal/safetensors"
)

// Tensor is a named array of float32, int32, int64 or bytes.
type Tensor = safetensors.Tensor

// Cursor says how far a job is: steps [0, Step) of Epoch are done.
type Cursor struct{ Epoch, Step int }

// Before reports whether c is earlier than d.
func (c Cursor) Before(d Cursor) bool {
	return c.Epoch < d.Epoch || c.Epoch == d.Epoch && c.Step < d.Step
}

// String gives "epoch 2, step 17".
func (c Cursor) String() string { return fmt.Sprintf("epoch %d, step %d", c.Epoch, c.Step) }

// State is the training state of a job between two steps.
type State struct {
	Cursor Cursor
	// Job is a digest of what the state belongs to; whoever loads a state must
	// compare it, for a state of another job may have tensors of the same shapes.
	Job string
	// Tensors are the parameters and all else that training changes, in a fixed
	// order. The name "sha256" is taken.
	Tensors []Tensor
	// Meta is further text that travels with the state. Keys must not be empty.
	Meta map[string]string
}

// ErrCorrupt means that a checkpoint is damaged, cut short or not a checkpoint.
// The caller takes an older one, or copies the state from another worker.
var ErrCorrupt = errors.New("damaged checkpoint")

// version is that of the form; a reader refuses others.
const version = "1"

// The keys of the metadata. Those of State.Meta follow metaPrefix.
const (
	keyVersion = "lockstep.checkpoint"
	keyEpoch   = "epoch"
	keyStep    = "step"
	keyJob     = "job"
	metaPrefix = "meta."
)

const sealName = "sha256"

// Encode writes the state as a checkpoint. It returns the hex SHA-256 and the
// length of what it wrote. An error of w is returned as it is.
func Encode(w io.Writer, s *State) (digest string, size int64, err error) {
	seal := make([]byte, sha256.Size)
	tensors := append(append(make([]Tensor, 0, len(s.Tensors)+1), s.Tensors...),
		Tensor{Name: sealName, Shape: []int{sha256.Size}, U8: seal})
	header, sorted, err := safetensors.Header(tensors, s.metadata())
	if err != nil {
		return "", 0, fmt.Errorf("checkpoint: %w", err)
	}
	out := &hashWriter{w: w, hash: sha256.New()}
	if _, err := out.Write(header); err != nil {
		return "", 0, err
	}
	for _, t := range sorted {
		if t.Name == sealName {
			out.hash.Sum(seal[:0])
		}
		if err := safetensors.WriteData(out, t); err != nil {
			return "", 0, err
		}
	}
	return hex.EncodeToString(out.hash.Sum(nil)), out.size, nil
}

func (s *State) metadata() map[string]string {
	m := map[string]string{
		keyVersion: version,
		keyEpoch:   strconv.Itoa(s.Cursor.Epoch),
		keyStep:    strconv.Itoa(s.Cursor.Step),
		keyJob:     s.Job,
	}
	for k, v := range s.Meta {
		m[metaPrefix+k] = v
	}
	return m
}

// hashWriter hashes and counts what passes.
type hashWriter struct {
	w    io.Writer
	hash hash.Hash
	size int64
}

func (h *hashWriter) Write(p []byte) (int, error) {
	n, err := h.w.Write(p)
	h.hash.Write(p[:n])
	h.size += int64(n)
	return n, err
}

// Decode reads a checkpoint to the end of r and verifies its seal. The error
// wraps ErrCorrupt if the bytes are not one whole checkpoint; other errors are
// those of r.
func Decode(r io.Reader) (*State, error) {
	h := &sealReader{r: r, hash: sha256.New()}
	tensors, metadata, err := safetensors.Read(h)
	switch {
	case errors.Is(err, safetensors.ErrFormat):
		return nil, fmt.Errorf("%w: %v", ErrCorrupt, err)
	case err != nil:
		return nil, err
	}
	if len(tensors) == 0 || tensors[len(tensors)-1].Name != sealName {
		return nil, fmt.Errorf("%w: the last tensor is not %q; is this a model and not a checkpoint?", ErrCorrupt, sealName)
	}
	seal := tensors[len(tensors)-1]
	if !bytes.Equal(seal.U8, h.sum()) {
		return nil, fmt.Errorf("%w: its content does not match its SHA-256", ErrCorrupt)
	}
	s := &State{Tensors: tensors[:len(tensors)-1]}
	if err := s.setMetadata(metadata); err != nil {
		return nil, err
	}
	return s, nil
}

func (s *State) setMetadata(metadata map[string]string) error {
	if v := metadata[keyVersion]; v != version {
		return fmt.Errorf("%w: version %q; this program reads version %s", ErrCorrupt, v, version)
	}
	var errEpoch, errStep error
	s.Cursor.Epoch, errEpoch = strconv.Atoi(metadata[keyEpoch])
	s.Cursor.Step, errStep = strconv.Atoi(metadata[keyStep])
	if errEpoch != nil || errStep != nil || s.Cursor.Epoch < 0 || s.Cursor.Step < 0 {
		return fmt.Errorf("%w: epoch %q, step %q", ErrCorrupt, metadata[keyEpoch], metadata[keyStep])
	}
	s.Job = metadata[keyJob]
	for k, v := range metadata {
		if key, ok := strings.CutPrefix(k, metaPrefix); ok && key != "" {
			if s.Meta == nil {
				s.Meta = map[string]string{}
			}
			s.Meta[key] = v
		}
	}
	return nil
}

// sealReader hashes what passes but the last 32 bytes, which it holds back.
type sealReader struct {
	r    io.Reader
	hash hash.Hash
	tail []byte // at most sha256.Size bytes, the last that passed
}

func (s *sealReader) Read(p []byte) (int, error) {
	n, err := s.r.Read(p)
	if n >= sha256.Size {
		s.hash.Write(s.tail)
		s.hash.Write(p[:n-sha256.Size])
		s.tail = append(s.tail[:0], p[n-sha256.Size:n]...)
		return n, err
	}
	if over := len(s.tail) + n - sha256.Size; over > 0 {
		s.hash.Write(s.tail[:over])
		s.tail = append(s.tail[:0], s.tail[over:]...)
	}
	s.tail = append(s.tail, p[:n]...)
	return n, err
}

func (s *sealReader) sum() []byte { return s.hash.Sum(nil) }
