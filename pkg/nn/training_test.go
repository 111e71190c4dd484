package nn

import (
	"math"
	"slices"
	"testing"
)

// trainSome trains a plan for some steps on one rank.
func trainSome(t *testing.T, plan *Plan, in Input, steps int) *Trainer {
	t.Helper()
	tr := newTrainer(t, plan, 8, plan.Lanes())
	for s := range steps {
		if _, _, err := step([]*Trainer{tr}, []*Batch{makeBatch(in, s, 4, 4)}); err != nil {
			t.Fatal(err)
		}
	}
	return tr
}

// A frozen layer keeps every bit, parameters and running statistics alike, and
// is not part of what travels; a layer with a factor of 1/2 moves half as far.
func TestLearningRateOfALayer(t *testing.T) {
	in := classInput(3, 2, 5, 5)
	model := func(first, last float64) []Node {
		return layers(l("conv2d", "filters", 3, "lr_factor", first), l("batch_norm", "lr_factor", first), l("relu"),
			l("flatten"), l("dense", "units", 3, "lr_factor", last))
	}
	spec := func(model []Node) Spec {
		s := classSpec(2, model)
		s.Optimizer = makeNode("sgd", "lr", 0.1)
		return s
	}
	frozen := mustPlan(t, spec(model(0, 1)), in)
	if frozen.Parameters() != 54+3+6+81+3 || frozen.Trained() != 81+3 {
		t.Errorf("%d parameters, %d trained", frozen.Parameters(), frozen.Trained())
	}
	start, after := trainSome(t, frozen, in, 0).ParamTensors(), trainSome(t, frozen, in, 3)
	for i, p := range after.ParamTensors() {
		same := slices.Equal(p.F32, start[i].F32)
		if isHead := i >= len(start)-2; same == isHead {
			t.Errorf("%s: unchanged is %v", p.Name, same)
		}
	}
	n := 0
	for _, b := range after.Buckets() {
		n += len(b.Int)
	}
	if n != frozen.Trained() {
		t.Errorf("%d numbers travel, want %d", n, frozen.Trained())
	}
	half := trainSome(t, mustPlan(t, spec(model(0, 0.5)), in), in, 1).ParamTensors()
	full := trainSome(t, frozen, in, 1).ParamTensors()
	for i, p := range full[len(full)-2].F32 {
		from, h := start[len(start)-2].F32[i], half[len(half)-2].F32[i]
		if d, e := float64(p-from), float64(h-from); d-2*e > 1e-7 || 2*e-d > 1e-7 {
			t.Fatalf("moved by %g with factor 1/2, by %g without", e, d)
		}
	}
}

// The running mean of the parameters is the model: it is what is evaluated,
// saved and restored. Training goes on from the parameters themselves.
func TestMeanOfParameters(t *testing.T) {
	in := classInput(3, 4)
	spec := classSpec(2, layers(l("dense", "units", 3)))
	plain := trainSome(t, mustPlan(t, spec, in), in, 2)
	spec.Optimizer.Fields["ema"] = 0.75
	plan := mustPlan(t, spec, in)
	tr, begin := trainSome(t, plan, in, 2), trainSome(t, plan, in, 0)
	one := trainSome(t, plan, in, 1)
	if !slices.Equal(tr.w, plain.w) {
		t.Error("the running mean changes training")
	}
	for i, w := range tr.w {
		want := 0.75*(0.75*begin.w[i]+0.25*one.w[i]) + 0.25*w
		if d := tr.ParamTensors()[0].F32; i < len(d) && (tr.ema[i]-want > 1e-6 || want-tr.ema[i] > 1e-6) {
			t.Fatalf("mean %d is %v, want %v", i, tr.ema[i], want)
		}
	}
	restored := newTrainer(t, plan, 8, 2)
	if err := restored.SetState(tr.State()); err != nil {
		t.Fatal(err)
	}
	sameState(t, tr, restored)
	loaded := newTrainer(t, mustPlan(t, classSpec(2, layers(l("dense", "units", 3))), in), 8, 2)
	if err := loaded.SetParams(tr.ParamTensors()); err != nil {
		t.Fatal(err)
	}
	b := makeBatch(in, 9, 4, 4)
	want, err := loaded.Predict(b, 8)
	if err != nil {
		t.Fatal(err)
	}
	got, err := tr.Predict(b, 8)
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("the trainer predicts %v (%v), its model file %v", got, err, want)
	}
}

