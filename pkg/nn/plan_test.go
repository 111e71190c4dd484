package nn

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestPlanTable(t *testing.T) {
	plan := mustPlan(t, classSpec(8, layers(
		l("conv2d", "filters", 32, "kernel", 3, "padding", 1), l("relu"), l("max_pool", "size", 2),
		l("conv2d", "filters", 64, "kernel", 3, "same", true), l("relu"), l("max_pool"),
		l("flatten"), l("dense", "units", 128, "name", "fc"), l("dense", "units", 10))), classInput(10, 1, 28, 28))
	want := []Row{
		{"0", "conv2d", []int{32, 28, 28}, 320}, {"1", "relu", []int{32, 28, 28}, 0}, {"2", "max_pool", []int{32, 14, 14}, 0},
		{"3", "conv2d", []int{64, 14, 14}, 18496}, {"4", "relu", []int{64, 14, 14}, 0}, {"5", "max_pool", []int{64, 7, 7}, 0},
		{"6", "flatten", []int{3136}, 0}, {"fc", "dense", []int{128}, 401536}, {"8", "dense", []int{10}, 1290},
	}
	if diff := cmp.Diff(want, plan.Table()); diff != "" {
		t.Error(diff)
	}
	if plan.Parameters() != 421642 {
		t.Errorf("%d parameters", plan.Parameters())
	}
	tr := newTrainer(t, plan, 1, 1)
	var names []string
	for _, p := range tr.ParamTensors() {
		names = append(names, fmt.Sprint(p.Name, p.Shape))
	}
	if diff := cmp.Diff([]string{"0.weight[32 1 3 3]", "0.bias[32]", "3.weight[64 32 3 3]", "3.bias[64]",
		"fc.weight[128 3136]", "fc.bias[128]", "8.weight[10 128]", "8.bias[10]"}, names); diff != "" {
		t.Error(diff)
	}
}

// Everything that is wrong is reported, at its place, with what to do.
func TestPlanErrors(t *testing.T) {
	image := classInput(10, 1, 8, 8)
	dense := func(units any) []Node { return layers(l("flatten"), l("dense", "units", units)) }
	for _, c := range []struct {
		name string
		in   Input
		edit func(s *Spec)
		want string
	}{
		{"unknown layer", image, func(s *Spec) { s.Model = layers(l("flaten"), l("dense", "units", 10)) },
			`model[0].flaten: there is no layer "flaten"; did you mean "flatten"?`},
		{"unknown field", image, func(s *Spec) { s.Model = layers(l("flatten"), l("dense", "units", 10, "unit", 3)) },
			`model[1].dense.unit: dense has no field "unit"; did you mean "units"?`},
		{"missing field", image, func(s *Spec) { s.Model = layers(l("flatten"), l("dense")) },
			`model[1].dense: dense needs "units": number of outputs (an integer at least 1 and at most 16777216)`},
		{"wrong type", image, func(s *Spec) { s.Model = dense("ten") },
			`model[1].dense.units: is "ten"; expected an integer at least 1 and at most 16777216`},
		{"out of bounds", image, func(s *Spec) { s.Model = dense(0) },
			`model[1].dense.units: is 0; expected an integer at least 1 and at most 16777216`},
		{"dense on an image", image, func(s *Spec) { s.Model = layers(l("dense", "units", 10)) },
			`model[0].dense: dense works on vectors, but its input is (1, 8, 8); put flatten before it`},
		{"conv on a vector", image, func(s *Spec) { s.Model = layers(l("flatten"), l("conv2d", "filters", 3)) },
			`model[1].conv2d: conv2d works on images (channels, height, width), but its input is (64)`},
		{"filter too large", image, func(s *Spec) { s.Model = layers(l("conv2d", "filters", 3, "kernel", 9)) },
			`model[0].conv2d.kernel: a filter of 9 x 9 does not fit into the image of 8 x 8`},
		{"wrong classes", image, func(s *Spec) { s.Model = dense(9) },
			`model[1].dense: the network gives (9) for a record, but cross_entropy on 10 classes needs (10)`},
		{"wrong loss", image, func(s *Spec) { s.Loss = makeNode("mse") },
			`mse: mse needs numbers as target, but the data set has classes; use cross_entropy`},
		{"unknown input", image, func(s *Spec) {
			s.Model = layers(l("flatten", "name", "flat"), l("dense", "units", 10, "from", []string{"fat"}))
		}, `model[1].dense.from: there is no layer named "fat" before this one; did you mean "flat"?`},
		{"unused layer", image, func(s *Spec) {
			s.Model = layers(l("flatten", "name", "f"), l("relu"), l("dense", "units", 10, "from", []string{"f"}))
		}, `model[1].relu: nothing reads the output of this layer; name it in the from of a later one, or remove it`},
		{"shapes to add", image, func(s *Spec) {
			s.Model = layers(l("flatten", "name", "f"), l("dense", "units", 3, "name", "d"), l("add", "from", []string{"f", "d"}))
		}, `model[2].add.from: add needs inputs of one shape; they are (64) and (3)`},
		{"three at once", image, func(s *Spec) {
			s.Optimizer = makeNode("adamm")
			s.Schedule = makeNode("cosine", "end", 3)
			s.Metrics = []Node{makeNode("mae")}
		}, `adamm: there is no optimizer "adamm"; did you mean "adam"?
cosine.end: is 3; expected a number at least 0 and at most 1
mae: mae needs numbers as target, but the data set has classes; use accuracy`},
		{"one class", classInput(1, 1, 8, 8), func(s *Spec) { s.Model = dense(1) },
			`cross_entropy: cross_entropy tells classes apart, but the data set has one; check its target, or under of a folder of images`},
		{"class_weights of nothing", classInput(2, 1, 8, 8), func(s *Spec) {
			s.Model = dense(2)
			s.Loss = makeNode("cross_entropy", "class_weights", []any{0.0, 0.0})
		}, `cross_entropy: class_weights are all 0: nothing would be learned`},
		{"top_k of one number", classInput(2, 1, 8, 8), func(s *Spec) {
			s.Model, s.Loss, s.Metrics = dense(1), makeNode("binary_cross_entropy"), []Node{makeNode("top_k")}
		}, `top_k: top_k needs a number for each class, but the network gives one for both; use accuracy`},
		{"no layers", image, func(s *Spec) { s.Model = nil }, "model: has no layers; the least is one, say dense"},
	} {
		t.Run(c.name, func(t *testing.T) {
			spec := classSpec(2, dense(10))
			c.edit(&spec)
			_, err := NewPlan(spec, c.in)
			if diff := cmp.Diff(c.want, fmt.Sprint(err)); diff != "" {
				t.Error(diff)
			}
			if one := (Error{}); !errors.As(err, &one) {
				t.Errorf("%T does not unwrap to Error", err)
			}
		})
	}
}

