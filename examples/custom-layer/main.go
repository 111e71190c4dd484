// Custom-layer is the lockstep tool with a layer and a recipe of its own, prelu and
// noisy, which the job files of this program can name like any other. The README beside it shows how
// it is used.
package main

import (
	"github.com/lockstep-ml/lockstep/pkg/lockstep"
	"github.com/lockstep-ml/lockstep/pkg/nn"
)

func main() { lockstep.Main(kinds()) }

func kinds() nn.Kinds {
	return nn.Kinds{Layers: []nn.LayerKind{preluKind()}, Recipes: []nn.RecipeKind{noisyKind()}}
}
