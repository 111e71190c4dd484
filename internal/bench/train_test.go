package bench

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lockstep-ml/lockstep/internal/alloctest"
	"github.com/lockstep-ml/lockstep/pkg/nn"
	"github.com/lockstep-ml/lockstep/pkg/tensor"
)

func TestTrain(t *testing.T) {
	for given, want := range map[string]string{"": "exact", "fast": "fast"} {
		o := TrainOptions{Models: []string{"mlp"}, Arithmetic: given, Threads: 1, Runs: 1, RunTime: time.Nanosecond}
		var got []TrainResult
		if err := Train(context.Background(), o, func(r any) { got = append(got, r.(TrainResult)) }); err != nil {
			t.Fatal(err)
		}
		if len(got) != 1 {
			t.Fatalf("%+v", got)
		}
		if r := got[0]; r.Arithmetic != want || r.Batch != 128 || r.Lanes != 8 || r.RecordsPerSecond <= 0 || r.GFlops <= 0 || r.PeakRatio <= 0 {
			t.Errorf("%+v", r)
		}
	}
}

// Every network can be planned.
func TestNetworks(t *testing.T) {
	for name, params := range map[string]int{"mlp": 669706, "cnn": 421642, "resnet20": 272474, "lstm": 360544, "gru": 278112, "gpt": 818241} {
		i := slices.IndexFunc(networks(), func(n network) bool { return n.name == name })
		spec := networks()[i].spec
		spec.Lanes = 8
		plan, err := nn.NewPlan(spec, networks()[i].in)
		if err != nil || plan.Parameters() != params {
			t.Errorf("%s: %v, %v; want %d parameters", name, plan, err, params)
		}
	}
}

// A whole step of every network allocates nothing, on one thread or on several.
func TestStepAllocatesNothing(t *testing.T) {
	for threads := 1; threads <= 2; threads++ {
		eng, err := tensor.New(tensor.Config{Threads: threads})
		if err != nil {
			t.Fatal(err)
		}
		defer eng.Close()
		for _, n := range networks() {
			n.batch = 4
			for _, exact := range []bool{true, false} {
				s, _, err := newStepper(eng, n, exact, 2)
				if err != nil {
					t.Fatal(n.name, err)
				}
				if allocs := alloctest.PerRun(2, func() {
					if _, err := s.run(context.Background(), 1, 0); err != nil {
						t.Fatal(n.name, err)
					}
				}); allocs != 0 {
					t.Errorf("%s, exact %t, %d threads: a step allocates %v times", n.name, exact, threads, allocs)
				}
			}
		}
	}
}

func TestTrainRefuses(t *testing.T) {
	err := Train(context.Background(), TrainOptions{Models: []string{"vgg"}, Arithmetic: "slow", Lanes: -1}, nil)
	for _, want := range []string{`model "vgg"`, `arithmetic "slow"`, "lanes -1"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v does not say %s", err, want)
		}
	}
}

// BenchmarkStep is one step of every network.
func BenchmarkStep(b *testing.B) {
	for _, n := range networks() {
		for _, exact := range []bool{true, false} {
			b.Run(fmt.Sprintf("%s/exact=%v", n.name, exact), func(b *testing.B) {
				eng, err := tensor.New(tensor.Config{Threads: 1})
				if err != nil {
					b.Fatal(err)
				}
				defer eng.Close()
				s, _, err := newStepper(eng, n, exact, 8)
				if err != nil {
					b.Fatal(err)
				}
				b.ReportAllocs()
				start := processorTime()
				for b.Loop() {
					if _, err := s.run(b.Context(), 1, 0); err != nil {
						b.Fatal(err)
					}
				}
				b.ReportMetric(float64(n.batch)*float64(b.N)/(processorTime()-start).Seconds(), "records/cpu-s")
			})
		}
	}
}
