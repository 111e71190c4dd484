package nn

import (
	"math"
	"strings"
	"testing"
)

// The divergence of a known distribution from softmax of equal outputs.
func TestDivergence(t *testing.T) {
	in := Input{Shape: []int{1}, Target: Target{Kind: TargetValue, Shape: []int{2}}}
	spec := classSpec(1, layers(l("dense", "units", 2), l("softmax")))
	spec.Loss, spec.Metrics = makeNode("kl_divergence"), nil
	tr := newTrainer(t, mustPlan(t, spec, in), 2, 1)
	clear(tr.w)
	b := &Batch{Lanes: []int{0}, Rows: []int{0, 2}, X: []float32{1, 1}, Y: []float32{0.25, 0.75, 0, 1}}
	want := 0.25*math.Log(0.5) + 0.75*math.Log(1.5) + math.Log(2)
	if got := lossAt(t, tr, b); math.Abs(got-want) > 1e-6 {
		t.Errorf("divergence %v, want %v", got, want)
	}
	for i, want := range []float32{0.25, -0.25, 0.5, -0.5} {
		if got := tr.gradient(tr.plan.judged().logits, 2)[i]; math.Abs(float64(got-want)) > 1e-6 {
			t.Errorf("gradient %d is %v, want %v", i, got, want)
		}
	}
	if y, err := tr.Predict(b, 2); err != nil || y[0] != 0.5 {
		t.Errorf("prediction %v, %v", y, err)
	}
}

func TestMetrics(t *testing.T) {
	m := &metricPass{
		x: []float32{3, 1, 2, 0, 5, 1, 1, 2, 4, 1, 0, 9}, cols: 3, classes: []int32{0, 2, 2, 1},
		y: []float32{1, 1, 2, 0, 5, 1, 1, 2, 6, 1, 0, 9}, weight: []float32{1, 1, 2, 1}, loss: []float32{1, 2, 1, 0},
	}
	m.out = m.x
	// Predicted classes: 0, 1, 2, 2; the third row counts twice.
	for _, c := range []struct {
		m    metric
		want float64
	}{
		{accuracy{}, 3.0 / 5}, {topK{k: 2}, 4.0 / 5},
		{rates{classes: 3, class: 2, of: precisionKind().fit(site(2)).(rates).of}, 2.0 / 3},
		{recallKind().fit(site(2)).(rates), 2.0 / 3}, {f1Kind().fit(site(2)).(rates), 2.0 / 3},
		{f1Kind().fit(site(-1)).(rates), (1 + 0 + 2.0/3) / 3},
		{perplexity{}, math.Exp(1)}, {mae{1}, (2 + 2*2) / 15.0}, {rmse{1}, math.Sqrt((4 + 2*4) / 15.0)}, {rmse{10}, 10 * math.Sqrt((4+2*4)/15.0)},
		{r2{}, 1 - 12/(196-38.0*38/15)},
	} {
		sums := make([]float64, c.m.sums())
		c.m.add(sums, m, 0, 4)
		if got := c.m.value(sums); math.Abs(got-c.want) > 1e-12 {
			t.Errorf("%T is %v, want %v", c.m, got, c.want)
		}
	}
	auc := make([]float64, rocAUC{}.sums())
	rocAUC{}.add(auc, &metricPass{x: []float32{-1, 2, 0.5, 3, -40, 40}, cols: 1, classes: []int32{0, 1, 1, 0, 0, 1}, weight: []float32{1, 1, 1, 1, 1, 1}}, 0, 6)
	if got, want := (rocAUC{}).value(auc), 7.0/9; math.Abs(got-want) > 1e-12 {
		t.Errorf("roc_auc %v, want %v", got, want)
	}
}

func site(class int) *LossSite {
	return &LossSite{Args: Args{"class": class}, Target: Target{Kind: TargetClass, Classes: 3}, errs: &Errors{}}
}

