package bench

import (
	"fmt"

	"github.com/lockstep-ml/lockstep/pkg/nn"
)

// network is one that Train measures. All are trained by SGD with momentum on
// cross-entropy.
type network struct {
	name  string
	spec  nn.Spec
	in    nn.Input
	batch int
}

// fields are those of a layer.
type fields = map[string]any

// model is a network under construction.
type model []nn.Node

func (m *model) add(kind string, f fields) {
	*m = append(*m, nn.Node{Kind: kind, Fields: f, Path: fmt.Sprintf("model[%d]", len(*m))})
}

func networks() []network {
	return []network{mlp(), cnn()}
}

func newNetwork(name string, m model, in nn.Input, batch int) network {
	return network{name: name, in: in, batch: batch, spec: nn.Spec{Model: m, Seed: 1,
		Loss:      nn.Node{Kind: "cross_entropy", Path: "loss"},
		Optimizer: nn.Node{Kind: "sgd", Path: "optimizer", Fields: fields{"lr": 0.01, "momentum": 0.9}}}}
}

func classes(n int, shape ...int) nn.Target {
	return nn.Target{Kind: nn.TargetClass, Classes: n, Shape: shape}
}

// mlp has two hidden layers of 512 on images of 28 x 28.
func mlp() network {
	var m model
	for range 2 {
		m.add("dense", fields{"units": 512})
		m.add("relu", nil)
	}
	m.add("dense", fields{"units": 10})
	return newNetwork("mlp", m, nn.Input{Shape: []int{784}, Target: classes(10)}, 128)
}

// cnn has two convolutions and two dense layers on images of 28 x 28.
func cnn() network {
	var m model
	for _, filters := range []int{32, 64} {
		m.add("conv2d", fields{"filters": filters, "kernel": 3, "padding": 1})
		m.add("relu", nil)
		m.add("max_pool", fields{"size": 2})
	}
	m.add("flatten", nil)
	m.add("dense", fields{"units": 128})
	m.add("relu", nil)
	m.add("dense", fields{"units": 10})
	return newNetwork("cnn", m, nn.Input{Shape: []int{1, 28, 28}, Target: classes(10)}, 64)
}
