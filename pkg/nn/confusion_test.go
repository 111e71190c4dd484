package nn

import (
	"math"
	"testing"
)

// The table adds up to what the metrics say, weights and all, and is the same
// however the records are cut into batches and turns.
func TestConfusion(t *testing.T) {
	in := classInput(3, 4)
	spec := classSpec(2, layers(l("dense", "units", 3)))
	spec.Metrics = []Node{makeNode("accuracy"), makeNode("recall", "class", 1), makeNode("precision"), makeNode("f1", "class", 2)}
	plan := mustPlan(t, spec, in)
	b := makeBatch(in, 0, 30, 17)
	for i := range b.Len() {
		b.Weights = append(b.Weights, float32(i%4))
	}
	tr, turns := newTrainer(t, plan, 47, 2), newTrainer(t, plan, 30, 2)
	c, d := tr.CountClasses(), turns.CountClasses()
	evaluate(t, tr, b)
	evaluate(t, turns, b)
	_, metrics, err := tr.EvalResult()
	if err != nil {
		t.Fatal(err)
	}
	all, right, precision := 0.0, 0.0, 0.0
	for i := range 3 {
		for j := range 3 {
			all += c.Weights[3*i+j]
			if c.Weights[3*i+j] != d.Weights[3*i+j] {
				t.Errorf("class %d as %d: %v, in turns %v", i, j, c.Weights[3*i+j], d.Weights[3*i+j])
			}
		}
		right += c.Weights[4*i]
		precision += c.Rates(i).Precision / 3
	}
	if want := 69.0; all != want {
		t.Errorf("all weights are %v, want %v", all, want)
	}
	for i, got := range []float64{right / all, c.Rates(1).Recall, precision, c.Rates(2).F1} {
		if math.Abs(got-metrics[i]) > 1e-15 {
			t.Errorf("%s: %v of the table, %v", plan.MetricNames()[i], got, metrics[i])
		}
	}
	if err := tr.Gradient(b, nil); err != nil {
		t.Fatal(err)
	}
	if again := c.Weights[0]; again != d.Weights[0] {
		t.Error("training counts")
	}
}

func TestConfusionOfNoClasses(t *testing.T) {
	spec := classSpec(1, layers(l("dense", "units", 1)))
	spec.Loss, spec.Metrics = makeNode("mse"), nil
	in := Input{Shape: []int{3}, Target: Target{Kind: TargetValue, Shape: []int{1}}}
	if newTrainer(t, mustPlan(t, spec, in), 1, 1).CountClasses() != nil {
		t.Error("numbers were counted as classes")
	}
	spec.Loss = makeNode("binary_cross_entropy")
	if c := newTrainer(t, mustPlan(t, spec, classInput(2, 3)), 1, 1).CountClasses(); c == nil || len(c.Weights) != 4 {
		t.Errorf("two classes by one number: %+v", c)
	}
}
