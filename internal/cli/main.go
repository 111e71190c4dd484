// Package cli is what a user types: commands that start clusters, submit jobs to
// them, watch them, and use the models that come out. `lockstep help` explains the
// words and commands; README.md shows them at work. A program that brings layers
// or recipes of its own has the same commands.
package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/lockstep-ml/lockstep/pkg/job"
	"github.com/lockstep-ml/lockstep/pkg/nn"
)

// Exit codes, for scripts.
const (
	exitFailed      = 1   // it was tried and failed
	exitUsage       = 2   // the command line, a job file or a config file is wrong; nothing was started
	exitInterrupted = 130 // Ctrl-C, SIGTERM or SIGHUP
)

// Program is what differs between a program of the lockstep command line and
// another.
type Program struct {
	// Kinds are what its job files can name beside the catalogue.
	Kinds nn.Kinds
}

// Main runs the command of os.Args until it is done, or stopped by Ctrl-C, SIGTERM
// or the end of its terminal, and returns the exit code of the process.
func (p Program) Main() int {
	ctx, stop := signal.NotifyContext(context.Background(), stopSignals()...)
	err := execute(ctx, p.root(), os.Args[1:])
	interrupted := ctx.Err() != nil
	stop()
	if err != nil {
		return report(err, interrupted)
	}
	return 0
}

// stopSignals are the signals to stop at. nohup has SIGHUP ignored, which stays so.
func stopSignals() []os.Signal {
	all := []os.Signal{os.Interrupt, syscall.SIGTERM}
	if !signal.Ignored(syscall.SIGHUP) {
		all = append(all, syscall.SIGHUP)
	}
	return all
}

// reader reads job files, with the program's kinds.
func (p Program) reader() job.Reader { return job.Reader{Kinds: p.Kinds} }

// execute runs the command that args name.
func execute(ctx context.Context, root *cobra.Command, args []string) error {
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	if err != nil {
		if _, _, unknown := root.Find(args); unknown != nil {
			return usageError{unknown}
		}
	}
	return err
}

// report tells the user what went wrong and returns the exit code.
func report(err error, interrupted bool) int {
	if interrupted {
		fmt.Fprintln(os.Stderr, "lockstep: interrupted")
		return exitInterrupted
	}
	fmt.Fprintln(os.Stderr, "lockstep:", err)
	var usage usageError
	if errors.As(err, &usage) {
		return exitUsage
	}
	return exitFailed
}

// usageError is an error in what the user wrote.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }
