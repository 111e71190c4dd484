// Worker trains what a cluster's coordinators assign to it.
package main

import (
	"os"

	"github.com/lockstep-ml/lockstep/internal/node"
)

func main() { os.Exit(node.Main(node.Worker())) }
