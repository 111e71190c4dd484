package nn

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/lockstep-ml/lockstep/internal/alloctest"
)

// smallCNN has every kind of layer that behaves in its own way under lanes.
func smallCNN() []Node {
	return layers(
		l("conv2d", "filters", 4, "kernel", 3, "padding", 1), l("relu"), l("max_pool", "size", 2),
		l("conv2d", "filters", 6, "kernel", 3, "bias", false), l("tanh"), l("avg_pool", "size", 2),
		l("flatten"), l("dropout", "rate", 0.3), l("dense", "units", 12), l("sigmoid"),
		l("dense", "units", 5, "init", "he_normal"), l("softmax"))
}

// However the lanes are dealt to ranks, the state has the same bits.
func TestRanksDoNotMatter(t *testing.T) {
	in := classInput(5, 2, 10, 10)
	for _, optimizer := range []Node{makeNode("sgd", "lr", 0.05, "momentum", 0.9, "clip_norm", 1.0), makeNode("adam", "weight_decay", 0.01)} {
		spec := classSpec(5, smallCNN())
		spec.Optimizer = optimizer
		plan := mustPlan(t, spec, in)
		whole := newTrainer(t, plan, 20, 5)
		deals := [][][]int{{{0, 1}, {2, 3, 4}}, {{0}, {1, 3}, {2, 4}}, {{4}, {3}, {2}, {1}, {0}}}
		ranks := make([][]*Trainer, len(deals))
		for i, deal := range deals {
			for _, lanes := range deal {
				ranks[i] = append(ranks[i], newTrainer(t, plan, 20, len(lanes)))
			}
		}
		for s := range 4 {
			b := makeBatch(in, s, 4, 3, 4, 0, 3)
			want, _, err := step([]*Trainer{whole}, []*Batch{b})
			if err != nil {
				t.Fatal(err)
			}
			for i, deal := range deals {
				var parts []*Batch
				for _, lanes := range deal {
					parts = append(parts, pick(in, b, lanes...))
				}
				got, _, err := step(ranks[i], parts)
				if err != nil || got.Loss != want.Loss || got.Metrics[0] != want.Metrics[0] {
					t.Fatalf("deal %v step %d: %+v %v, want %+v", deal, s, got, err, want)
				}
				sameState(t, whole, ranks[i][0])
				sameState(t, whole, ranks[i][len(deal)-1])
			}
		}
	}
}

// In fast arithmetic the ranks agree with each other, and nearly with one rank.
func TestFastIsNearExact(t *testing.T) {
	in := classInput(5, 2, 10, 10)
	spec := classSpec(4, smallCNN())
	exact := newTrainer(t, mustPlan(t, spec, in), 16, 4)
	spec.Exact = false
	plan := mustPlan(t, spec, in)
	fast := []*Trainer{newTrainer(t, plan, 16, 2), newTrainer(t, plan, 16, 2)}
	for s := range 5 {
		b := makeBatch(in, s, 4, 4, 4, 4)
		want, _, err := step([]*Trainer{exact}, []*Batch{b})
		if err != nil {
			t.Fatal(err)
		}
		got, repeats, err := step(fast, []*Batch{pick(in, b, 0, 1), pick(in, b, 2, 3)})
		if err != nil || repeats > 0 || math.Abs(got.Loss-want.Loss) > 1e-5 {
			t.Fatalf("step %d: fast %+v after %d repeats, %v; exact %+v", s, got, repeats, err, want)
		}
		sameState(t, fast[0], fast[1])
	}
	for i, w := range exact.w {
		// Integers of 27 bits less margin keep 2^-24 of the largest gradient.
		if math.Abs(float64(w-fast[0].w[i])) > 1e-5 {
			t.Fatalf("parameter %d: exact %g, fast %g", i, w, fast[0].w[i])
		}
	}
}

// The first step measures the gradients and is repeated once; a gradient that
// grows beyond the margin repeats its step. Neither changes anything else.
func TestOverflowRepeatsTheStep(t *testing.T) {
	in := classInput(3, 6)
	plan := mustPlan(t, classSpec(2, layers(l("dense", "units", 3))), in)
	tr := newTrainer(t, plan, 8, 2)
	for s, want := range []int{1, 0, 0} {
		_, repeats, err := step([]*Trainer{tr}, []*Batch{makeBatch(in, s, 4, 4)})
		if err != nil || repeats != want {
			t.Fatalf("step %d repeated %d times, want %d (%v)", s, repeats, want, err)
		}
	}
	b := makeBatch(in, 3, 4, 4)
	for i := range b.X {
		b.X[i] *= 1000
	}
	before := append([]float32(nil), tr.w...)
	if err := tr.Gradient(b, nil); err != nil {
		t.Fatal(err)
	}
	o, err := tr.Commit()
	if err != nil || !o.Repeat {
		t.Fatalf("a gradient 1000 times larger: %+v, %v", o, err)
	}
	for i, w := range tr.w {
		if w != before[i] {
			t.Fatal("a step that is to be repeated changed a parameter")
		}
	}
	if _, repeats, err := step([]*Trainer{tr}, []*Batch{b}); err != nil || repeats != 0 {
		t.Fatalf("the repeated step repeats %d times (%v)", repeats, err)
	}
}

func TestNotFinite(t *testing.T) {
	in := classInput(3, 6)
	for _, exact := range []bool{true, false} {
		spec := classSpec(2, layers(l("dense", "units", 3)))
		spec.Exact = exact
		tr := newTrainer(t, mustPlan(t, spec, in), 8, 2)
		b := makeBatch(in, 1, 4, 4)
		b.Epoch = 3
		b.X[5*6] = float32(math.NaN()) // in lane 1
		_, _, err := step([]*Trainer{tr}, []*Batch{b})
		if !errors.Is(err, ErrNotFinite) || !strings.Contains(fmt.Sprint(err), "epoch 3 step 1 lane 1") {
			t.Errorf("exact %v: %v", exact, err)
		}
	}
}

