package e2e

import (
	"bytes"
	"encoding/binary"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/lockstep-ml/lockstep/internal/onnx/onnxtest"
	"github.com/lockstep-ml/lockstep/internal/safetensors"
	"github.com/lockstep-ml/lockstep/pkg/job"
	"github.com/lockstep-ml/lockstep/pkg/nn"
	"github.com/lockstep-ml/lockstep/pkg/tensor"
)

const torchJob = `name: torch
data: {format: idx, train: {images: i, labels: l}}
model:
  - conv2d: {filters: 6, name: conv}
  - batch_norm: {name: norm}
  - relu
  - reshape: [48, 10]
  - lstm: {units: 8, bidirectional: true, name: rnn}
  - attention: {heads: 2, name: look}
  - dense: {units: 3, name: head}
loss: mse
optimizer: sgd
epochs: 1
global_batch: 4
lanes: 1
`

// TestPyTorchReadsModels loads a model file into PyTorch's modules by the names of
// its tensors, and compares what they give. It is skipped where PyTorch is not
// installed (Debian: python3-torch).
func TestPyTorchReadsModels(t *testing.T) {
	const python = "/usr/bin/python3"
	if err := exec.CommandContext(t.Context(), python, "-c", "import torch, numpy").Run(); err != nil {
		t.Skip("PyTorch is not installed")
	}
	spec, err := job.Decode("torch.yaml", []byte(torchJob), nil)
	if err != nil {
		t.Fatal(err)
	}
	plan, err := spec.CheckInput(nn.Input{Shape: []int{1, 10, 12}, Target: nn.Target{Kind: nn.TargetValue, Shape: []int{48, 3}}}, 1)
	if err != nil {
		t.Fatal(err)
	}
	engine, err := tensor.New(tensor.Config{Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer engine.Close()
	trainer, err := nn.NewTrainer(engine, plan, 4, 1)
	if err != nil {
		t.Fatal(err)
	}
	trainer.Init()
	dir := t.TempDir()
	var file bytes.Buffer
	var tensors []safetensors.Tensor
	for i, p := range trainer.ParamTensors() {
		for j := range p.F32 {
			p.F32[j] += 0.01 * float32((7*i+j)%11) // running statistics too are not what every model has
		}
		tensors = append(tensors, safetensors.Tensor{Name: p.Name, Shape: p.Shape, F32: p.F32})
	}
	if err := safetensors.Write(&file, tensors, nil); err != nil {
		t.Fatal(err)
	}
	x := make([]float32, 4*10*12)
	for i := range x {
		x[i] = float32(i*i%17)/8 - 1
	}
	var in bytes.Buffer
	if err := binary.Write(&in, binary.LittleEndian, x); err != nil {
		t.Fatal(err)
	}
	paths := []string{filepath.Join(dir, "m.safetensors"), filepath.Join(dir, "x"), filepath.Join(dir, "y")}
	for i, content := range [][]byte{file.Bytes(), in.Bytes()} {
		if err := os.WriteFile(paths[i], content, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if said, err := exec.CommandContext(t.Context(), python, append([]string{"testdata/load.py"}, paths...)...).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, said)
	}
	raw, err := os.ReadFile(paths[2])
	if err != nil {
		t.Fatal(err)
	}
	theirs := make([]float32, len(raw)/4)
	if err := binary.Read(bytes.NewReader(raw), binary.LittleEndian, theirs); err != nil {
		t.Fatal(err)
	}
	ours, err := trainer.Predict(&nn.Batch{X: x}, 4)
	if err != nil {
		t.Fatal(err)
	}
	if d := onnxtest.Difference(ours, theirs); !(d <= 1e-5) {
		t.Errorf("differs by %v: ours %v, theirs %v", d, ours[:6], theirs[:6])
	}
}
