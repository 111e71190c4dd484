// Lockstep is what a user types: it starts clusters, submits jobs to them,
// watches them, and uses the models that come out. `lockstep help` explains the
// words and commands; README.md shows them at work.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"github.com/spf13/cobra"
)

// version is set by the linker for releases.
var version string

// Exit codes, for scripts.
const (
	exitFailed      = 1   // it was tried and failed
	exitUsage       = 2   // the command line, a job file or a config file is wrong; nothing was started
	exitInterrupted = 130 // Ctrl-C or SIGTERM
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := execute(ctx, newRoot(), os.Args[1:])
	interrupted := ctx.Err() != nil
	stop()
	if err != nil {
		os.Exit(report(err, interrupted))
	}
}

// execute runs the command that args name.
func execute(ctx context.Context, root *cobra.Command, args []string) error {
	if _, _, err := root.Find(args); err != nil {
		return usageError{err}
	}
	root.SetArgs(args)
	return root.ExecuteContext(ctx)
}

// report tells the user what went wrong and returns the exit code.
func report(err error, interrupted bool) int {
	var quiet quietError
	if interrupted && (errors.Is(err, context.Canceled) || !errors.As(err, &quiet)) {
		fmt.Fprintln(os.Stderr, "lockstep: interrupted")
		return exitInterrupted
	}
	if !errors.As(err, &quiet) {
		fmt.Fprintln(os.Stderr, "lockstep:", err)
	}
	var usage usageError
	if errors.As(err, &usage) {
		return exitUsage
	}
	return exitFailed
}

// usageError is an error in what the user wrote.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

// quietError is an error that the user has been told already.
type quietError struct{ error }

func (e quietError) Unwrap() error { return e.error }

// versionText names this build: what the linker was told, else what the Go
// tool knows of the source.
func versionText() string {
	if version != "" {
		return version
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" && len(s.Value) >= 12 {
			return "dev-" + s.Value[:12]
		}
	}
	return info.Main.Version
}
