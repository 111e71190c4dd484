package cli

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/lockstep-ml/lockstep/internal/bench"
)

func newBench() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "bench",
		Short: "Measure this machine: kernels, ring and training",
		Long: `Measure this machine. Each measurement prints a record: the median of several
runs. With --json a record is one object on one line.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newBenchGemm(), newBenchTrain(), newBenchAllReduce(), newBenchRank())
	return cmd
}

// benchCommand makes a measurement's command: run is given where records go.
func benchCommand(use, short string, run func(ctx context.Context, emit func(any)) error) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use: use, Short: short, Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var failed error
			emit := func(record any) {
				if failed == nil {
					failed = printRecord(cmd.OutOrStdout(), record, asJSON)
				}
			}
			if err := run(cmd.Context(), emit); err != nil {
				return err
			}
			return failed
		},
	}
	addJSON(cmd, &asJSON)
	return cmd
}

// printRecord prints a record, for people as name=value pairs.
func printRecord(out io.Writer, record any, asJSON bool) error {
	if asJSON {
		return jsonLine(out, record)
	}
	pairs, err := fieldsOf(record)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(out, strings.Join(pairs, "  "))
	return err
}

func newBenchAllReduce() *cobra.Command {
	o := bench.AllReduceOptions{}
	size := byteSize(64 << 20)
	var arithmetic string
	cmd := benchCommand("allreduce", "Sum a vector round a ring of processes on loopback", func(ctx context.Context, emit func(any)) error {
		program, err := os.Executable()
		if err != nil {
			return fmt.Errorf("finding this program: %w", err)
		}
		o.Bytes, o.Float = int64(size), arithmetic == "fast"
		o.Rank = func(ctx context.Context, _ int) *exec.Cmd {
			return exec.CommandContext(ctx, program, "bench", "allreduce-rank")
		}
		return bench.AllReduce(ctx, o, emit)
	})
	f := cmd.Flags()
	f.IntVar(&o.World, "world", 2, "ranks of the ring")
	f.Var(&size, "bytes", "length of the vector, say 64MiB or 1GB")
	f.IntVar(&o.Runs, "runs", 9, "runs to take the median of")
	f.StringVar(&arithmetic, "arithmetic", "exact", "exact sums int32, fast sums float32")
	return cmd
}

func newBenchTrain() *cobra.Command {
	o := bench.TrainOptions{}
	cmd := benchCommand("train", "Train known networks on random records in this process", func(ctx context.Context, emit func(any)) error {
		return bench.Train(ctx, o, emit)
	})
	f := cmd.Flags()
	f.StringSliceVar(&o.Models, "model", nil, "networks: "+strings.Join(bench.TrainModels(), ", ")+" (default: all)")
	f.StringVar(&o.Arithmetic, "arithmetic", "", "exact or fast (default: exact)")
	f.IntVar(&o.Lanes, "lanes", 8, "lanes of a batch")
	f.IntVar(&o.Threads, "threads", runtime.NumCPU(), "threads for arithmetic")
	f.StringVar(&o.ISA, "isa", "", "kernels to use: avx512, avx2 or portable (default: the best there is)")
	f.IntVar(&o.Runs, "runs", 7, "runs to take the median of")
	return cmd
}

func newBenchGemm() *cobra.Command {
	o := bench.GemmOptions{}
	cmd := benchCommand("gemm", "Multiply matrices and convolve, against the peak of a core", func(ctx context.Context, emit func(any)) error {
		return bench.Gemm(ctx, o, emit)
	})
	f := cmd.Flags()
	f.IntSliceVar(&o.Threads, "threads", []int{1, 2}, "numbers of threads to measure with; more than one for large products only")
	f.StringVar(&o.ISA, "isa", "", "kernels to use: avx512, avx2 or portable (default: the best there is)")
	f.IntVar(&o.Runs, "runs", 21, "runs to take the median of")
	return cmd
}

// newBenchRank is one process of bench allreduce.
func newBenchRank() *cobra.Command {
	return &cobra.Command{
		Use: "allreduce-rank", Hidden: true, Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return bench.AllReduceRank(cmd.Context(), cmd.InOrStdin(), cmd.OutOrStdout())
		},
	}
}

// byteSize is a flag for a number of bytes with a unit.
type byteSize int64

// String writes the bytes without a unit.
func (b *byteSize) String() string { return strconv.FormatInt(int64(*b), 10) }

// Type names the flag's kind in the help.
func (b *byteSize) Type() string { return "bytes" }

// Set reads 1024, 1KiB, 64MiB, 1GiB (powers of 1024) or 1KB, 1MB, 1GB (of 1000).
func (b *byteSize) Set(text string) error {
	units := []struct {
		suffix string
		factor int64
	}{
		{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"KB", 1e3}, {"MB", 1e6}, {"GB", 1e9}, {"B", 1}, {"", 1},
	}
	for _, u := range units {
		digits, ok := strings.CutSuffix(text, u.suffix)
		if !ok {
			continue
		}
		n, err := strconv.ParseInt(strings.TrimSpace(digits), 10, 64)
		if err != nil || n < 0 || n > (1<<62)/u.factor {
			break
		}
		*b = byteSize(n * u.factor)
		return nil
	}
	return fmt.Errorf("%q is no size: expected a number and a unit, say 64MiB", text)
}
