package nn

import (
	"errors"
	"math"
	"slices"
	"strings"
	"testing"
)

// A gan updates both networks in a step, each by its optimiser, and reports both
// losses. Its model file has both networks.
func TestGANUpdatesBoth(t *testing.T) {
	in := classInput(3, 1, 4, 4)
	tr := newTrainer(t, mustPlan(t, ganSpec("binary_cross_entropy", 0), in), 8, 2)
	before := slices.Clone(tr.w)
	o, _, err := step([]*Trainer{tr}, []*Batch{makeBatch(in, 0, 4, 3)})
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range tr.plan.params {
		if slices.Equal(before[p.offset:][:p.Size()], tr.w[p.offset:][:p.Size()]) {
			t.Errorf("%s did not change", p.name)
		}
	}
	names := tr.plan.MetricNames()
	if want := []string{"discriminator_loss", "generator_loss", "told_apart"}; !slices.Equal(names, want) {
		t.Fatal(names)
	}
	if sum := o.Metrics[0] + o.Metrics[1]; o.Loss <= 0 || o.Loss-sum > 1e-6 || sum-o.Loss > 1e-6 {
		t.Errorf("loss %v, metrics %v", o.Loss, o.Metrics)
	}
	var moments int
	for _, s := range tr.State() {
		if strings.HasPrefix(s.Name, "optimizer.mean.discriminator.") {
			moments++
		}
	}
	if moments != 8 {
		t.Errorf("%d running means of the discriminator's gradients, want 8", moments)
	}
}

// With discriminator_steps the networks take turns, and each optimiser counts its
// own updates: after the bias correction of its first update Adam moves every
// parameter by the learning rate.
func TestGANAlternates(t *testing.T) {
	in := classInput(3, 1, 4, 4)
	spec := ganSpec("mse", 2)
	spec.Optimizer = makeNode("adam", "lr", 0.001)
	tr := newTrainer(t, mustPlan(t, spec, in), 8, 2)
	for s, want := range []int{discriminatorNet, discriminatorNet, generatorNet, discriminatorNet, discriminatorNet, generatorNet} {
		before := slices.Clone(tr.w)
		o, _, err := step([]*Trainer{tr}, []*Batch{makeBatch(in, s, 4, 3)})
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range o.Metrics {
			if !(m > 0) {
				t.Errorf("step %d: metrics %v", s, o.Metrics)
			}
		}
		for _, p := range tr.plan.params {
			was, is := before[p.offset:][:p.Size()], tr.w[p.offset:][:p.Size()]
			if got := !slices.Equal(was, is); got != (tr.plan.nodes[p.node].net == want) {
				t.Errorf("step %d: %s changed: %v", s, p.name, got)
			}
			if moved := float64(is[0] - was[0]); s == 2 && p.name == "0.weight" && math.Abs(math.Abs(moved)-0.001) > 1e-5 {
				t.Errorf("the first update of %s moves it by %v, not by the learning rate", p.name, moved)
			}
		}
	}
}

// A state taken between two turns leads to the same networks: both optimisers and
// whose turn it is are in it.
func TestGANGoesOnBetweenTurns(t *testing.T) {
	in := classInput(3, 1, 4, 4)
	plan := mustPlan(t, ganSpec("binary_cross_entropy", 2), in)
	whole := newTrainer(t, plan, 8, 2)
	later := newTrainer(t, plan, 8, 2)
	for s := range 9 {
		if s == 4 {
			if err := later.SetState(whole.State()); err != nil {
				t.Fatal(err)
			}
		}
		for i, tr := range []*Trainer{whole, later} {
			if i == 1 && s < 4 {
				continue
			}
			if _, _, err := step([]*Trainer{tr}, []*Batch{makeBatch(in, s, 4, 3)}); err != nil {
				t.Fatal(err)
			}
		}
	}
	sameState(t, whole, later)
}

