package nn

import (
	"math"
	"testing"
)

func TestSchedules(t *testing.T) {
	for _, c := range []struct {
		node  Node
		total int
		want  map[int]float64
	}{
		{makeNode("constant"), 40, map[int]float64{0: 1, 39: 1}},
		{makeNode("constant", "warmup", 4), 40, map[int]float64{0: 0.25, 1: 0.5, 3: 1, 4: 1}},
		{makeNode("step", "every", 2.0, "gamma", 0.5), 40, map[int]float64{0: 1, 19: 1, 20: 0.5, 40: 0.25}},
		{makeNode("exponential", "gamma", 0.9), 40, map[int]float64{9: 1, 10: 0.9, 30: 0.729}},
		{makeNode("cosine"), 40, map[int]float64{0: 1, 10: (1 + math.Sqrt2/2) / 2, 20: 0.5, 40: 0}},
		{makeNode("cosine", "end", 0.1, "warmup", 10), 50, map[int]float64{0: 0.1, 10: 1, 30: 0.55, 50: 0.1}},
	} {
		spec := classSpec(1, layers(l("dense", "units", 2)))
		spec.Schedule = c.node
		s := mustPlan(t, spec, classInput(2, 3)).sched
		for at, want := range c.want {
			if got := s.factor(at, c.total); math.Abs(got-want) > 1e-14 {
				t.Errorf("%s %v at %d: %v, want %v", c.node.Kind, c.node.Fields, at, got, want)
			}
		}
	}
}

func TestCosPi(t *testing.T) {
	for i := range 1001 {
		x := float64(i) / 1000
		if got, want := cosPi(x), math.Cos(math.Pi*x); math.Abs(got-want) > 1e-15 {
			t.Errorf("cosPi(%v) = %v, want %v", x, got, want)
		}
	}
}

// A schedule ends at the last update, also when that is in the middle of an epoch.
func TestScheduleKnowsTheLastStep(t *testing.T) {
	in := classInput(3, 4)
	spec := classSpec(2, layers(l("dense", "units", 3)))
	spec.Schedule = makeNode("cosine")
	spec.Epochs, spec.StepsPerEpoch, spec.Steps = 1, 10, 4
	tr := newTrainer(t, mustPlan(t, spec, in), 8, 2)
	for s, want := range []float64{0.1, 0.1 * (1 + math.Sqrt2/2) / 2, 0.05} {
		got, _, err := step([]*Trainer{tr}, []*Batch{makeBatch(in, s, 4, 4)})
		if err != nil || math.Abs(got.LR-want) > 1e-15 {
			t.Errorf("step %d: rate %v %v, want %v", s, got.LR, err, want)
		}
	}
}

func TestExp(t *testing.T) {
	for x := -700.0; x < 700; x += 0.37 {
		if got, want := exp(x), math.Exp(x); math.Abs(got-want) > 1e-14*want {
			t.Errorf("exp(%v) is %v, want %v", x, got, want)
		}
	}
	for _, x := range []float64{math.Inf(1), math.Inf(-1)} {
		if got := exp(x); got != math.Exp(x) {
			t.Errorf("exp(%v) is %v", x, got)
		}
	}
}
