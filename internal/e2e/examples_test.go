package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/lockstep-ml/lockstep/pkg/job"
	"github.com/lockstep-ml/lockstep/pkg/tensor"
)

// TestExamples trains the first 20 steps of every example on clusters that differ
// in the number of workers and in the instruction set, and compares the models.
// The data are random, and so are weights to start from; the batches are small. What
// is computed is the example's network, loss, recipe and optimiser.
func TestExamples(t *testing.T) {
	needsE2E(t)
	files, err := filepath.Glob("../../examples/*/job.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no examples: %v", err)
	}
	for _, file := range files {
		t.Run(filepath.Base(filepath.Dir(file)), func(t *testing.T) { oneHashOf(t, file) })
	}
}

// shortened is an example with small batches, and the overrides that make it so.
// Plain Go would take minutes for long texts, large images and test data.
func shortened(t *testing.T, file string, text []byte) (*job.Spec, []string) {
	overrides := []string{"epochs=20", "steps=20", "lanes=3", "global_batch=6", "workers={min: 1, max: 3}"}
	spec, err := job.Decode(file, text, overrides)
	if err != nil {
		t.Fatal(err)
	}
	switch spec.Data.Format {
	case "text":
		overrides = append(overrides, "data.length=16")
	case "images":
		overrides = append(overrides, "data.size=16")
	}
	if spec.Net.EarlyStop == nil && spec.Net.Schedule.Kind != "plateau" {
		overrides = append(overrides, "data.test=null")
	}
	if spec.Start.Weights != "" {
		overrides = append(overrides, "start={weights: start.safetensors}")
	}
	if spec, err = job.Decode(file, text, overrides); err != nil {
		t.Fatal(err)
	}
	return spec, overrides
}

// oneHashOf runs an example on 3, 2, 1, … workers, each cluster with another
// instruction set.
func oneHashOf(t *testing.T, file string) {
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	spec, overrides := shortened(t, file, text)
	dir := newStandIn(t, spec)
	if spec.Start.Weights != "" {
		startStandIn(t, spec, dir)
	}
	args := []string{"--data-root", dir, "--threads", "1"}
	for _, o := range overrides {
		args = append(args, "--set", o)
	}
	isas := tensor.ISAs()
	want := ""
	for i := range max(3, len(isas)) {
		isa, workers := isas[i%len(isas)], 3-i%3 // the slowest has the most workers
		got := trainFile(t, file, []string{"LOCKSTEP_ISA=" + isa}, append(args, "--workers", fmt.Sprint(workers))...)
		if got.Steps != 20 {
			t.Fatalf("%d steps, want 20", got.Steps)
		}
		if want == "" {
			want = got.WeightsSHA256
		}
		if got.WeightsSHA256 != want {
			t.Errorf("%d workers with %s: weights %s, want %s", workers, isa, got.WeightsSHA256, want)
		}
	}
}
