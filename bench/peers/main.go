// Command peers compares the arithmetic of lockstep with OpenBLAS and oneDNN and
// writes a table. bench/peers.sh builds the other program and runs it.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
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
		fmt.Fprintln(os.Stderr, "peers:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("peers", flag.ContinueOnError)
	program := flags.String("peer", "", "the program made of peer.cpp")
	out := flags.String("out", "", "where the table goes")
	cpu := flags.String("cpu", "", "name of the processor, for the head of the table")
	versions := flags.String("versions", "", "versions of the libraries, for the head of the table")
	isa := flags.String("isa", "", "instruction set of lockstep, named in the table; peers take theirs from the environment")
	runs := flags.Int("runs", 15, "runs to take the median of")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(*out), 0o755); err != nil {
		return err
	}
	f, err := os.Create(*out)
	if err != nil {
		return err
	}
	w := io.MultiWriter(f, os.Stdout)
	fmt.Fprintf(w, "# One thread against OpenBLAS and oneDNN\n\n%s, %s, %s, %s, %s.\n", *cpu, *isa, runtime.Version(), *versions, time.Now().UTC().Format(time.DateOnly))
	fmt.Fprint(w, `
Each line is measured in turns; the ratio is the median of the ratios of single
runs, above 1 where lockstep is faster. "lanes" is the exact weight gradient of 8
lanes, beside the peer's plain product. Convolutions of oneDNN choose their own
layout, and putting operands into it is not counted; those of lockstep work on
NCHW. "conv_weight" is exact, for 8 lanes. Figures are 1e9 operations a second.

| op | shape | peer | lockstep | peer | ratio |
|---|---|---|---:|---:|---:|
`)
	o := bench.PeerOptions{Runs: *runs, ISA: *isa, Command: func(ctx context.Context) *exec.Cmd {
		cmd := exec.CommandContext(ctx, *program)
		cmd.Stderr = os.Stderr
		return cmd
	}}
	err = bench.Peers(ctx, o, func(r any) {
		p := r.(bench.PeerResult)
		fmt.Fprintf(w, "| %s | %s | %s | %.1f | %.1f | %.2f |\n", p.Op, p.Shape, p.Peer, p.GFlops, p.PeerGFlops, p.Ratio)
	})
	return errors.Join(err, f.Close())
}
