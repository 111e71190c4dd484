// Lockstep is what a user types: it starts clusters, submits jobs to them,
// watches them, and uses the models that come out. `lockstep help` explains the
// words and commands; README.md shows them at work.
package main

import (
	"os"

	"github.com/lockstep-ml/lockstep/internal/cli"
)

func main() { os.Exit(cli.Program{}.Main()) }
