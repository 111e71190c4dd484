package nn

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/lockstep-ml/lockstep/internal/philox"
	"github.com/lockstep-ml/lockstep/pkg/tensor"
)

func newEngine(t testing.TB) *tensor.Engine { return newEngineOf(t, tensor.Config{Threads: 1}) }

func newEngineOf(t testing.TB, c tensor.Config) *tensor.Engine {
	t.Helper()
	eng, err := tensor.New(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(eng.Close)
	return eng
}

// layers makes a model of "kind" or {"kind", "field", value, …}; the fields
// name and from are the node's.
func layers(specs ...[]any) []Node {
	var model []Node
	for i, s := range specs {
		n := makeNode(s...)
		n.Path = fmt.Sprintf("model[%d].%s", i, n.Kind)
		model = append(model, n)
	}
	return model
}

func makeNode(s ...any) Node {
	n := Node{Kind: s[0].(string), Path: s[0].(string), Fields: map[string]any{}}
	for i := 1; i < len(s); i += 2 {
		switch field := s[i].(string); field {
		case "name":
			n.Name = s[i+1].(string)
		case "from":
			n.From = s[i+1].([]string)
		default:
			n.Fields[field] = s[i+1]
		}
	}
	return n
}

func l(s ...any) []any { return s }

// classSpec is a classifier trained by plain SGD in exact arithmetic.
func classSpec(lanes int, model []Node) Spec {
	return Spec{Model: model, Loss: makeNode("cross_entropy"), Optimizer: makeNode("sgd", "lr", 0.1, "momentum", 0.9),
		Metrics: []Node{makeNode("accuracy")}, Seed: 7, Epochs: 2, StepsPerEpoch: 10, Lanes: lanes, Exact: true}
}

func classInput(classes int, shape ...int) Input {
	return Input{Shape: shape, Target: Target{Kind: TargetClass, Classes: classes}}
}

func mustPlan(t testing.TB, spec Spec, in Input) *Plan {
	t.Helper()
	plan, err := NewPlan(spec, in)
	if err != nil {
		t.Fatal(err)
	}
	return plan
}

func newTrainer(t testing.TB, plan *Plan, rows, lanes int) *Trainer {
	t.Helper()
	tr, err := NewTrainer(newEngine(t), plan, rows, lanes)
	if err != nil {
		t.Fatal(err)
	}
	tr.Init()
	return tr
}

// makeBatch is a batch of all lanes with random content; lane i has rows[i]
// records. Its content depends on lane, step and the record only.
func makeBatch(in Input, step int, rows ...int) *Batch {
	b := &Batch{Step: step, Rows: []int{0}}
	for lane, n := range rows {
		b.Lanes = append(b.Lanes, lane)
		b.Rows = append(b.Rows, b.Len()+n)
		s := philox.New(99, philox.Noise, 0, step, lane)
		for i := range n * size(in.Shape) {
			if in.Tokens > 0 {
				b.Tokens = append(b.Tokens, int32(int(s.Uint32(uint64(i)))%in.Tokens))
			} else {
				b.X = append(b.X, 2*s.Float32(uint64(i))-1)
			}
		}
		for i := range n * in.Target.Size() {
			word := uint64(1<<40 + i)
			if in.Target.Kind == TargetClass {
				b.Classes = append(b.Classes, int32(s.Uint32(word)%uint32(in.Target.Classes)))
			} else {
				b.Y = append(b.Y, 2*s.Float32(word)-1)
			}
			if in.Target.Mixed {
				b.Others = append(b.Others, int32(s.Uint32(1<<41+word)%uint32(in.Target.Classes)))
			}
		}
		for i := range n {
			if in.Target.Mixed {
				b.Shares = append(b.Shares, (1+s.Float32(uint64(1<<42+i)))/2)
			}
		}
	}
	return b
}

// pick is the part of b in some of its lanes.
func pick(in Input, b *Batch, lanes ...int) *Batch {
	part := &Batch{Epoch: b.Epoch, Step: b.Step, Rows: []int{0}}
	x, y := size(in.Shape), in.Target.Size()
	for _, lane := range lanes {
		i := slices.Index(b.Lanes, lane)
		from, to := b.Rows[i], b.Rows[i+1]
		part.Lanes = append(part.Lanes, lane)
		part.Rows = append(part.Rows, part.Len()+to-from)
		if b.X != nil {
			part.X = append(part.X, b.X[from*x:to*x]...)
		}
		if b.Tokens != nil {
			part.Tokens = append(part.Tokens, b.Tokens[from*x:to*x]...)
		}
		if b.Classes != nil {
			part.Classes = append(part.Classes, b.Classes[from*y:to*y]...)
		}
		if b.Shares != nil {
			part.Shares = append(part.Shares, b.Shares[from:to]...)
			part.Others = append(part.Others, b.Others[from*y:to*y]...)
		}
		if b.Y != nil {
			part.Y = append(part.Y, b.Y[from*y:to*y]...)
		}
		if b.Weights != nil {
			part.Weights = append(part.Weights, b.Weights[from:to]...)
		}
	}
	return part
}

// errTooManyRepeats means that exponents do not settle.
var errTooManyRepeats = errors.New("step repeated again and again")

// step does one step on several ranks as a ring would: sums, then commits. It
// returns rank 0's outcome and how often the step was repeated.
func step(ranks []*Trainer, parts []*Batch) (Outcome, int, error) {
	for repeats := range 5 {
		for i, r := range ranks {
			if err := r.Gradient(parts[i], nil); err != nil {
				return Outcome{}, repeats, err
			}
		}
		sumRanks(ranks)
		var first Outcome
		for i, r := range ranks {
			o, err := r.Commit()
			if err != nil {
				return o, repeats, err
			}
			if i == 0 {
				first = o
			} else if o.Repeat != first.Repeat || o.Loss != first.Loss {
				return o, repeats, fmt.Errorf("rank %d: %+v, rank 0: %+v", i, o, first)
			}
		}
		if !first.Repeat {
			return first, repeats, nil
		}
	}
	return Outcome{}, 5, errTooManyRepeats
}

func sumRanks(ranks []*Trainer) {
	for _, r := range ranks[1:] {
		for j, b := range r.Buckets() {
			addTo(ranks[0].Buckets()[j].Int, b.Int)
			addTo(ranks[0].Buckets()[j].Float, b.Float)
		}
		addTo(ranks[0].Stats(), r.Stats())
	}
	for _, r := range ranks[1:] {
		for j, b := range r.Buckets() {
			copy(b.Int, ranks[0].Buckets()[j].Int)
			copy(b.Float, ranks[0].Buckets()[j].Float)
		}
		copy(r.Stats(), ranks[0].Stats())
	}
}

func addTo[T int32 | float32](to, from []T) {
	for i, v := range from {
		to[i] += v
	}
}

// sameState fails the test if two trainers differ in any bit of their state.
func sameState(t *testing.T, a, b *Trainer) {
	t.Helper()
	other := b.State()
	for i, s := range a.State() {
		if !slices.Equal(s.F32, other[i].F32) || !slices.Equal(s.I32, other[i].I32) {
			t.Fatalf("%s differs", s.Name)
		}
	}
}
