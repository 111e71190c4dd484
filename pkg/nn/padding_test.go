package nn

import (
	"math"
	"slices"
	"testing"
)

// Padding at the end of a sequence changes nothing: what is read at the last
// position is what the sequence without it gives.
func TestPaddingIsPassedOver(t *testing.T) {
	for _, kind := range []string{"rnn", "lstm", "gru"} {
		spec := func(steps int) *Plan {
			return mustPlan(t, classSpec(1, layers(l("embedding", "dim", 4), l(kind, "units", 5, "bidirectional", true, "padding", 0, "output", "last"),
				l("dense", "units", 3))), Input{Shape: []int{steps}, Tokens: 6, Target: Target{Kind: TargetClass, Classes: 3}})
		}
		short, long := newTrainer(t, spec(4), 1, 1), newTrainer(t, spec(7), 1, 1)
		want, err := short.Predict(&Batch{Tokens: []int32{3, 1, 5, 2}}, 1)
		if err != nil {
			t.Fatal(err)
		}
		got, err := long.Predict(&Batch{Tokens: []int32{3, 1, 5, 2, 0, 0, 0}}, 1)
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: %v (%v), without padding %v", kind, got, err, want)
		}
	}
}

// Attention gives padding no weight, and a causal one none to what comes later.
func TestAttentionDoesNotLook(t *testing.T) {
	plan := mustPlan(t, classSpec(1, layers(l("embedding", "dim", 4), l("attention", "heads", 2, "causal", true, "padding", 0), l("dense", "units", 3))),
		Input{Shape: []int{5}, Tokens: 6, Target: Target{Kind: TargetClass, Classes: 3, Shape: []int{5}}})
	tr := newTrainer(t, plan, 2, 1)
	if _, err := tr.Predict(&Batch{Tokens: []int32{3, 0, 5, 0, 2, 0, 0, 1, 1, 1}}, 2); err != nil {
		t.Fatal(err)
	}
	for i, w := range tr.units[1].keep[1] {
		record, query, key := i/50, i/5%5, i%5
		token := [][]int{{3, 0, 5, 0, 2}, {0, 0, 1, 1, 1}}[record][key]
		hidden := key > query || token == 0 && key != query
		if hidden != (w == 0) || math.IsNaN(float64(w)) {
			t.Errorf("record %d: position %d gives %d the weight %v", record, query, key, w)
		}
	}
}