// Both kinds of records go into the running statistics of the discriminator, one
// after the other.
func TestStatisticsOfEachPass(t *testing.T) {
	in := classInput(3, 1, 4, 4)
	spec := ganSpec("mse", 0)
	plan := mustPlan(t, spec, in)
	tr := newTrainer(t, plan, 8, 2)
	if _, _, err := step([]*Trainer{tr}, []*Batch{makeBatch(in, 0, 4, 3)}); err != nil {
		t.Fatal(err)
	}
	for _, n := range plan.nodes {
		if n.kind != "batch_norm" {
			continue
		}
		first := word32(&CommitPass{t: tr, n: &plan.nodes[n.number]}, 0, 0)
		if n.net == 0 {
			continue
		}
		if second := word32(&CommitPass{t: tr, n: &plan.nodes[n.number], nth: 1}, 0, 0); first == second || second == 0 {
			t.Errorf("mean %v of real records, %v of generated ones", first, second)
		}
	}
}

// A sample depends on its number and the seed only, not on what is made with it.
func TestSamples(t *testing.T) {
	variational := networks()["variational"]
	for name, n := range map[string]struct {
		spec Spec
		in   Input
	}{"gan": {ganSpec("mse", 0), classInput(3, 1, 4, 4)}, "variational": {variational.spec, variational.in}} {
		tr := newTrainer(t, mustPlan(t, n.spec, n.in), 8, 2)
		at := func(seed uint64, first, rows int) []float32 {
			y, err := tr.Sample(seed, first, rows)
			if err != nil {
				t.Fatal(name, err)
			}
			return slices.Clone(y)
		}
		all, part, other := at(1, 0, 8), at(1, 3, 2), at(2, 0, 8)
		each := len(all) / 8
		if !slices.Equal(part, all[3*each:5*each]) || slices.Equal(all, other) || slices.Equal(all[:each], all[each:2*each]) {
			t.Errorf("%s: samples %v, two of them %v, another seed %v", name, all, part, other)
		}
	}
	plain := networks()["autoencoder"]
	tr := newTrainer(t, mustPlan(t, plain.spec, plain.in), 8, 2)
	if _, err := tr.Sample(1, 0, 1); err == nil || tr.plan.Latent() != 0 {
		t.Error("an autoencoder whose code has no distribution made samples")
	}
	gan := newTrainer(t, mustPlan(t, ganSpec("mse", 0), classInput(3, 1, 4, 4)), 8, 2)
	if _, err := gan.Predict(makeBatch(classInput(3, 1, 4, 4), 0, 4, 3), 7); err == nil {
		t.Error("a generator was applied to records")
	}
}

// What an autoencoder makes of records is what an evaluation measures, of what it
// saw: of the record, or of the record with noise.
func TestReconstruct(t *testing.T) {
	for _, name := range []string{"autoencoder", "denoising", "variational"} {
		n := networks()[name]
		n.spec.Loss, n.spec.Metrics = makeNode("mse"), nil
		tr := newTrainer(t, mustPlan(t, n.spec, n.in), 8, 2)
		b := makeBatch(n.in, 1, 4, 3)
		seen, made, err := tr.Reconstruct(b)
		if err != nil {
			t.Fatal(name, err)
		}
		if got := !slices.Equal(seen, b.X); got != (name == "denoising") {
			t.Errorf("%s: saw noise: %v", name, got)
		}
		squares, alone, want := 0.0, *b, slices.Clone(made)
		for i, y := range made {
			squares += float64(y-b.X[i]) * float64(y-b.X[i])
		}
		alone.Classes, alone.Y = nil, nil
		if _, made, err = tr.Reconstruct(&alone); err != nil || !slices.Equal(made, want) {
			t.Errorf("%s: without targets it made %v, %v; want %v", name, made, err, want)
		}
		tr.ResetEval()
		if err := tr.Evaluate(b); err != nil {
			t.Fatal(err)
		}
		tr.EvalStats()
		loss, numbers, err := tr.EvalResult()
		mean := squares / float64(len(made))
		if name == "variational" {
			loss, mean = numbers[0], squares/7
		}
		if err != nil || math.Abs(loss-mean) > 1e-6*mean {
			t.Errorf("%s: the loss is %v, of the pictures %v, %v", name, loss, mean, err)
		}
	}
	plain := newTrainer(t, mustPlan(t, classSpec(2, layers(l("dense", "units", 3))), classInput(3, 4)), 8, 2)
	if _, _, err := plain.Reconstruct(makeBatch(classInput(3, 4), 0, 4, 3)); err == nil {
		t.Error("a classifier made records")
	}
}

