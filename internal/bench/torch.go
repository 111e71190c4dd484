package bench

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"time"

	"github.com/lockstep-ml/lockstep/pkg/tensor"
)

// TorchOptions set what Torch measures.
type TorchOptions struct {
	// Command starts bench/torch/networks.py.
	Command func(ctx context.Context) *exec.Cmd
	// Models are the networks, in TrainModels; all if empty.
	Models []string
	// Runs is the number of measured runs of each; 0 means 9.
	Runs int
	// RunTime is the least length of a run; 0 means 300 ms.
	RunTime time.Duration
}

// TorchResult compares the training of one network with PyTorch on one thread.
// Figures are in records a second of the processor's time, so that other programs
// disturb them little, medians over the runs; ratios are medians of the ratios of
// runs that followed each other.
type TorchResult struct {
	Bench string  `json:"bench"` // "torch"
	Model string  `json:"model"`
	ISA   string  `json:"isa"`
	Batch int     `json:"batch"`
	Torch float64 `json:"torch"`
	Fast  float64 `json:"fast"`
	Exact float64 `json:"exact"` // with 8 lanes
	// FastToTorch and ExactToTorch are above 1 where lockstep is faster.
	FastToTorch  float64 `json:"fast_to_torch"`
	ExactToTorch float64 `json:"exact_to_torch"`
	ExactToFast  float64 `json:"exact_to_fast"`
	Runs         int     `json:"runs"`
}

// Torch trains the networks of Train in turns with PyTorch, on one thread, and
// emits a TorchResult for each.
func Torch(ctx context.Context, o TorchOptions, emit func(any)) (err error) {
	if o.Runs == 0 {
		o.Runs = 9
	}
	if o.RunTime == 0 {
		o.RunTime = 300 * time.Millisecond
	}
	if err := (TrainOptions{Models: o.Models}).Validate(); err != nil {
		return fmt.Errorf("bench torch: %w", err)
	}
	eng, err := tensor.New(tensor.Config{Threads: 1})
	if err != nil {
		return fmt.Errorf("bench torch: %w", err)
	}
	defer eng.Close()
	p, err := startPeer(o.Command(ctx))
	if err != nil {
		return fmt.Errorf("bench torch: %w", err)
	}
	defer func() { err = errors.Join(err, p.stop()) }()
	for _, n := range networks() {
		if len(o.Models) > 0 && !slices.Contains(o.Models, n.name) {
			continue
		}
		r, err := measureTorch(ctx, eng, p, n, o)
		if err != nil {
			return fmt.Errorf("bench torch %s: %w", n.name, err)
		}
		emit(r)
	}
	return nil
}

func measureTorch(ctx context.Context, eng *tensor.Engine, p *peer, n network, o TorchOptions) (TorchResult, error) {
	const fast, torch, exact = 0, 1, 2
	r := TorchResult{Bench: "torch", Model: n.name, ISA: eng.ISA(), Batch: n.batch, Runs: o.Runs}
	var steppers [3]*stepper
	for _, kind := range [2]int{fast, exact} {
		s, plan, err := newStepper(eng, n, kind == exact, 8)
		if err != nil {
			return r, err
		}
		steppers[kind] = s
		if kind == exact {
			// The other network must be the same one: it has as many parameters.
			if err := p.expect("model "+n.name, fmt.Sprint("ok ", plan.Parameters())); err != nil {
				return r, err
			}
		}
	}
	var rates [3][]float64
	for range o.Runs {
		for kind, s := range steppers {
			rate, err := s.rate(ctx, p, n.batch, o.RunTime)
			if err != nil {
				return r, err
			}
			rates[kind] = append(rates[kind], rate)
		}
	}
	r.Torch, r.Fast, r.Exact = median(rates[torch]), median(rates[fast]), median(rates[exact])
	r.FastToTorch, r.ExactToTorch = ratio(rates[fast], rates[torch]), ratio(rates[exact], rates[torch])
	r.ExactToFast = ratio(rates[exact], rates[fast])
	return r, nil
}

// rate is the records a second of a run of the stepper, or of the peer without
// one.
func (s *stepper) rate(ctx context.Context, p *peer, batch int, d time.Duration) (float64, error) {
	if s == nil {
		return p.run(d)
	}
	start := processorTime()
	steps, err := s.run(ctx, 1, d)
	return float64(steps*batch) / (processorTime() - start).Seconds(), err
}

// ratio is the median of a/b.
func ratio(a, b []float64) float64 {
	ratios := make([]float64, len(a))
	for i := range a {
		ratios[i] = a[i] / b[i]
	}
	return median(ratios)
}
