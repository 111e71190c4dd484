package nn_test

import (
	"fmt"
	"log"

	"github.com/lockstep-ml/lockstep/pkg/nn"
	"github.com/lockstep-ml/lockstep/pkg/tensor"
)

// square is a layer of a user's own: y = x².
type square struct{}

func (square) Forward(p *nn.Pass) { p.Engine().Mul(p.Y(), p.X(0), p.X(0)) }

func (square) Backward(p *nn.Pass) {
	if dx := p.DX(0); dx != nil {
		p.Engine().Mul(dx, p.DY(), p.X(0))
		p.Engine().Scale(dx, 2)
	}
}

// A network with a layer of one's own learns, in this process and without a
// cluster, to tell whether two numbers are near to the origin.
func Example() {
	spec := nn.Spec{
		Custom: nn.Kinds{Layers: []nn.LayerKind{{
			Entry: nn.Entry{Name: "square", Class: "activation", Summary: "x²"},
			Fit:   func(s *nn.Site) nn.Fitted { return nn.Fitted{Layer: square{}, Out: s.In[0].Shape} },
		}}},
		Model: []nn.Node{
			{Kind: "dense", Fields: map[string]any{"units": 4}},
			{Kind: "square"},
			{Kind: "dense", Fields: map[string]any{"units": 2}},
		},
		Loss:      nn.Node{Kind: "cross_entropy"},
		Optimizer: nn.Node{Kind: "adam", Fields: map[string]any{"lr": 0.05}},
		Metrics:   []nn.Node{{Kind: "accuracy"}},
		Seed:      1, Lanes: 1, Exact: true,
	}
	in := nn.Input{Shape: []int{2}, Target: nn.Target{Kind: nn.TargetClass, Classes: 2}}
	plan, err := nn.NewPlan(spec, in)
	if err != nil {
		log.Fatal(err)
	}
	engine, err := tensor.New(tensor.Config{})
	if err != nil {
		log.Fatal(err)
	}
	defer engine.Close()
	trainer, err := nn.NewTrainer(engine, plan, 81, 1)
	if err != nil {
		log.Fatal(err)
	}
	trainer.Init()

	batch := &nn.Batch{Lanes: []int{0}, Rows: []int{0, 81}}
	for i := range 81 {
		x, y := float32(i%9-4)/4, float32(i/9-4)/4
		batch.X = append(batch.X, x, y)
		class := int32(0)
		if x*x+y*y < 0.6 {
			class = 1
		}
		batch.Classes = append(batch.Classes, class)
	}
	var last nn.Outcome
	for batch.Step < 300 {
		if err := trainer.Gradient(batch, nil); err != nil {
			log.Fatal(err)
		}
		if last, err = trainer.Commit(); err != nil {
			log.Fatal(err)
		}
		if !last.Repeat {
			batch.Step++
		}
	}
	fmt.Printf("%d parameters, accuracy %.2f\n", plan.Parameters(), last.Metrics[0])
	// Output: 22 parameters, accuracy 1.00
}
