package main

import (
	"fmt"
	"runtime"

	"github.com/spf13/cobra"
)

func newVersion() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			platform := runtime.GOOS + "/" + runtime.GOARCH
			if asJSON {
				return jsonLine(cmd.OutOrStdout(), map[string]string{"version": versionText(), "go": runtime.Version(), "platform": platform})
			}
			_, err := fmt.Fprintf(cmd.OutOrStdout(), "lockstep %s (%s, %s)\n", versionText(), runtime.Version(), platform)
			return err
		},
	}
	addJSON(cmd, &asJSON)
	return cmd
}
