package checkpoint

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/lockstep-ml/lockstep/internal/safetensors"
)

// SaveModel writes weights to path as a safetensors file that PyTorch and
// others read. The file follows from the arguments alone, so that its SHA-256,
// which the entry holds, tells whether two trainings gave the same model:
// metadata must hold nothing that differs from one cluster to another.
func SaveModel(path string, tensors []Tensor, metadata map[string]string) (Entry, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return Entry{}, fmt.Errorf("model: %w", err)
	}
	e := Entry{Path: path}
	err := replaceFile(path, func(w io.Writer) error {
		out := &hashWriter{w: w, hash: sha256.New()}
		err := safetensors.Write(out, tensors, metadata)
		e.SHA256, e.Bytes = hex.EncodeToString(out.hash.Sum(nil)), out.size
		return err
	})
	if err != nil {
		return Entry{}, fmt.Errorf("model: %w", err)
	}
	return e, nil
}

// LoadModel reads a safetensors file, one of SaveModel or of another program.
// The entry holds the digest of what was read.
func LoadModel(path string) ([]Tensor, map[string]string, Entry, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, nil, Entry{}, fmt.Errorf("model: %w", err)
	}
	defer f.Close() // read only: nothing can be lost
	h := &hashWriter{w: io.Discard, hash: sha256.New()}
	tensors, metadata, err := safetensors.Read(io.TeeReader(bufio.NewReaderSize(f, 64<<10), h))
	if err != nil {
		return nil, nil, Entry{}, fmt.Errorf("model %s: %w", path, err)
	}
	return tensors, metadata, Entry{Path: path, SHA256: hex.EncodeToString(h.hash.Sum(nil)), Bytes: h.size}, nil
}
