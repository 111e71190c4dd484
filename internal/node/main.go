package node

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/lockstep-ml/lockstep/internal/config"
)

// Main runs cmd as a program of its own and returns its exit code. Flags may
// also be given in the environment and in a file.
func Main(cmd *cobra.Command) int {
	cmd.SilenceErrors, cmd.SilenceUsage = true, true
	config.Bind(cmd, os.LookupEnv)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := cmd.ExecuteContext(ctx); err != nil {
		fmt.Fprintf(os.Stderr, "%s: %s\n", cmd.Name(), strings.TrimPrefix(err.Error(), cmd.Name()+": "))
		return 1
	}
	return 0
}
