// Coordinator keeps the jobs of a cluster and decides who works on what.
// `coordinator --help` lists its flags; internal/node turns them into a
// coordinator.Config.
package main

import (
	"os"

	"github.com/lockstep-ml/lockstep/internal/node"
	"github.com/lockstep-ml/lockstep/pkg/nn"
)

func main() { os.Exit(node.Main(node.Coordinator(nn.Kinds{}))) }
