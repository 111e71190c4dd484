package e2e

import (
	"math"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/lockstep-ml/lockstep/pkg/dataset"
	"github.com/lockstep-ml/lockstep/pkg/job"
	"github.com/lockstep-ml/lockstep/pkg/nn"
	"github.com/lockstep-ml/lockstep/pkg/tensor"
	"github.com/lockstep-ml/lockstep/pkg/weights"
)

// TestTasksOfTheDocument trains every job that docs/tasks.md shows for three
// steps, on random data in the form of its own, in exact and in fast arithmetic.
func TestRecipesOfTheDocument(t *testing.T) {
	text, err := os.ReadFile("../../docs/tasks.md")
	if err != nil {
		t.Fatal(err)
	}
	recipes := map[string]bool{}
	blocks := regexp.MustCompile("(?s)```yaml\n(.*?)```").FindAllStringSubmatch(string(text), -1)
	for _, block := range blocks {
		for _, arithmetic := range []string{"exact", "fast"} {
			spec, err := job.Decode("tasks.md", []byte(block[1]), []string{"arithmetic=" + arithmetic, "lanes=2", "global_batch=6"})
			if err != nil {
				t.Fatalf("%v\n%s", err, block[1])
			}
			t.Run(spec.Name+" "+arithmetic, func(t *testing.T) { threeSteps(t, spec) })
			recipes[spec.Net.Recipe.Kind] = true
		}
	}
	for _, e := range nn.Catalogue() {
		if e.Class == "recipe" && e.Name != "supervised" && !recipes[e.Name] {
			t.Errorf("recipe %s is not in docs/tasks.md", e.Name)
		}
	}
	if sections := strings.Count(string(text), "\n## "); sections != len(blocks) {
		t.Errorf("%d tasks, but %d jobs", sections, len(blocks))
	}
}

// threeSteps trains a job in this process.
func threeSteps(t *testing.T, spec *job.Spec) {
	root := newStandIn(t, spec)
	if spec.Start.Weights != "" {
		startStandIn(t, spec, root)
		spec.Start.Weights = "start.safetensors"
	}
	manifest, _, err := dataset.Build(t.Context(), spec.Data, root)
	if err != nil {
		t.Fatal(err)
	}
	plan, err := spec.CheckInput(dataset.InputOf(manifest), 3)
	if err != nil {
		t.Fatal(err)
	}
	if plan, _, err = weights.Start(&spec.Start, root, plan); err != nil {
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
	for step := 0; step < 3; {
		b.Step = step
		if err := trainer.Gradient(b, nil); err != nil {
			t.Fatal(err)
		}
		o, err := trainer.Commit()
		if err != nil {
			t.Fatal(err)
		}
		if math.IsNaN(o.Loss) || math.IsInf(o.Loss, 0) {
			t.Fatalf("step %d: loss %v", step, o.Loss)
		}
		if !o.Repeat {
			step++
		}
	}
}
