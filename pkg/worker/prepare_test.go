package worker

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/zap"

	"github.com/lockstep-ml/lockstep/internal/safetensors"
	"github.com/lockstep-ml/lockstep/pkg/tensor"
	pb "github.com/lockstep-ml/lockstep/proto/lockstep/v1"
)

// startAssignment is realAssignment of a job that starts from weights of the
// given bias, with its checksum.
func startAssignment(t *testing.T, bias float32, sum string) *pb.Assignment {
	t.Helper()
	a := realAssignment(t)
	f, err := os.Create(filepath.Join(a.DataRoot, "w.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := safetensors.Write(f, []safetensors.Tensor{{Name: "3.bias", Shape: []int{2}, F32: []float32{bias, bias}}}, nil); err != nil {
		t.Fatal(err)
	}
	a.SpecYaml = append(a.SpecYaml, "start: {weights: w.safetensors, sha256: "+sum+"}\n"...)
	return a
}

// newWorker has what prepare needs.
func newWorker(t *testing.T) *worker {
	t.Helper()
	disk, err := openDisk(t.TempDir(), "w0", zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = disk.close() })
	engine, err := tensor.New(tensor.Config{Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(engine.Close)
	return &worker{disk: disk, engine: engine}
}

// A worker begins with the weights of the job's file; with a file of another
// checksum it does not begin at all, and says so of itself alone.
func TestPrepareStartsFromWeights(t *testing.T) {
	w := newWorker(t)
	const sum = "27f584c3ea3aac8efb39e5565953aecb5793b86d990ba72ca38258117e781e2a"
	ready, err := w.prepare(t.Context(), startAssignment(t, 3, sum))
	if err != nil {
		t.Fatal(err)
	}
	defer ready.close()
	l, err := ready.newLearner([]int{0, 1, 2})
	if err != nil {
		t.Fatal(err)
	}
	l.Init()
	for _, p := range l.ParamTensors() {
		if p.Name == "3.bias" && (p.F32[0] != 3 || p.F32[1] != 3) {
			t.Errorf("%s begins with %v", p.Name, p.F32)
		}
	}
	_, err = w.prepare(t.Context(), startAssignment(t, 4, sum))
	var mine *localError
	if !errors.As(err, &mine) || !strings.Contains(err.Error(), "start.sha256: w.safetensors has the checksum") {
		t.Errorf("another file: %v", err)
	}
}

// Tables of other jobs beyond the limit go when a job is made ready.
func TestPrepareTidiesTheCache(t *testing.T) {
	w := newWorker(t)
	old := filepath.Join(w.disk.cache(), "old-0.table")
	if err := errors.Join(os.WriteFile(old, nil, 0o644), os.Truncate(old, cacheLimit+1)); err != nil {
		t.Skip(err) // a file with a hole is not to be had here
	}
	ready, err := w.prepare(t.Context(), realAssignment(t))
	if err != nil {
		t.Fatal(err)
	}
	defer ready.close()
	if _, err := os.Stat(old); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the old table: %v", err)
	}
}
