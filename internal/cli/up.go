package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/lockstep-ml/lockstep/internal/local"
	"github.com/lockstep-ml/lockstep/pkg/client"
)

func newUp() *cobra.Command {
	var config local.Config
	cmd := &cobra.Command{
		Use:   "up",
		Short: "Run a cluster on this machine until Ctrl-C",
		Long: `Run coordinators and workers as processes on this machine until Ctrl-C.

They listen on loopback: coordinators from --port on, workers from --port + 100
on. Submit jobs from another terminal; the commands find this cluster by
themselves unless --port was given. With --dir the jobs are still there the next
time.`,
		Example: "  lockstep up --coordinators 3 --workers 4\n  lockstep up --dir ~/lockstep",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			out := cmd.OutOrStdout()
			err := withCluster(cmd.Context(), config, cmd.ErrOrStderr(), func(ctx context.Context, _ *client.Client, c *local.Cluster) error {
				describe(out, c)
				<-ctx.Done()
				return ctx.Err()
			})
			if errors.Is(err, context.Canceled) { // Ctrl-C is how it ends
				fmt.Fprintln(out, "stopped")
				return nil
			}
			return err
		},
	}
	addClusterFlags(cmd.Flags(), &config, 1, 2)
	cmd.Flags().IntVar(&config.Port, "port", basePort, "port of the first coordinator; 0 takes any free ports")
	cmd.Flags().StringVar(&config.Dir, "dir", "", "directory for data and logs, kept (default: a temporary one)")
	return cmd
}

// describe says what runs where and what to do with it.
func describe(out io.Writer, c *local.Cluster) {
	for _, p := range c.Processes() {
		fmt.Fprintf(out, "%-3s  %s  pid %d  log %s\n", p.Name, p.Address, p.Pid(), p.Log)
	}
	flag := ""
	if all := strings.Join(c.Coordinators(), ","); c.Coordinators()[0] != fmt.Sprintf("127.0.0.1:%d", basePort) {
		flag = " --coordinators " + all
	}
	fmt.Fprintf(out, "\nready; in another terminal:\n  lockstep submit examples/digits/job.yaml --watch%s\nCtrl-C stops everything\n", flag)
}
