// Coordinator keeps the jobs of a cluster and decides who works on what.
package main

import (
	"os"

	"github.com/lockstep-ml/lockstep/internal/node"
)

func main() { os.Exit(node.Main(node.Coordinator())) }
