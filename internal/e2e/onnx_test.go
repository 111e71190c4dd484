package e2e

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/lockstep-ml/lockstep/internal/onnx"
	"github.com/lockstep-ml/lockstep/internal/onnx/onnxtest"
	"github.com/lockstep-ml/lockstep/pkg/checkpoint"
	"github.com/lockstep-ml/lockstep/pkg/dataset"
	"github.com/lockstep-ml/lockstep/pkg/job"
	"github.com/lockstep-ml/lockstep/pkg/nn"
	"github.com/lockstep-ml/lockstep/pkg/shard"
	"github.com/lockstep-ml/lockstep/pkg/tensor"
)

// TestExamplesInOnnxruntime exports the network of every example and compares
// what it says of a batch of the example's records, random ones in the form of
// its data, with what another program says.
func TestExamplesInOnnxruntime(t *testing.T) {
	needsE2E(t)
	runtime := onnxtest.New(t)
	files, err := filepath.Glob("../../examples/*/job.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no examples: %v", err)
	}
	ours := map[string][]float32{}
	for _, file := range files {
		name := filepath.Base(filepath.Dir(file))
		ours[name] = exportExample(t, runtime, name, file)
	}
	theirs := runtime.Run(t)
	for name, y := range ours {
		if d := onnxtest.Difference(y, theirs[name]); !(d <= onnxtest.Tolerance) {
			t.Errorf("%s: differs by %v", name, d)
		}
	}
}

// exportExample adds the network with its first weights to the runtime, and
// returns its output.
func exportExample(t *testing.T, runtime *onnxtest.Runtime, name, file string) []float32 {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	spec, err := job.Decode(file, text, []string{"lanes=1", "global_batch=8", "workers={min: 1, max: 1}"})
	if err != nil {
		t.Fatal(err)
	}
	root := newStandIn(t, spec)
	manifest, _, err := dataset.Build(t.Context(), spec.Data, root)
	if err != nil {
		t.Fatal(err)
	}
	plan, err := spec.CheckInput(dataset.InputOf(manifest), 12)
	if err != nil {
		t.Fatal(err)
	}
	engine, err := tensor.New(tensor.Config{Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer engine.Close()
	trainer, err := nn.NewTrainer(engine, plan, spec.GlobalBatch, 1)
	if err != nil {
		t.Fatal(err)
	}
	trainer.Init()
	b := firstBatch(t, spec, root, manifest)
	var y []float32
	if plan.Drawn() {
		// The model reads normal numbers; any will do.
		b.X = b.X[:b.Len()*plan.Latent()]
		y, err = trainer.Decode(b.X, b.Len())
	} else {
		y, err = trainer.Predict(b, b.Len())
	}
	if err != nil {
		t.Fatal(err)
	}
	var tensors []checkpoint.Tensor
	for _, p := range trainer.ParamTensors() {
		tensors = append(tensors, checkpoint.Tensor{Name: p.Name, Shape: p.Shape, F32: p.F32})
	}
	var out bytes.Buffer
	if err := onnx.Write(&out, plan, tensors, nil); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	values, _ := plan.Graph()
	dims := append([]int{b.Len()}, values[0].Shape...)
	if plan.Input().Tokens > 0 {
		runtime.Tokens(t, name, out.Bytes(), b.Tokens, dims...)
	} else {
		runtime.Numbers(t, name, out.Bytes(), b.X, dims...)
	}
	return slices.Clone(y)
}

// firstBatch reads the first records, as they are in training.
func firstBatch(t *testing.T, spec *job.Spec, root string, m *shard.Manifest) *nn.Batch {
	t.Helper()
	set, err := dataset.Open(t.Context(), spec.Data, root, m, "")
	if err != nil {
		t.Fatal(err)
	}
	defer set.Close()
	if err := set.Augment(spec.Augment, spec.Seed); err != nil {
		t.Fatal(err)
	}
	dealer, err := shard.Sequential(m, 1, spec.GlobalBatch)
	if err != nil {
		t.Fatal(err)
	}
	loader := set.Loader(t.Context(), dealer, []int{0}, 0, 0, 1)
	defer loader.Close()
	b, err := loader.Next(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return b
}