// Weights of classes are for the loss; a class that is ignored is in no metric.
func TestMetricsCountRecordsNotClassWeights(t *testing.T) {
	spec := classSpec(1, layers(l("dense", "units", 3)))
	spec.Loss = makeNode("cross_entropy", "class_weights", []any{1, 3.0, 1}, "ignore", 2)
	in := classInput(3, 1)
	tr := newTrainer(t, mustPlan(t, spec, in), 6, 1)
	clear(tr.w)
	tr.ResetEval()
	// With equal outputs every record is taken for class 0.
	b := &Batch{Lanes: []int{0}, Rows: []int{0, 6}, X: make([]float32, 6), Classes: []int32{0, 1, 0, 2, 0, 2}, Weights: []float32{1, 1, 1, 1, 2, 1}}
	if err := tr.Evaluate(b); err != nil {
		t.Fatal(err)
	}
	tr.EvalStats()
	loss, metrics, err := tr.EvalResult()
	if err != nil || metrics[0] != 4.0/5 || math.Abs(loss-math.Log(3)) > 1e-6 {
		t.Errorf("loss %v, accuracy %v (%v), want %v and 0.8", loss, metrics, err, math.Log(3))
	}
}

// The loss of a record mixed of two classes is the mean of the losses for one and
// for the other, weighted by their shares; so is the gradient.
func TestMixedTargets(t *testing.T) {
	for _, loss := range []Node{makeNode("cross_entropy"), makeNode("cross_entropy", "label_smoothing", 0.1)} {
		spec := classSpec(1, layers(l("dense", "units", 4)))
		spec.Loss = loss
		tr := newTrainer(t, mustPlan(t, spec, classInput(4, 3)), 1, 1)
		batch := func(class, other int32, share float32) *Batch {
			return &Batch{Lanes: []int{0}, Rows: []int{0, 1}, X: []float32{1, -2, 0.5}, Classes: []int32{class}, Others: []int32{other}, Shares: []float32{share}}
		}
		of := func(b *Batch) []float64 {
			numbers := []float64{lossAt(t, tr, b)}
			for _, v := range tr.gradient(tr.plan.judged().logits, 1) {
				numbers = append(numbers, float64(v))
			}
			return numbers
		}
		first, second, both := of(batch(2, 2, 1)), of(batch(0, 1, 0)), of(batch(2, 1, 0.75))
		for i, got := range both {
			// All numbers are below 4; float32 rounds each to 2e-7 at most.
			if want := 0.75*first[i] + 0.25*second[i]; math.Abs(got-want) > 2e-6 {
				t.Errorf("%v: number %d is %v, want %v", loss.Fields, i, got, want)
			}
		}
	}
}

func TestMixedTargetsNeedALossForThem(t *testing.T) {
	in := classInput(4, 3)
	in.Target.Mixed = true
	for _, loss := range []Node{makeNode("hinge"), makeNode("cross_entropy", "ignore", 1), makeNode("cross_entropy", "class_weights", []any{1, 1, 1, 1})} {
		spec := classSpec(1, layers(l("dense", "units", 4)))
		spec.Loss = loss
		if _, err := NewPlan(spec, in); err == nil || !strings.Contains(err.Error(), "mixup") {
			t.Errorf("%s %v: %v", loss.Kind, loss.Fields, err)
		}
	}
}

// Every metric has a name of its own, which can be followed.
func TestMetricNames(t *testing.T) {
	names := func(stop string, metrics ...Node) (*Plan, error) {
		spec := classSpec(1, layers(l("dense", "units", 3)))
		spec.Metrics, spec.Tested = metrics, true
		spec.EarlyStop = &Node{Kind: "early_stop", Path: "early_stop", Fields: map[string]any{"metric": stop}}
		return NewPlan(spec, classInput(3, 4))
	}
	for want, metrics := range map[string][]Node{
		"accuracy f1":              {makeNode("accuracy"), makeNode("f1", "class", 1)},
		"f1_0 f1_2 f1 recall":      {makeNode("f1", "class", 0), makeNode("f1", "class", 2.0), makeNode("f1"), makeNode("recall", "class", 1)},
		"top_k_5 accuracy top_k_2": {makeNode("top_k"), makeNode("accuracy"), makeNode("top_k", "k", int64(2))},
	} {
		list := strings.Fields(want)
		p, err := names(list[1], metrics...)
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(p.MetricNames(), " "); got != want {
			t.Errorf("names %q, want %q", got, want)
		}
		if !p.stop.higher {
			t.Errorf("%s: lower is better", list[1])
		}
	}
	if _, err := names("loss", makeNode("f1"), makeNode("f1", "class", -1)); err == nil || !strings.Contains(err.Error(), "f1: f1 is there twice; leave one out") {
		t.Errorf("error %v", err)
	}
}