// A state of another network is refused as a whole.
func TestSetStateRefuses(t *testing.T) {
	in := classInput(3, 4)
	plan := mustPlan(t, classSpec(2, layers(l("dense", "units", 3))), in)
	tr, other := newTrainer(t, plan, 8, 2), trainSome(t, plan, in, 1)
	before := slices.Clone(tr.w)
	good := other.State()
	for name, bad := range map[string][]Tensor{
		"missing":    good[1:],
		"extra":      append(slices.Clone(good), Tensor{Name: "x", F32: []float32{1}, Shape: []int{1}}),
		"shape":      append([]Tensor{{Name: good[0].Name, Shape: []int{4, 3}, F32: good[0].F32}}, good[1:]...),
		"wrong type": append([]Tensor{{Name: good[0].Name, Shape: good[0].Shape, I32: make([]int32, 12)}}, good[1:]...),
	} {
		if err := tr.SetState(bad); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if !slices.Equal(tr.w, before) {
		t.Error("a refused state changed parameters")
	}
	if err := tr.SetState(good); err != nil {
		t.Error(err)
	}
	sameState(t, tr, other)
}

// A batch that does not fit is refused before anything is computed.
func TestBatchesAreChecked(t *testing.T) {
	in := classInput(3, 4)
	tr := newTrainer(t, mustPlan(t, classSpec(4, layers(l("dense", "units", 3))), in), 4, 2)
	for name, edit := range map[string]func(b *Batch){
		"rows":    func(b *Batch) { b.Rows = []int{0, 2, 5} },
		"lane":    func(b *Batch) { b.Lanes = []int{0, 4} },
		"cut":     func(b *Batch) { b.Rows = []int{0, 3, 2} },
		"input":   func(b *Batch) { b.X = b.X[1:] },
		"targets": func(b *Batch) { b.Classes = b.Classes[1:] },
		"class":   func(b *Batch) { b.Classes[0] = 3 },
		"weights": func(b *Batch) { b.Weights = []float32{1} },
	} {
		b := makeBatch(in, 0, 2, 2)
		edit(b)
		if err := tr.Gradient(b, nil); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// No row of weights is longer than max_norm after an update; rows within it and
// biases move as without.
func TestMaxNorm(t *testing.T) {
	in := classInput(3, 2, 5, 5)
	spec := classSpec(2, layers(l("conv2d", "filters", 3), l("flatten"), l("dense", "units", 3)))
	free := trainSome(t, mustPlan(t, spec, in), in, 1)
	const limit = 0.57
	spec.Optimizer.Fields["max_norm"] = limit
	held := trainSome(t, mustPlan(t, spec, in), in, 1)
	long := 0
	for i, p := range free.ParamTensors() {
		got := held.ParamTensors()[i].F32
		rows := 1
		if len(p.Shape) > 1 {
			rows = p.Shape[0]
		}
		for r, cols := 0, len(got)/rows; r < rows; r++ {
			w, g := p.F32[r*cols:][:cols], got[r*cols:][:cols]
			if norm := length(w); rows > 1 && norm > limit {
				long++
				if d := length(g) - limit; d > 1e-6 || d < -1e-6 || math.Abs(float64(g[0])-float64(w[0])*limit/norm) > 1e-6 {
					t.Errorf("%s row %d: length %v and %v, want %v", p.Name, r, length(g), g[0], limit)
				}
			} else if !slices.Equal(w, g) {
				t.Errorf("%s row %d changed", p.Name, r)
			}
		}
	}
	if long < 2 || long > 5 {
		t.Errorf("%d of 6 rows are longer than %v: the test tests nothing", long, limit)
	}
}

func length(w []float32) float64 {
	sum := 0.0
	for _, v := range w {
		sum += float64(v) * float64(v)
	}
	return math.Sqrt(sum)
}
