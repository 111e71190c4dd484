package nn

import (
	"slices"
	"testing"
)

// counted is a layer with a parameter that passes on its input and counts rows.
type counted struct{ rows *int }

func (c counted) Forward(p *Pass) {
	*c.rows += p.Rows()
	copy(p.Y(), p.X(0))
}

func (c counted) Backward(p *Pass) {
	if dx := p.DX(0); dx != nil {
		copy(dx, p.DY())
	}
}

func countedKind(rows *int) LayerKind {
	return LayerKind{Entry: Entry{Name: "counted"}, Fit: func(s *Site) Fitted {
		return Fitted{Layer: counted{rows}, Out: s.In[0].Shape, MACs: 1}
	}}
}

// frozenJobs are networks whose first layers are not trained: branches that meet
// behind them, tokens, and an activation that is fused.
func frozenJobs() map[string]checkedNetwork {
	frozen := func(s Spec, names string) Spec {
		s.Groups, s.Optimizer = []Group{group(names, 0, 1)}, makeNode("adamw", "weight_decay", 0.1, "ema", 0.7)
		return s
	}
	text := classInput(3, 6)
	text.Tokens = 7
	return map[string]checkedNetwork{
		"images": {frozen(classSpec(2, layers(l("conv2d", "filters", 3, "name", "f1"), l("relu", "name", "a"), l("batch_norm", "name", "f2"), l("counted"),
			l("conv2d", "filters", 3, "name", "f3"), l("tanh", "name", "b"), l("global_avg_pool", "name", "p"), l("global_max_pool", "from", []string{"a"}, "name", "q"),
			l("concat", "from", []string{"p", "q"}), l("dense", "units", 6), l("dropout"), l("dense", "units", 5))), "f[123].*"), classInput(5, 2, 7, 6)},
		"residual": {frozen(classSpec(2, layers(l("conv2d", "filters", 2, "same", true, "name", "f1"), l("batch_norm", "name", "f2"), l("add", "from", []string{"f2", "input"}),
			l("relu"), l("counted", "name", "c"), l("conv2d", "filters", 2, "same", true), l("batch_norm", "name", "n"), l("add", "from", []string{"n", "c"}),
			l("tanh"), l("flatten"), l("dense", "units", 5))), "f[12].*"), classInput(5, 2, 7, 6)},
		"tokens": {frozen(classSpec(2, layers(l("embedding", "dim", 4, "name", "f1"), l("counted"), l("gru", "units", 4, "padding", 2, "name", "f2"),
			l("attention", "padding", 2), l("lstm", "units", 3, "output", "last"), l("dense", "units", 3))), "f[12].*"), text},
	}
}

// Fixed layers see a record once, and no bit differs from what they give when
// they see it in every epoch; also if there is not room for all records.
func TestFeaturesAreKept(t *testing.T) {
	for name, n := range frozenJobs() {
		for _, room := range []int64{0, 3, 100} {
			t.Run(name, func(t *testing.T) {
				seen := 0
				n.spec.Custom.Layers = []LayerKind{countedKind(&seen)}
				plan := mustPlan(t, n.spec, n.in)
				plain, keeping := newTrainer(t, plan, 8, 2), newTrainer(t, plan, 3, 2) // in turns, too
				keeping.KeepFeatures(room*4*int64(plan.Features()), 16, 16)
				counts := [2]int{}
				for s := range 6 {
					for i, tr := range []*Trainer{plain, keeping} {
						seen = 0
						b := shuffled(n.in, s)
						if _, _, err := step([]*Trainer{tr}, []*Batch{b}); err != nil {
							t.Fatal(err)
						}
						tr.ResetEval()
						if err := tr.Evaluate(b); err != nil {
							t.Fatal(err)
						}
						counts[i] += seen
					}
					sameState(t, plain, keeping)
					if !slices.Equal(plain.EvalStats(), keeping.EvalStats()) {
						t.Fatalf("step %d: the evaluation differs", s)
					}
				}
				for _, p := range plan.params {
					if p.factor == 0 && !slices.Equal(p.view("", keeping.ema).F32, p.view("", keeping.w).F32) {
						t.Errorf("%s: the running mean of what is frozen has moved", p.name)
					}
				}
				if want := map[int64]int{0: counts[0], 100: 2 * 8}[room]; want > 0 && counts[1] != want || room == 3 && counts[1] >= counts[0] {
					t.Errorf("fixed layers saw %d rows, without room %d", counts[1], counts[0])
				}
			})
		}
	}
}

// shuffled has 5 of 8 records, others in every step.
func shuffled(in Input, step int) *Batch {
	all, b := makeBatch(in, 0, 5, 3), makeBatch(in, 0, 3, 2)
	b.Step = step
	for r := range 5 {
		id := (step*3 + r*5) % 8
		b.Records = append(b.Records, int64(id))
		n := size(in.Shape)
		if in.Tokens > 0 {
			copy(b.Tokens[r*n:][:n], all.Tokens[id*n:])
		} else {
			copy(b.X[r*n:][:n], all.X[id*n:])
		}
		b.Classes[r] = all.Classes[id]
	}
	return b
}

// What differs from epoch to epoch is not kept, nor what is behind it.
func TestWhatIsNotFixed(t *testing.T) {
	for name, c := range map[string]struct {
		model []Node
		want  int
	}{
		"all trained":                 {layers(l("dense", "units", 4), l("dense", "units", 5)), 0},
		"no frozen layer multiplies":  {layers(l("relu"), l("dense", "units", 5)), 0},
		"frozen behind a trained one": {layers(l("dense", "units", 4), l("dense", "units", 3, "name", "f1"), l("dense", "units", 5)), 0},
		"frozen behind dropout":       {layers(l("dropout"), l("dense", "units", 3, "name", "f1"), l("dense", "units", 5)), 0},
		"up to dropout":               {layers(l("dense", "units", 3, "name", "f1"), l("dropout"), l("dense", "units", 4, "name", "f2"), l("dense", "units", 5)), 3},
		"up to a batch-norm":          {layers(l("dense", "units", 3, "name", "f1"), l("batch_norm"), l("dense", "units", 5)), 3},
		"behind a frozen batch-norm":  {layers(l("dense", "units", 3, "name", "f1"), l("batch_norm", "name", "f2"), l("dense", "units", 2, "name", "f3"), l("dense", "units", 5)), 2},
		"two values":                  {layers(l("dense", "units", 3, "name", "f1"), l("dense", "units", 2, "name", "f2"), l("concat", "from", []string{"f1", "f2"}), l("dense", "units", 5)), 5},
	} {
		spec := classSpec(2, c.model)
		if name != "all trained" && name != "no frozen layer multiplies" {
			spec.Groups = []Group{group("f[123].*", 0, 1)}
		}
		if got := mustPlan(t, spec, classInput(5, 3)).Features(); got != c.want {
			t.Errorf("%s: %d numbers a record, want %d", name, got, c.want)
		}
	}
}
