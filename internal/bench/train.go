package bench

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"time"

	"github.com/lockstep-ml/lockstep/internal/philox"
	"github.com/lockstep-ml/lockstep/pkg/nn"
	"github.com/lockstep-ml/lockstep/pkg/tensor"
)

// TrainOptions set what Train measures.
type TrainOptions struct {
	// Models are the networks, in TrainModels; all if empty.
	Models []string
	// Arithmetic is exact or fast; "" means exact.
	Arithmetic string
	// Lanes of a batch; 0 means 8.
	Lanes int
	// Threads of the tensor engine; 0 means GOMAXPROCS.
	Threads int
	// ISA is the instruction set; "" means the best.
	ISA string
	// Runs is the number of measured runs, each of at least RunTime; 0 means 7.
	Runs int
	// RunTime is the least length of a run; 0 means 300 ms.
	RunTime time.Duration
}

// TrainResult is the record that Train emits for a network.
type TrainResult struct {
	Bench      string `json:"bench"` // "train"
	Model      string `json:"model"`
	Arithmetic string `json:"arithmetic"` // exact or fast
	Lanes      int    `json:"lanes"`
	Threads    int    `json:"threads"`
	Workers    int    `json:"workers"` // 1: in this process, without a ring
	ISA        string `json:"isa"`
	Batch      int    `json:"batch"` // records of a step
	// RecordsPerSecond is the median over the runs.
	RecordsPerSecond float64 `json:"records_per_second"`
	// GFlops is RecordsPerSecond in 1e9 floating point operations a second.
	GFlops float64 `json:"gflops"`
	// PeakRatio is the median of the ratios of a run's GFlops to the peak of the
	// threads' cores, measured on multiply-adds in registers of one before the run.
	PeakRatio float64 `json:"peak_ratio"`
	// AllocsPerStep is the number of heap allocations of a step.
	AllocsPerStep float64 `json:"allocs_per_step"`
	Runs          int     `json:"runs"`
}

// TrainModels names the networks that Train measures.
func TrainModels() []string {
	var names []string
	for _, n := range networks() {
		names = append(names, n.name)
	}
	return names
}

func (o TrainOptions) defaults() TrainOptions {
	if len(o.Models) == 0 {
		o.Models = TrainModels()
	}
	if o.Lanes == 0 {
		o.Lanes = 8
	}
	if o.Arithmetic == "" {
		o.Arithmetic = "exact"
	}
	if o.Runs == 0 {
		o.Runs = 7
	}
	if o.RunTime == 0 {
		o.RunTime = 300 * time.Millisecond
	}
	return o
}

// Validate reports all that is wrong.
func (o TrainOptions) Validate() error {
	var errs []error
	for _, m := range o.Models {
		if !slices.Contains(TrainModels(), m) {
			errs = append(errs, fmt.Errorf("model %q: must be one of %v", m, TrainModels()))
		}
	}
	if o.Arithmetic != "" && o.Arithmetic != "exact" && o.Arithmetic != "fast" {
		errs = append(errs, fmt.Errorf("arithmetic %q: must be exact or fast", o.Arithmetic))
	}
	if o.Lanes < 0 || o.Lanes > 1024 {
		errs = append(errs, fmt.Errorf("lanes %d: must be 1 to 1024", o.Lanes))
	}
	if o.Runs < 0 || o.Runs > 10_000 {
		errs = append(errs, fmt.Errorf("runs %d: must be 1 to 10000", o.Runs))
	}
	return errors.Join(errs...)
}

// Train measures steps (forward, backward, update) of networks on random input
// in this process, and emits one TrainResult for each network.
func Train(ctx context.Context, o TrainOptions, emit func(any)) error {
	if err := o.Validate(); err != nil {
		return fmt.Errorf("bench train: %w", err)
	}
	o = o.defaults()
	eng, err := tensor.New(tensor.Config{ISA: o.ISA, Threads: o.Threads})
	if err != nil {
		return fmt.Errorf("bench train: %w", err)
	}
	defer eng.Close()
	for _, n := range networks() {
		if !slices.Contains(o.Models, n.name) {
			continue
		}
		r, err := measureTrain(ctx, eng, n, o)
		if err != nil {
			return fmt.Errorf("bench train %s: %w", n.name, err)
		}
		emit(r)
	}
	return nil
}

