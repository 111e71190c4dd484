package cli

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/lockstep-ml/lockstep/pkg/client"
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
			if err := client.Health(ctx, args[0], s.security); err != nil {
				return fmt.Errorf("%s: %w", args[0], err)
			}
			_, err := fmt.Fprintln(cmd.OutOrStdout(), "serving")
			return err
		},
	}
	s.addFlags(cmd.Flags())
	return cmd
}
