// Worker trains what the coordinators of a cluster assign to it. `worker --help`
// lists its flags; internal/node turns them into a worker.Config.
package main

import (
	"os"

	"github.com/lockstep-ml/lockstep/internal/node"
	"github.com/lockstep-ml/lockstep/pkg/nn"
)

func main() { os.Exit(node.Main(node.Worker(nn.Kinds{}))) }
