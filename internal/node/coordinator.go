package node

import (
	"context"
	"time"

	"github.com/spf13/cobra"
	"go.uber.org/zap"

	"github.com/lockstep-ml/lockstep/pkg/coordinator"
	"github.com/lockstep-ml/lockstep/pkg/nn"
)

// Coordinator returns the command that runs a coordinator.
func Coordinator(kinds nn.Kinds) *cobra.Command {
	var c common
	conf := coordinator.Config{Kinds: kinds}
	cmd := &cobra.Command{
		Use:   "coordinator",
		Short: "Keep the jobs of a cluster and decide who works on what",
		Long: `Run a coordinator until Ctrl-C or SIGTERM.

One coordinator is a cluster; three are one that bears the loss of any of them.
All of a group are started with the same --peers, which lists them all.`,
		Example: "  coordinator --id c1 --data-dir /var/lib/lockstep\n" +
			"  coordinator --id c1 --listen 10.0.0.1:7400 --peers c1=10.0.0.1:7400,c2=10.0.0.2:7400,c3=10.0.0.3:7400 \\\n" +
			"    --data-dir /var/lib/lockstep --tls-ca ca.pem --tls-cert c1.pem --tls-key c1-key.pem",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return c.run(cmd, func(ctx context.Context, log *zap.Logger) error {
				conf.Log = log
				return coordinator.Run(ctx, conf)
			})
		},
	}
	f := cmd.Flags()
	f.StringVar(&conf.ID, "id", "c1", "name of this coordinator; it never changes")
	f.StringVar(&conf.Listen, "listen", "127.0.0.1:7400", "address to listen on, host:port, for users, workers and other coordinators")
	f.StringVar(&conf.Advertise, "advertise", "", "address others reach this coordinator at (default: as in --peers, else --listen)")
	f.StringToStringVar(&conf.Peers, "peers", nil, "all coordinators, this one included, the same on all of them: c1=host:port,c2=host:port,… (default: this one alone)")
	f.StringVar(&conf.DataDir, "data-dir", "", "directory for the log and snapshots")
	f.DurationVar(&conf.WorkerTTL, "worker-ttl", 3*time.Second, "how long a worker may be silent before it counts as lost")
	f.DurationVar(&conf.StallTimeout, "stall-timeout", 2*time.Minute, "how long a generation may report nothing before it is given up")
	conf.Security.AddFlags(f)
	c.addFlags(f)
	return cmd
}
