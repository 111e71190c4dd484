package nn

import (
	"slices"
	"strings"
	"testing"
)

// What a plan starts from stands in the trainer after Init, all else is drawn as
// without it.
func TestStartFrom(t *testing.T) {
	spec := classSpec(2, layers(l("conv2d", "filters", 3, "name", "stem"), l("batch_norm", "name", "norm"), l("flatten"), l("dense", "units", 5, "name", "head")))
	spec.Optimizer = makeNode("sgd", "ema", 0.9)
	plan := mustPlan(t, spec, classInput(5, 1, 4, 4))
	given := []Tensor{
		{Name: "stem.bias", Shape: []int{3}, F32: []float32{1, 2, 3}},
		{Name: "norm.running_var", Shape: []int{3}, F32: []float32{4, 5, 6}},
	}
	started, err := plan.StartFrom(given)
	if err != nil {
		t.Fatal(err)
	}
	drawn, tr := newTrainer(t, plan, 4, 2), newTrainer(t, started, 4, 2)
	if _, _, err := step([]*Trainer{tr}, []*Batch{makeBatch(plan.Input(), 0, 2, 2)}); err != nil {
		t.Fatal(err)
	}
	tr.Init()
	want := drawn.State()
	for i, got := range tr.State() {
		expect := want[i].F32
		for _, g := range given {
			if g.Name == got.Name || "mean."+g.Name == got.Name {
				expect = g.F32
			}
		}
		if !slices.Equal(got.F32, expect) || !slices.Equal(got.I32, want[i].I32) {
			t.Errorf("%s is %v, want %v", got.Name, got.F32, expect)
		}
	}
	for want, bad := range map[string]Tensor{
		"not one of":      {Name: "stem.scale", Shape: []int{3}, F32: make([]float32, 3)},
		"the network":     {Name: "stem.bias", Shape: []int{4}, F32: make([]float32, 4)},
		"has shape (3)":   {Name: "stem.bias", Shape: []int{3}, F32: make([]float32, 2)},
		"is given twice":  given[0],
		"needs (3, 1, 3,": {Name: "stem.weight", Shape: []int{3}, F32: make([]float32, 3)},
	} {
		if _, err := plan.StartFrom(append(slices.Clone(given), bad)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: error %v, want %q", bad, err, want)
		}
	}
}