// An infinite gradient behind a finite loss is found by its parameter.
func TestNotFiniteGradient(t *testing.T) {
	in := Input{Shape: []int{1}, Target: Target{Kind: TargetValue}}
	spec := classSpec(1, layers(l("dense", "units", 1, "name", "head")))
	spec.Loss, spec.Metrics = makeNode("mse"), nil
	tr := newTrainer(t, mustPlan(t, spec, in), 1, 1)
	tr.w[0], tr.w[1] = 0, 0
	b := &Batch{Lanes: []int{0}, Rows: []int{0, 1}, X: []float32{math.MaxFloat32}, Y: []float32{4}}
	_, _, err := step([]*Trainer{tr}, []*Batch{b})
	if !errors.Is(err, ErrNotFinite) || !strings.Contains(fmt.Sprint(err), "head.weight") {
		t.Error(err)
	}
}

// Evaluation does not depend on how lanes are cut into batches and dealt.
func TestEvaluationDoesNotDependOnBatches(t *testing.T) {
	in := classInput(5, 2, 10, 10)
	plan := mustPlan(t, classSpec(3, smallCNN()), in)
	whole, first, second := newTrainer(t, plan, 40, 3), newTrainer(t, plan, 40, 2), newTrainer(t, plan, 40, 1)
	for s := range 3 {
		b := makeBatch(in, s, 3, 2, 1)
		for _, e := range []error{whole.Evaluate(b), first.Evaluate(pick(in, b, 0, 1)), second.Evaluate(pick(in, b, 2))} {
			if e != nil {
				t.Fatal(e)
			}
		}
	}
	whole.EvalStats()
	wantLoss, metrics, err := whole.EvalResult()
	if err != nil {
		t.Fatal(err)
	}
	wantAccuracy := metrics[0]
	sum := first.EvalStats()
	addTo(sum, second.EvalStats())
	loss, metrics, err := first.EvalResult()
	if err != nil || loss != wantLoss || metrics[0] != wantAccuracy {
		t.Errorf("two ranks: %v %v %v; one: %v %v", loss, metrics, err, wantLoss, wantAccuracy)
	}
	first.ResetEval()
	first.EvalStats()
	if _, _, err := first.EvalResult(); !errors.Is(err, ErrNoRecords) {
		t.Errorf("an empty evaluation: %v", err)
	}
}

// A step of any network allocates nothing, and announces every bucket once.
func TestStepAllocatesNothing(t *testing.T) {
	for name, n := range networks() {
		n.spec.Schedule = makeNode("cosine", "warmup", 3)
		tr := newTrainer(t, mustPlan(t, n.spec, n.in), 12, 2)
		b := makeBatch(n.in, 0, 4, 3)
		ready, steps := 0, 0
		count := func(int) { ready++ }
		allocs := alloctest.PerRun(5, func() {
			steps++
			if err := tr.Gradient(b, count); err != nil {
				t.Fatal(err)
			}
			if _, err := tr.Commit(); err != nil {
				t.Fatal(err)
			}
		})
		if allocs != 0 {
			t.Errorf("%s: a step allocates %v times", name, allocs)
		}
		if want := steps * len(tr.Buckets()); ready != want {
			t.Errorf("%s: %d buckets were ready, want %d", name, ready, want)
		}
	}
}

// A trainer with room for few records computes its lanes in turns, and gets the
// same bits as one with room for all.
func TestTurnsDoNotMatter(t *testing.T) {
	for name, n := range networks() {
		n.spec.Lanes = 5
		plan := mustPlan(t, n.spec, n.in)
		whole := newTrainer(t, plan, 11, 5)
		for _, rows := range []int{4, 6} {
			inTurns, all := newTrainer(t, plan, rows, 5), whole
			all.Init()
			for s := range 3 {
				b := makeBatch(n.in, s, 4, 2, 0, 3, 2)
				want, _, err := step([]*Trainer{all}, []*Batch{b})
				if err != nil {
					t.Fatal(name, err)
				}
				ready := 0
				if err := inTurns.Gradient(b, func(int) { ready++ }); err != nil || ready != len(inTurns.Buckets()) {
					t.Fatal(name, ready, err)
				}
				got, _, err := step([]*Trainer{inTurns}, []*Batch{b})
				if err != nil || got.Loss != want.Loss {
					t.Fatalf("%s step %d: %+v %v, want %+v", name, s, got, err, want)
				}
				sameState(t, all, inTurns)
			}
			b := makeBatch(n.in, 9, 4, 2, 0, 3, 2)
			if a, b := evaluate(t, all, b), evaluate(t, inTurns, b); a != b {
				t.Errorf("%s: evaluated %v in turns, %v at once", name, b, a)
			}
		}
		if err := newTrainer(t, plan, 3, 5).Gradient(makeBatch(n.in, 0, 4, 2, 0, 3, 2), nil); err == nil {
			t.Errorf("%s: a lane of 4 rows went into room for 3", name)
		}
	}
}

// evaluate is the loss of one batch.
func evaluate(t *testing.T, tr *Trainer, b *Batch) float64 {
	t.Helper()
	tr.ResetEval()
	if err := tr.Evaluate(b); err != nil {
		t.Fatal(err)
	}
	tr.EvalStats()
	loss, _, err := tr.EvalResult()
	if err != nil {
		t.Fatal(err)
	}
	return loss
}
