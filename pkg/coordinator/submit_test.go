package coordinator

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/lockstep-ml/lockstep/internal/safetensors"
	"github.com/lockstep-ml/lockstep/pkg/job"
	"github.com/lockstep-ml/lockstep/pkg/nn"
	"github.com/lockstep-ml/lockstep/pkg/shard"
	pb "github.com/lockstep-ml/lockstep/proto/lockstep/v1"
)

const digits = "../../examples/digits"

func digitsRequest(t *testing.T, overrides ...string) *pb.SubmitRequest {
	t.Helper()
	root, err := filepath.Abs(digits)
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(digits + "/job.yaml")
	if err != nil {
		t.Fatal(err)
	}
	return &pb.SubmitRequest{JobYaml: text, FileName: "job.yaml", DataRoot: root, Overrides: overrides}
}

func TestPrepareCarriesAllThatWorkersNeed(t *testing.T) {
	op, err := prepare(context.Background(), job.Reader{}, digitsRequest(t, "global_batch=30", "lanes=7", "workers.max=3", "epochs=2"))
	if err != nil {
		t.Fatal(err)
	}
	train, err := shard.Decode(op.TrainManifest)
	if err != nil {
		t.Fatal(err)
	}
	if op.Records != train.Records || op.StepsPerEpoch != (train.Records+29)/30 || op.Lanes != 7 || op.MaxWorkers != 3 || op.Epochs != 2 || op.Parameters == 0 {
		t.Errorf("%d records of %d, %d steps, %d lanes, %d workers, %d epochs, %d parameters",
			op.Records, train.Records, op.StepsPerEpoch, op.Lanes, op.MaxWorkers, op.Epochs, op.Parameters)
	}
	if _, err := shard.Decode(op.TestManifest); err != nil {
		t.Errorf("test manifest: %v", err)
	}
	spec, err := job.Decode("again", op.Spec, nil)
	if err != nil || spec.GlobalBatch != 30 {
		t.Errorf("the canonical job lost its overrides: %v", err)
	}
}

// The file to start from is named with its checksum, so that no worker begins
// with another.
func TestPreparePinsTheWeights(t *testing.T) {
	var file bytes.Buffer
	bias := safetensors.Tensor{Name: "logits.bias", Shape: []int{10}, F32: make([]float32, 10)}
	if err := safetensors.Write(&file, []safetensors.Tensor{bias}, nil); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "w.safetensors")
	if err := os.WriteFile(path, file.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	op, err := prepare(context.Background(), job.Reader{}, digitsRequest(t, "start.weights="+path))
	if err != nil {
		t.Fatal(err)
	}
	if len(op.Notes) != 2 || !strings.HasPrefix(op.Notes[0], "start: 1 of 6 tensors") || !strings.Contains(op.Notes[1], "logits.weight") {
		t.Errorf("notes %q", op.Notes)
	}
	spec, err := job.Decode("again", op.Spec, nil)
	if err != nil || spec.Start.SHA256 != fmt.Sprintf("%x", sha256.Sum256(file.Bytes())) {
		t.Errorf("the canonical job: %v, %v", spec, err)
	}
	_, err = prepare(context.Background(), job.Reader{}, digitsRequest(t, "start.weights="+path, "model[8].dense.units=7"))
	if err == nil {
		t.Error("a bias of another shape was taken")
	}
}

func TestPrepareSaysWhereItIsWrong(t *testing.T) {
	for override, want := range map[string]string{
		"lanez=3":          "lanez",
		"global_batch=2":   "--set global_batch=2: global_batch: 2 is smaller than lanes",
		"data.train=gone":  "data.train",
		"model=[dense: 3]": "--set model=[dense: 3]: model[0].dense: dense works on vectors, but its input is (1, 28, 28)",
	} {
		_, err := prepare(context.Background(), job.Reader{}, digitsRequest(t, override))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", override, err, want)
		}
	}
	r := digitsRequest(t)
	r.DataRoot = t.TempDir()
	if _, err := prepare(context.Background(), job.Reader{}, r); err == nil || !strings.HasPrefix(err.Error(), "job.yaml:") || !strings.Contains(err.Error(), r.DataRoot) {
		t.Errorf("files that are not there: %v", err)
	}
}

// A layer of a user's own that panics when it is fitted is that job's error; the
// stack is in the log.
func TestPanicInACheckedJob(t *testing.T) {
	bad := nn.LayerKind{Entry: nn.Entry{Name: "bad", Summary: "panics"}, Fit: func(*nn.Site) nn.Fitted { panic("boom") }}
	core, logged := observer.New(zap.ErrorLevel)
	reader := job.Reader{Kinds: nn.Kinds{Layers: []nn.LayerKind{bad}}}
	_, err := check(t.Context(), reader, digitsRequest(t, "model=[bad]"), zap.New(core))
	if want := "job.yaml: panic when the job was checked: boom"; err == nil || err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
	if all := logged.All(); len(all) != 1 || !strings.Contains(fmt.Sprint(all[0].ContextMap()["stack"]), "TestPanicInACheckedJob") {
		t.Errorf("logged %v", all)
	}
}
