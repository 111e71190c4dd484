// Package lockstep makes a program with layers and recipes of its own. The
// program has all commands of the lockstep tool, and its job files can name what
// it brings:
//
//	func main() {
//		lockstep.Main(nn.Kinds{Layers: []nn.LayerKind{swishKind()}})
//	}
//
// It takes the place of the tool and of its coordinators and workers: all programs
// of a cluster must bring the same kinds, so they are best one program.
// examples/custom-layer is a whole one.
package lockstep

import (
	"os"

	"github.com/lockstep-ml/lockstep/internal/cli"
	"github.com/lockstep-ml/lockstep/pkg/nn"
)

// Main runs the command that os.Args names and exits with its code. A kind of
// the same name as one of the catalogue takes its place.
func Main(kinds nn.Kinds) { os.Exit(cli.Program{Kinds: kinds}.Main()) }
