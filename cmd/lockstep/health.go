package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"

	"github.com/lockstep-ml/lockstep/internal/secure"
)

// newHealth asks a node whether it serves; container engines call it.
func newHealth() *cobra.Command {
	var s session
	cmd := &cobra.Command{
		Use:    "health ADDRESS",
		Short:  "Ask a coordinator or worker whether it serves",
		Hidden: true,
		Args:   cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, cancel := context.WithTimeout(cmd.Context(), 2*time.Second)
			defer cancel()
			if err := serves(ctx, args[0], s.security); err != nil {
				return fmt.Errorf("%s: %w", args[0], err)
			}
			_, err := fmt.Fprintln(cmd.OutOrStdout(), "serving")
			return err
		},
	}
	s.addFlags(cmd.Flags())
	return cmd
}

// serves returns nil if the node at the address answers that it does.
func serves(ctx context.Context, address string, security secure.Config) error {
	creds, err := secure.DialOption(security)
	if err != nil {
		return usageError{err}
	}
	conn, err := grpc.NewClient(address, creds)
	if err != nil {
		return usageError{err}
	}
	defer conn.Close()
	answer, err := healthpb.NewHealthClient(conn).Check(ctx, &healthpb.HealthCheckRequest{})
	if err != nil {
		return explain(err)
	}
	if answer.GetStatus() != healthpb.HealthCheckResponse_SERVING {
		return fmt.Errorf("it is up but says %s", answer.GetStatus())
	}
	return nil
}