// Every entry says enough for a job file and its documentation.
func TestCatalogue(t *testing.T) {
	classes := []string{classLayer, classActivation, classLoss, classOptimizer, classSchedule, classMetric, classRecipe}
	seen := map[string]bool{}
	for _, e := range Catalogue() {
		if e.Name == "" || e.Summary == "" || !slices.Contains(classes, e.Class) || seen[e.Class+e.Name] {
			t.Errorf("entry %+v", e)
		}
		if layer := e.Class == classLayer || e.Class == classActivation; layer != strings.Contains(e.Shapes, " -> ") {
			t.Errorf("%s: shapes %q", e.Name, e.Shapes)
		}
		seen[e.Class+e.Name] = true
		short := 0
		for _, f := range e.Fields {
			if f.Summary == "" || f.Name == "name" || f.Name == "from" {
				t.Errorf("%s: field %+v", e.Name, f)
			}
			if f.Short {
				short++
			}
			if !f.Required && f.Default != nil && f.Type != typeFlts && f.Type != typeInts {
				if _, err := f.convert(f.Default); err != nil {
					t.Errorf("%s: the default of %s %v", e.Name, f.Name, err)
				}
			}
		}
		if short > 1 {
			t.Errorf("%s has %d short fields", e.Name, short)
		}
	}
}

func TestConvertFields(t *testing.T) {
	f := integer("n", 1, "").min(0).max(10)
	for _, bad := range []any{"3", 1.5, -1, int64(11), nil, []any{1}, math.NaN(), uint64(math.MaxUint64), true} {
		if v, err := f.convert(bad); err == nil {
			t.Errorf("%v was read as %v", bad, v)
		}
	}
	for _, good := range []any{3, int64(3), uint64(3), 3.0} {
		if v, err := f.convert(good); err != nil || v != 3 {
			t.Errorf("%T: %v %v", good, v, err)
		}
	}
	if _, err := word("w", "", []string{"alpha", "beta"}, "").convert("bta"); err == nil || !strings.Contains(err.Error(), `did you mean "beta"?`) {
		t.Error(err)
	}
	if v, err := number("x", 0, "").above(0).below(1).convert(1); err == nil {
		t.Errorf("1 is below 1: %v", v)
	}
}
