// Command torch compares training with PyTorch on one thread, network by network,
// and writes a table. bench/torch.sh finds PyTorch and runs it; networks.py is the
// other side. A whole comparison takes a few minutes.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"time"

	"github.com/lockstep-ml/lockstep/internal/bench"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, os.Args[1:])
	stop()
	if err != nil && !errors.Is(err, context.Canceled) {
		fmt.Fprintln(os.Stderr, "torch:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("torch", flag.ContinueOnError)
	python := flags.String("python", "/usr/bin/python3", "the Python that has PyTorch")
	out := flags.String("out", "", "where the table goes; empty: only shown")
	cpu := flags.String("cpu", "", "name of the processor, for the head of the table")
	versions := flags.String("versions", "", "versions of PyTorch and its libraries, for the head of the table")
	runs := flags.Int("runs", 9, "runs to take the median of")
	if err := flags.Parse(args); err != nil {
		return err
	}
	o := bench.TorchOptions{Models: flags.Args(), Runs: *runs, Command: func(ctx context.Context) *exec.Cmd {
		cmd := exec.CommandContext(ctx, *python, "bench/torch/networks.py")
		cmd.Stderr = os.Stderr
		return cmd
	}}
	var w io.Writer = os.Stdout
	if *out != "" {
		if err := os.MkdirAll(filepath.Dir(*out), 0o755); err != nil {
			return err
		}
		f, err := os.Create(*out)
		if err != nil {
			return err
		}
		defer f.Close()
		w = io.MultiWriter(f, w)
	}
	fmt.Fprintf(w, "# Training on one thread against PyTorch\n\n%s, %s, %s, %s.\n", *cpu, runtime.Version(), *versions, time.Now().UTC().Format(time.DateOnly))
	return table(ctx, w, o)
}

func table(ctx context.Context, w io.Writer, o bench.TorchOptions) error {
	fmt.Fprint(w, `
Records a second of a step (forward, backward, update) of the networks of
`+"`lockstep bench train`"+`, measured in turns, medians; ratios are medians of the
ratios of runs that followed each other, above 1 where lockstep is faster. "exact"
is with 8 lanes. Seconds are those of the process on its processor, so that other
programs on the machine disturb little.

| model | batch | PyTorch | fast | exact | fast / PyTorch | exact / PyTorch | exact / fast |
|---|---:|---:|---:|---:|---:|---:|---:|
`)
	var logs [3]float64
	count := 0
	err := bench.Torch(ctx, o, func(r any) {
		t := r.(bench.TorchResult)
		fmt.Fprintf(w, "| %s | %d | %.0f | %.0f | %.0f | %.2f | %.2f | %.2f |\n", t.Model, t.Batch, t.Torch, t.Fast, t.Exact, t.FastToTorch, t.ExactToTorch, t.ExactToFast)
		for i, ratio := range [3]float64{t.FastToTorch, t.ExactToTorch, t.ExactToFast} {
			logs[i] += math.Log(ratio)
		}
		count++
	})
	if err != nil || count == 0 {
		return err
	}
	mean := func(i int) float64 { return math.Exp(logs[i] / float64(count)) }
	fmt.Fprintf(w, "| geometric mean | | | | | %.2f | %.2f | %.2f |\n", mean(0), mean(1), mean(2))
	return nil
}
