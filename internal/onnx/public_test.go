package onnx

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/lockstep-ml/lockstep/internal/onnx/onnxtest"
	"github.com/lockstep-ml/lockstep/pkg/nn"
)

// Networks that others have trained and published are read as layers, and say
// what onnxruntime says. LOCKSTEP_ONNX_MODELS is a folder with such files, below
// which all are tried; they are too large to be kept here.
func TestPublicModels(t *testing.T) {
	dir := os.Getenv("LOCKSTEP_ONNX_MODELS")
	if dir == "" {
		t.Skip("LOCKSTEP_ONNX_MODELS is not set")
	}
	files, err := filepath.Glob(filepath.Join(dir, "*", "*.onnx"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no *.onnx one folder below %s: %v", dir, err)
	}
	o := onnxtest.New(t)
	ours := map[string][]float32{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		name := filepath.Base(file)
		n, b := imported(t, text)
		records := network{in: nn.Input{Shape: n.Input.Shape}}.batch().X[:size(n.Input.Shape)] // files may be for one record
		y, err := b.trainer.Predict(&nn.Batch{X: records}, 1)
		if err != nil {
			t.Fatal(name, err)
		}
		ours[name] = slices.Clone(y)
		o.Numbers(t, name, text, records, append([]int{1}, n.Input.Shape...)...)
	}
	theirs := o.Run(t)
	for name, y := range ours {
		d := onnxtest.Difference(y, theirs[name])
		t.Logf("%s: differs by %.2g", name, d)
		if !(d <= onnxtest.Tolerance) {
			t.Errorf("%s: differs by %v", name, d)
		}
	}
}
