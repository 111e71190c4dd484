package cli

import (
	"fmt"
	"runtime"

	"github.com/spf13/cobra"

	"github.com/lockstep-ml/lockstep/internal/build"
)

func newVersion() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Long: `Print the version, and the edition of the bits: builds of one edition make the
same model of the same job and data. All programs of a cluster must have the
same edition; coordinators refuse others.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			platform := runtime.GOOS + "/" + runtime.GOARCH
			if asJSON {
				return jsonLine(cmd.OutOrStdout(), map[string]any{"version": build.Version(), "edition": build.Edition, "go": runtime.Version(), "platform": platform})
			}
			_, err := fmt.Fprintf(cmd.OutOrStdout(), "lockstep %s (edition %d, %s, %s)\n", build.Version(), build.Edition, runtime.Version(), platform)
			return err
		},
	}
	addJSON(cmd, &asJSON)
	return cmd
}
