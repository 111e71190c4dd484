package nn

import (
	"math"
	"strings"
	"testing"
)

// lists is a trainer of ctc without layers between: the parameters are one row of
// outputs for each position.
func lists(t *testing.T, steps, length int) *Trainer {
	t.Helper()
	spec := classSpec(1, layers(l("dense", "units", 3*steps, "bias", false), l("reshape", "shape", []any{steps, 3})))
	spec.Loss, spec.Metrics = makeNode("ctc"), nil
	in := Input{Shape: []int{1}, Target: Target{Kind: TargetClass, Classes: 3, Shape: []int{length}}}
	return newTrainer(t, mustPlan(t, spec, in), 2, 1)
}

// The probability is the sum over all ways to write the labels, counted one by one.
func TestCTCCountsAllWays(t *testing.T) {
	const steps = 5
	tr := lists(t, steps, 3)
	logs := make([][3]float64, steps)
	for i := range logs {
		sum := 0.0
		for c := range 3 {
			sum += math.Exp(float64(tr.w[3*i+c]))
		}
		for c := range 3 {
			logs[i][c] = float64(tr.w[3*i+c]) - math.Log(sum)
		}
	}
	for _, labels := range [][]int32{{1, 2, 0}, {1, 1, 0}, {2, 1, 2}, {0, 0, 0}, {2, 0, 0}, {1, 1, 2}} {
		want := 0.0
		for way := range 243 {
			said, last, p := []int32{}, int32(0), 0.0
			for i, rest := 0, way; i < steps; i, rest = i+1, rest/3 {
				c := int32(rest % 3)
				if c != 0 && c != last {
					said = append(said, c)
				}
				last = c
				p += logs[i][c]
			}
			for len(said) < 3 {
				said = append(said, 0)
			}
			if len(said) == 3 && said[0] == labels[0] && said[1] == labels[1] && said[2] == labels[2] {
				want += math.Exp(p)
			}
		}
		b := &Batch{Lanes: []int{0}, Rows: []int{0, 1}, X: []float32{1}, Classes: labels}
		if got := lossAt(t, tr, b); math.Abs(got+math.Log(want)) > 1e-6 {
			t.Errorf("%v: loss %v, want %v", labels, got, -math.Log(want))
		}
	}
}

// A record whose labels need more positions than there are counts nothing.
func TestCTCPassesOverWhatCannotBe(t *testing.T) {
	tr := lists(t, 3, 3)
	good := &Batch{Lanes: []int{0}, Rows: []int{0, 1}, X: []float32{1}, Classes: []int32{1, 2, 0}}
	both := &Batch{Lanes: []int{0}, Rows: []int{0, 2}, X: []float32{1, 1}, Classes: []int32{1, 2, 0, 1, 1, 2}}
	want, got := lossAt(t, tr, good), lossAt(t, tr, both)
	if want != got || math.IsNaN(got) {
		t.Errorf("loss %v with a record that cannot be, %v without", got, want)
	}
	for i, d := range tr.gradient(tr.plan.judged().logits, 2)[9:] {
		if d != 0 {
			t.Errorf("gradient %d of it is %v", i, d)
		}
	}
}

func TestCTCNeedsLists(t *testing.T) {
	for want, change := range map[string]func(*Spec, *Input){
		"ctc: ctc needs a list of classes as target, but the data set has classes of shape ()": func(_ *Spec, in *Input) { in.Target.Shape = nil },
		"ctc: blank is 3, but there are classes 0 to 2":                                        func(s *Spec, _ *Input) { s.Loss.Fields["blank"] = 3 },
		"model[0].dense: the network gives (4, 5) for a record, but ctc on 3 classes needs":    func(s *Spec, _ *Input) { s.Model[0].Fields["units"] = 5 },
		"accuracy: accuracy compares classes position by position, and ctc does not say":       func(s *Spec, _ *Input) { s.Metrics = []Node{makeNode("accuracy")} },
	} {
		spec := classSpec(1, layers(l("dense", "units", 3)))
		spec.Loss, spec.Metrics = makeNode("ctc"), nil
		in := Input{Shape: []int{4, 2}, Target: Target{Kind: TargetClass, Classes: 3, Shape: []int{2}}}
		change(&spec, &in)
		if _, err := NewPlan(spec, in); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
}

func TestMath64(t *testing.T) {
	for i := range 7000 {
		x := -float64(i) / 10
		if got, want := exp64(x), math.Exp(x); math.Abs(got-want) > 2e-15*want {
			t.Errorf("exp(%v) = %v, want %v", x, got, want)
		}
		x = 1e-3 + float64(i)*float64(i)/100
		if got, want := log64(x), math.Log(x); math.Abs(got-want) > 1e-15*max(1, math.Abs(want)) {
			t.Errorf("log(%v) = %v, want %v", x, got, want)
		}
	}
	if exp64(never) != 0 || exp64(0) != 1 || log64(1) != 0 {
		t.Error("the ends are not exact")
	}
}
