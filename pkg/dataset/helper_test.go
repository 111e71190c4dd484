package dataset

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/binary"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/lockstep-ml/lockstep/pkg/nn"
	"github.com/lockstep-ml/lockstep/pkg/shard"
)

// write makes files in a new directory.
func writeFiles(tb testing.TB, files map[string][]byte) string {
	tb.Helper()
	dir := tb.TempDir()
	for name, data := range files {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o644); err != nil {
			tb.Fatal(err)
		}
	}
	return dir
}

// idx returns an IDX file of bytes.
func idx(body []byte, dims ...int) []byte {
	out := []byte{0, 0, 8, byte(len(dims))}
	for _, d := range dims {
		out = binary.BigEndian.AppendUint32(out, uint32(d))
	}
	return append(out, body...)
}

func packed(data []byte) []byte {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, _ = z.Write(data) // to memory
	_ = z.Close()
	return b.Bytes()
}

// ramp returns n bytes that differ from their neighbours.
func ramp(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i*37 + i/256)
	}
	return b
}

// labels returns n labels below classes.
func labels(n, classes int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i % classes)
	}
	return b
}

func decodeSpec(tb testing.TB, section map[string]any) Spec {
	tb.Helper()
	s, err := Decode(section)
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

func build(tb testing.TB, section map[string]any, root string) (Spec, *shard.Manifest, *shard.Manifest) {
	tb.Helper()
	spec := decodeSpec(tb, section)
	train, test, err := Build(tb.Context(), spec, root)
	if err != nil {
		tb.Fatal(err)
	}
	return spec, train, test
}

func open(tb testing.TB, spec Spec, root string, m *shard.Manifest, cache string) *Set {
	tb.Helper()
	set, err := Open(tb.Context(), spec, root, m, cache)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := set.Close(); err != nil {
			tb.Error(err)
		}
	})
	return set
}

// all returns every record of a set in order.
func all(tb testing.TB, set *Set) *nn.Batch {
	tb.Helper()
	n := int(set.m.Records)
	b := newBatch(set.m, n, 1)
	resize(b, set.m, n)
	r := set.newReader()
	for i := range n {
		if err := r.read(b, i, int64(i)); err != nil {
			tb.Fatal(err)
		}
	}
	return b
}

// drain reads a loader to its end and returns the records in order.
func drain(ctx context.Context, l *Loader) (records []int64, err error) {
	for {
		b, err := l.Next(ctx)
		if err == io.EOF {
			return records, nil
		}
		if err != nil {
			return records, err
		}
		records = append(records, b.Records...)
	}
}

var idxSection = map[string]any{
	"format": "idx",
	"train":  map[string]any{"images": "images", "labels": "labels"},
}

// with returns a section with a few fields changed; nil removes one.
func with(section map[string]any, changes map[string]any) map[string]any {
	out := map[string]any{}
	for k, v := range section {
		out[k] = v
	}
	for k, v := range changes {
		if out[k] = v; v == nil {
			delete(out, k)
		}
	}
	return out
}