// newStepper makes a trainer for a network and warms it up: exponents settle,
// memory is touched.
func newStepper(eng *tensor.Engine, n network, exact bool, lanes int) (*stepper, *nn.Plan, error) {
	spec := n.spec
	spec.Lanes, spec.Exact, spec.Epochs, spec.StepsPerEpoch = lanes, exact, 1, 1000
	plan, err := nn.NewPlan(spec, n.in)
	if err != nil {
		return nil, nil, err
	}
	t, err := nn.NewTrainer(eng, plan, n.batch, lanes)
	if err != nil {
		return nil, nil, err
	}
	t.Init()
	s := &stepper{trainer: t, batch: randomBatch(n.in, n.batch, lanes)}
	_, err = s.run(context.Background(), 3, 0)
	return s, plan, err
}

func measureTrain(ctx context.Context, eng *tensor.Engine, n network, o TrainOptions) (TrainResult, error) {
	s, plan, err := newStepper(eng, n, o.Arithmetic == "exact", o.Lanes)
	if err != nil {
		return TrainResult{}, err
	}
	rates, ratios := make([]float64, o.Runs), make([]float64, o.Runs)
	flops, steps := float64(plan.Flops())/1e9, 0
	var before, after runtime.MemStats
	var allocs uint64
	for i := range rates {
		peak := rate(o.RunTime/20, func() float64 { return eng.Spin(2000) })
		runtime.ReadMemStats(&before)
		start := time.Now()
		done, err := s.run(ctx, 1, o.RunTime)
		if err != nil {
			return TrainResult{}, err
		}
		rates[i] = float64(done*n.batch) / time.Since(start).Seconds()
		ratios[i] = rates[i] * flops / (peak * float64(eng.Threads()))
		runtime.ReadMemStats(&after)
		allocs += after.Mallocs - before.Mallocs
		steps += done
	}
	records := median(rates)
	return TrainResult{Bench: "train", Model: n.name, Arithmetic: o.Arithmetic,
		Lanes: o.Lanes, Threads: eng.Threads(), Workers: 1, ISA: eng.ISA(), Batch: n.batch, RecordsPerSecond: records,
		GFlops: records * flops, PeakRatio: median(ratios), AllocsPerStep: float64(allocs / uint64(steps)), Runs: o.Runs}, nil
}

// stepper does the same step again and again.
type stepper struct {
	trainer *nn.Trainer
	batch   *nn.Batch
}

// run does at least least steps and goes on until atLeast has passed. It returns
// how many it did; a repeated step counts once.
func (s *stepper) run(ctx context.Context, least int, atLeast time.Duration) (int, error) {
	start := time.Now()
	for done := 0; ; {
		if done >= least && time.Since(start) >= atLeast {
			return done, nil
		}
		if err := ctx.Err(); err != nil {
			return done, err
		}
		if err := s.trainer.Gradient(s.batch, nil); err != nil {
			return done, err
		}
		o, err := s.trainer.Commit()
		if err != nil {
			return done, err
		}
		if !o.Repeat {
			done++
		}
	}
}

// randomBatch is rows records dealt to lanes as evenly as they go.
func randomBatch(in nn.Input, rows, lanes int) *nn.Batch {
	b := &nn.Batch{Rows: []int{0}}
	for lane := range lanes {
		b.Lanes = append(b.Lanes, lane)
		b.Rows = append(b.Rows, rows*(lane+1)/lanes)
	}
	n := rows
	for _, d := range in.Shape {
		n *= d
	}
	s := philox.New(1, philox.Noise, 0, 0, 0)
	if in.Tokens > 0 {
		b.Tokens = make([]int32, n)
		for i := range b.Tokens {
			b.Tokens[i] = int32(s.Uint32(uint64(i)) % uint32(in.Tokens))
		}
	} else {
		b.X = make([]float32, n)
		for i := range b.X {
			b.X[i] = 2*s.Float32(uint64(i)) - 1
		}
	}
	b.Classes = make([]int32, rows*in.Target.Size())
	for i := range b.Classes {
		b.Classes[i] = int32(s.Uint32(uint64(n+i)) % uint32(in.Target.Classes))
	}
	return b
}
