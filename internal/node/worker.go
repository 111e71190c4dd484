package node

import (
	"context"
	"os"

	"github.com/spf13/cobra"
	"go.uber.org/zap"

	"github.com/lockstep-ml/lockstep/pkg/nn"
	"github.com/lockstep-ml/lockstep/pkg/worker"
)

// Worker returns the command that runs a worker.
func Worker(kinds nn.Kinds) *cobra.Command {
	var c common
	conf := worker.Config{Kinds: kinds}
	cmd := &cobra.Command{
		Use:   "worker",
		Short: "Train what the coordinators of a cluster assign to this machine",
		Long: `Run a worker until Ctrl-C or SIGTERM.

It may come and go at any time. It reads the data of its jobs from this machine,
and keeps checkpoints and models in --data-dir.`,
		Example: "  worker --data-dir /var/lib/lockstep\n" +
			"  worker --id w1 --listen 10.0.1.1:7500 --coordinators 10.0.0.1:7400,10.0.0.2:7400,10.0.0.3:7400 \\\n" +
			"    --data-dir /var/lib/lockstep --tls-ca ca.pem --tls-cert w1.pem --tls-key w1-key.pem",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return c.run(cmd, func(ctx context.Context, log *zap.Logger) error {
				conf.Log = log.With(zap.String("worker", conf.ID))
				return worker.Run(ctx, conf)
			})
		},
	}
	host, _ := os.Hostname() // empty: then --id must be given
	f := cmd.Flags()
	f.StringVar(&conf.ID, "id", host, "name of this worker in the cluster; the same after a restart")
	f.StringSliceVar(&conf.Coordinators, "coordinators", []string{"127.0.0.1:7400"}, "addresses of the coordinators, host:port,…")
	f.StringVar(&conf.Listen, "listen", "127.0.0.1:7500", "address to serve other workers at; port 0 takes a free one")
	f.StringVar(&conf.Advertise, "advertise", "", "address others reach this worker at (default: --listen)")
	f.StringVar(&conf.DataDir, "data-dir", "", "directory for checkpoints and models, of this worker alone")
	f.IntVar(&conf.Threads, "threads", 0, "threads for arithmetic (default: all cores)")
	f.StringVar(&conf.ISA, "isa", "", "kernels to use: avx512, avx2 or portable (default: the best there is)")
	f.StringVar(&conf.Audit, "audit", "", "file to append the records of every step to, as JSON lines")
	f.DurationVar(&conf.StepTimeout, "step-timeout", 0, "longest wait for another worker within a step (default 1m)")
	conf.Secure.AddFlags(f)
	c.addFlags(f)
	return cmd
}