// consistent is a recipe of a user's own: supervised, some times over.
type consistent struct{ passes int }

func (c consistent) Step(s *Step) {
	model := s.Network(0)
	for range c.passes {
		model.Forward(s.X())
		model.Loss(s.Target())
		model.Backward()
	}
}

func consistentKind(passes int) RecipeKind {
	return RecipeKind{Entry: Entry{Name: "consistent", Class: classRecipe}, Fit: func(s *RecipeSite) FittedRecipe {
		return FittedRecipe{Recipe: consistent{passes}, Input: Value{Shape: s.Data.Shape}, Target: s.Data.Target}
	}}
}

// A recipe that a program brings is used; one that does more than it said ends
// with an error, as its sums would not fit.
func TestCustomRecipe(t *testing.T) {
	in := classInput(3, 4)
	for passes, good := range map[int]bool{1: true, 2: false} {
		spec := classSpec(2, layers(l("dense", "units", 3)))
		spec.Recipe, spec.Custom.Recipes = makeNode("consistent"), []RecipeKind{consistentKind(passes)}
		tr := newTrainer(t, mustPlan(t, spec, in), 8, 2)
		err := tr.Gradient(makeBatch(in, 0, 4, 3), nil)
		if (err == nil) != good {
			t.Errorf("%d passes: %v", passes, err)
		}
	}
	spec := classSpec(2, layers(l("dense", "units", 3)))
	spec.Recipe = makeNode("consistnt")
	spec.Custom.Recipes = []RecipeKind{consistentKind(1)}
	var errs Errors
	if _, err := NewPlan(spec, in); !errors.As(err, &errs) || !strings.Contains(err.Error(), `did you mean "consistent"`) {
		t.Error(err)
	}
}

// Metrics of numbers read the output, not the logits that the loss reads.
func TestMetricsReadTheOutput(t *testing.T) {
	in := Input{Shape: []int{2}}
	spec := classSpec(1, layers(l("dense", "units", 2), l("sigmoid")))
	spec.Recipe, spec.Loss, spec.Metrics = makeNode("autoencoder"), makeNode("binary_cross_entropy"), []Node{makeNode("mae")}
	tr := newTrainer(t, mustPlan(t, spec, in), 2, 1)
	clear(tr.w)
	o, _, err := step([]*Trainer{tr}, []*Batch{{Lanes: []int{0}, Rows: []int{0, 2}, X: []float32{0, 1, 1, 1}}})
	if err != nil || o.Metrics[0] != 0.5 {
		t.Errorf("mae of 0.5 from 0 and 1 is %v, %v", o.Metrics, err)
	}
}

// Every network can go back twice through one forward pass, as a gan needs it:
// the gradients are then twice as large.
func TestBackwardTwice(t *testing.T) {
	for name, n := range networks() {
		if n.spec.Recipe.Kind != "" {
			continue
		}
		n.spec.Exact = false
		tr := newTrainer(t, mustPlan(t, n.spec, n.in), 7, 2)
		b := makeBatch(n.in, 1, 4, 3)
		lossAt(t, tr, b)
		once := slices.Clone(tr.floats)
		model := &tr.step.nets[0]
		model.compute(tr.step.Target())
		model.backward(true)
		for i, g := range tr.floats {
			if d := g - 2*once[i]; d > 1e-5 || d < -1e-5 {
				t.Errorf("%s: element %d is %v after one pass and %v after two", name, i, once[i], g)
				break
			}
		}
	}
}
