package nn

import (
	"regexp"
	"slices"
	"strings"
	"testing"
)

func group(match string, lr, decay float64) Group {
	return Group{Match: []*regexp.Regexp{regexp.MustCompile("^(?:" + match + ")$")}, LRFactor: lr, DecayFactor: decay, Path: "groups[0]"}
}

// The first group that has a name takes it; frozen parameters keep their bits,
// and a wholly frozen layer its running statistics too.
func TestGroups(t *testing.T) {
	n := networks()["groups"]
	plan := mustPlan(t, n.spec, n.in)
	tr := newTrainer(t, plan, 8, 2)
	before := map[string][]float32{}
	for _, p := range tr.ParamTensors() {
		before[p.Name] = slices.Clone(p.F32)
	}
	for s := range 3 {
		if _, _, err := step([]*Trainer{tr}, []*Batch{makeBatch(n.in, s, 5, 3)}); err != nil {
			t.Fatal(err)
		}
	}
	frozen := []string{"stem.weight", "stem.bias", "norm.weight", "norm.bias", "norm.running_mean", "norm.running_var", "c.bias", "later.weight"}
	trained := 0
	for _, p := range tr.ParamTensors() {
		if same := slices.Equal(p.F32, before[p.Name]); same != slices.Contains(frozen, p.Name) {
			t.Errorf("%s: unchanged %v", p.Name, same)
		}
		if !slices.Contains(frozen, p.Name) && !strings.Contains(p.Name, "running") {
			trained += len(p.F32)
		}
	}
	if plan.Trained() != trained || plan.Trained() >= plan.Parameters() {
		t.Errorf("%d of %d parameters are trained, want %d", plan.Trained(), plan.Parameters(), trained)
	}
	for _, p := range plan.params {
		want := map[string][2]float64{"c.weight": {0.5, 1}, "c.bias": {0, 1}, "later.bias": {2, 0}, "head.weight": {1, 1}, "head.bias": {2, 0}}[p.name]
		if want != [2]float64{} && want != [2]float64{p.factor, p.decay} {
			t.Errorf("%s has the factors %v %v, want %v", p.name, p.factor, p.decay, want)
		}
	}
}

// Without weight decay a group moves as by an optimiser that has none, whichever
// the optimiser is.
func TestGroupWithoutDecay(t *testing.T) {
	for _, optimizer := range optimizerKinds() {
		fields := []any{optimizer.Name, "lr", 0.01, "l1", 0.02}
		run := func(decay float64, groups ...Group) []float32 {
			spec := classSpec(2, layers(l("dense", "units", 5)))
			spec.Optimizer = makeNode(append(fields, "weight_decay", decay)...)
			if decay == 0 {
				spec.Optimizer.Fields["l1"] = 0.0
			}
			spec.Groups = groups
			tr := newTrainer(t, mustPlan(t, spec, classInput(5, 4)), 8, 2)
			for s := range 3 {
				if _, _, err := step([]*Trainer{tr}, []*Batch{makeBatch(classInput(5, 4), s, 5, 3)}); err != nil {
					t.Fatal(err)
				}
			}
			return slices.Clone(tr.w)
		}
		none, some := run(0), run(0.3)
		if got := run(0.3, group(".*", 1, 0)); !slices.Equal(got, none) || slices.Equal(got, some) {
			t.Errorf("%s: a group without decay does not move as if there were none", optimizer.Name)
		}
	}
}

func TestGroupWithoutParameters(t *testing.T) {
	spec := classSpec(2, layers(l("dense", "units", 5, "name", "head")))
	spec.Groups = []Group{group("head.*", 1, 1), group("head.bias", 0, 1)}
	spec.Groups[1].Path = "groups[1]"
	_, err := NewPlan(spec, classInput(5, 4))
	if err == nil || err.Error() != "groups[1].match: no parameter is left for this group; the names are head.weight, head.bias" {
		t.Errorf("error %v", err)
	}
}
