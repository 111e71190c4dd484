package nn

import (
	"math"
	"slices"
	"strings"
	"testing"
)

// watched is a classifier whose job follows evaluations.
func watched(stop map[string]any, schedule Node) Spec {
	s := classSpec(2, layers(l("conv2d", "filters", 2), l("batch_norm"), l("flatten"), l("dense", "units", 3)))
	s.Tested, s.Schedule = true, schedule
	if stop != nil {
		s.EarlyStop = &Node{Kind: "early_stop", Path: "early_stop", Fields: stop}
	}
	return s
}

func TestEarlyStop(t *testing.T) {
	in := classInput(3, 2, 5, 5)
	nan := math.NaN()
	for name, c := range map[string]struct {
		fields map[string]any
		figure []float64
		want   string // b best so far, - not, s stop
	}{
		"loss":     {map[string]any{"patience": 2}, []float64{3, 2, 2, 1, 5, 1, 0}, "bb-b-sb"},
		"delta":    {map[string]any{"patience": 2, "min_delta": 0.5}, []float64{3, 2.75, 2.4, 2, 1.9}, "b-b-s"},
		"accuracy": {map[string]any{"patience": 1, "metric": "accuracy"}, []float64{0.5, 0.6, 0.6}, "bbs"},
		"nan":      {map[string]any{"patience": 3}, []float64{nan, 2, nan, nan, nan}, "bb--s"},
	} {
		tr := newTrainer(t, mustPlan(t, watched(c.fields, Node{}), in), 8, 2)
		var got strings.Builder
		for i, f := range c.figure {
			loss, accuracy := f, f
			if c.fields["metric"] != nil {
				loss = float64(i) // must not matter
			}
			v := tr.Evaluated(loss, []float64{accuracy})
			switch {
			case v.Stop != "":
				got.WriteByte('s')
			case v.Kept:
				got.WriteByte('b')
			default:
				got.WriteByte('-')
			}
		}
		if got.String() != c.want {
			t.Errorf("%s: %s, want %s", name, got.String(), c.want)
		}
	}
}

func TestEarlyStopSaysWhy(t *testing.T) {
	in := classInput(3, 2, 5, 5)
	tr := newTrainer(t, mustPlan(t, watched(map[string]any{"patience": 2, "metric": "accuracy", "min_delta": 0.01}, Node{}), in), 8, 2)
	var v Verdict
	for range 3 {
		v = tr.Evaluated(1, []float64{0.75})
	}
	if want := "in the last 2 evaluations accuracy was never more than 0.01 above 0.75"; v.Stop != want {
		t.Errorf("%q, want %q", v.Stop, want)
	}
}

// The model is that of the best evaluation, running statistics and all, also in a
// trainer that took over the state; training goes on from where it is.
func TestRestoreBest(t *testing.T) {
	in := classInput(3, 2, 5, 5)
	plan := mustPlan(t, watched(map[string]any{}, Node{}), in)
	plain := mustPlan(t, watched(map[string]any{"restore_best": false}, Node{}), in)
	tr, other, free := newTrainer(t, plan, 8, 2), newTrainer(t, plan, 8, 2), newTrainer(t, plain, 8, 2)
	var best []Tensor
	for s, loss := range []float64{2, 1, 3} {
		for _, tr := range []*Trainer{tr, free} {
			if _, _, err := step([]*Trainer{tr}, []*Batch{makeBatch(in, s, 4, 4)}); err != nil {
				t.Fatal(err)
			}
		}
		if free.Evaluated(loss, []float64{0}).Kept {
			t.Error("kept though the last is restored")
		}
		tr.Evaluated(loss, []float64{0})
		if s == 1 {
			for _, p := range free.ParamTensors() {
				p.F32 = slices.Clone(p.F32)
				best = append(best, p)
			}
		}
	}
	if err := other.SetState(tr.State()); err != nil {
		t.Fatal(err)
	}
	for _, tr := range []*Trainer{tr, other} {
		if !slices.Equal(tr.w, free.w) || !slices.Equal(tr.buffers, free.buffers) {
			t.Error("keeping the best changes training")
		}
		for i, p := range tr.ParamTensors() {
			if !slices.Equal(p.F32, best[i].F32) {
				t.Errorf("%s is not that of the best evaluation", p.Name)
			}
		}
	}
}

func TestPlateau(t *testing.T) {
	in := classInput(3, 2, 5, 5)
	plan := mustPlan(t, watched(nil, makeNode("plateau", "patience", 2, "gamma", 0.5, "end", 0.2, "warmup", 2)), in)
	tr := newTrainer(t, plan, 8, 2)
	var factors []float64
	for s, loss := range []float64{3, 3, 2, 2, 2, 2, 2, 1, 2, 2, 2} {
		o, _, err := step([]*Trainer{tr}, []*Batch{makeBatch(in, s, 4, 4)})
		if err != nil {
			t.Fatal(err)
		}
		factors = append(factors, math.Round(1e12*o.LR/0.1)/1e12)
		tr.Evaluated(loss, []float64{0})
		if s == 5 { // goes on in another trainer
			next := newTrainer(t, plan, 8, 2)
			if err := next.SetState(tr.State()); err != nil {
				t.Fatal(err)
			}
			tr = next
		}
	}
	if want := []float64{0.5, 1, 1, 1, 1, 0.5, 0.5, 0.25, 0.25, 0.25, 0.2}; !slices.Equal(factors, want) {
		t.Errorf("factors %v, want %v", factors, want)
	}
}

func TestWhatCannotBeFollowed(t *testing.T) {
	in := classInput(3, 2, 5, 5)
	for want, change := range map[string]func(*Spec){
		`early_stop.metric: is "acuracy", which the job does not measure; expected one of loss, accuracy; did you mean "accuracy"?`: func(s *Spec) {
			s.EarlyStop.Fields["metric"] = "acuracy"
		},
		"early_stop: needs an evaluation after every epoch; give the job test data, say test: {fraction: 0.1}": func(s *Spec) { s.Tested = false },
		"early_stop.patience: is 0; expected an integer":                                                       func(s *Spec) { s.EarlyStop.Fields["patience"] = 0 },
	} {
		s := watched(map[string]any{}, Node{})
		change(&s)
		if _, err := NewPlan(s, in); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
}
