package main

import (
	"github.com/spf13/cobra"

	"github.com/lockstep-ml/lockstep/internal/node"
)

// newCoordinator and newWorker are what a cluster's processes run: this binary
// again, with another subcommand.
func newCoordinator() *cobra.Command { return hide(node.Coordinator()) }

func newWorker() *cobra.Command { return hide(node.Worker()) }

func hide(cmd *cobra.Command) *cobra.Command {
	cmd.Hidden = true
	return cmd
}
