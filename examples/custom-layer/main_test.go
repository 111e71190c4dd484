package main

import (
	"encoding/json"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/lockstep-ml/lockstep/pkg/nn"
	"github.com/lockstep-ml/lockstep/pkg/tensor"
)

// asProgram in the environment makes the test's binary the program itself, also
// where that starts itself as coordinator or worker.
const asProgram = "CUSTOM_LAYER_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		main()
	}
	os.Exit(m.Run())
}

func run(t *testing.T, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], args...)
	cmd.Env = append(os.Environ(), asProgram+"=1")
	var errs strings.Builder
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %v\n%s%s", args, err, out, errs.String())
	}
	return string(out)
}

func TestTheToolKnowsTheLayer(t *testing.T) {
	if out := run(t, "layers", "prelu"); !strings.HasPrefix(out, "prelu (activation): max(x, 0)") {
		t.Errorf("layers: %s", out)
	}
	if out := run(t, "validate", "digits.yaml"); !strings.Contains(out, "bend") || !strings.HasSuffix(out, "digits-prelu: ok\n") {
		t.Errorf("validate:\n%s", out)
	}
}

// Coordinator and workers are this program too. The bits are the same on one
// worker and on two, with the program's recipe as with the usual one, which gives
// others.
func TestTraining(t *testing.T) {
	if testing.Short() {
		t.Skip("starts processes")
	}
	usual, noisy := oneHash(t, "recipe=supervised"), oneHash(t, "recipe={noisy: 0.2}")
	if usual == noisy {
		t.Error("noise changes nothing")
	}
}

// oneHash is that of the model of one worker and of two.
func oneHash(t *testing.T, recipe string) string {
	t.Helper()
	var hashes []string
	for _, workers := range []string{"1", "2"} {
		model := filepath.Join(t.TempDir(), "m.safetensors")
		var result struct {
			Metrics map[string]float64
			Hash    string `json:"weights_sha256"`
		}
		out := run(t, "train", "digits.yaml", "--workers", workers, "--set", "steps=60", "--set", recipe, "--json", "--out", model)
		if err := json.Unmarshal([]byte(out), &result); err != nil {
			t.Fatal(err)
		}
		if result.Metrics["accuracy"] < 0.8 {
			t.Errorf("accuracy %v after 60 steps", result.Metrics["accuracy"])
		}
		hashes = append(hashes, result.Hash)
	}
	if hashes[0] != hashes[1] {
		t.Errorf("%s: one worker gives %s, two %s", recipe, hashes[0], hashes[1])
	}
	return hashes[0]
}

// loss and gradient are those of the sum over a batch.
func gradient(t *testing.T, tr *nn.Trainer, b *nn.Batch) (loss float64, grad []float32) {
	t.Helper()
	if err := tr.Gradient(b, nil); err != nil {
		t.Fatal(err)
	}
	for _, bucket := range tr.Buckets() {
		grad = append(grad, bucket.Float...)
	}
	tr.ResetEval()
	if err := tr.Evaluate(b); err != nil {
		t.Fatal(err)
	}
	tr.EvalStats()
	mean, _, err := tr.EvalResult()
	if err != nil {
		t.Fatal(err)
	}
	return mean * float64(b.Len()), grad
}

// The gradient is that of central differences, for every parameter. The error of
// a difference is about 1e-7/h of rounding and h² of curvature.
func TestGradient(t *testing.T) {
	spec := nn.Spec{Custom: kinds(), Lanes: 2,
		Model: []nn.Node{{Kind: "dense", Fields: map[string]any{"units": 4}}, {Kind: "prelu"}, {Kind: "dense", Fields: map[string]any{"units": 3}}},
		Loss:  nn.Node{Kind: "cross_entropy"}, Optimizer: nn.Node{Kind: "sgd"}}
	plan, err := nn.NewPlan(spec, nn.Input{Shape: []int{3}, Target: nn.Target{Kind: nn.TargetClass, Classes: 3}})
	if err != nil {
		t.Fatal(err)
	}
	engine, err := tensor.New(tensor.Config{Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer engine.Close()
	tr, err := nn.NewTrainer(engine, plan, 5, 2)
	if err != nil {
		t.Fatal(err)
	}
	tr.Init()
	b := &nn.Batch{Lanes: []int{0, 1}, Rows: []int{0, 3, 5}, Classes: []int32{0, 1, 2, 0, 1},
		X: []float32{1, -2, 0.5, -1, 0.3, 2, 0.7, -0.4, -1.5, -0.6, 1.1, 0.2, 1.4, 0.9, -0.8}}
	params := map[string]nn.Tensor{}
	for _, p := range tr.ParamTensors() {
		params[p.Name] = p
	}
	copy(params["1.slope"].F32, []float32{0.25, -0.5, 0.1, 0.8})
	_, grad := gradient(t, tr, b)
	// The flat gradient has the last layer first.
	const h = 1e-2
	at := 0
	for _, name := range []string{"2.weight", "2.bias", "1.slope", "0.weight", "0.bias"} {
		w := params[name].F32
		for i, v := range w {
			w[i] = v + h
			above, _ := gradient(t, tr, b)
			w[i] = v - h
			below, _ := gradient(t, tr, b)
			w[i] = v
			if want := (above - below) / (2 * h); math.Abs(want-float64(grad[at+i])) > 2e-3 {
				t.Errorf("%s[%d]: gradient %v, differences give %v", name, i, grad[at+i], want)
			}
		}
		at += len(w)
	}
}
