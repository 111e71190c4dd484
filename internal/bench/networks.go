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
	m.addNamed("", kind, f)
}

// addNamed adds a layer with a name and its inputs.
func (m *model) addNamed(name, kind string, f fields, from ...string) {
	*m = append(*m, nn.Node{Kind: kind, Name: name, From: from, Fields: f, Path: fmt.Sprintf("model[%d]", len(*m))})
}

func networks() []network {
	return []network{mlp(), cnn(), resnet20(), recurrent("lstm"), recurrent("gru"), gpt()}
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

// resnet20 is the residual network for images of 32 x 32, with projections where
// the size changes.
func resnet20() network {
	var m model
	conv := func(width, stride int) {
		m.add("conv2d", fields{"filters": width, "kernel": 3, "stride": stride, "padding": 1, "bias": false})
	}
	conv(16, 1)
	m.add("batch_norm", nil)
	m.addNamed("x0", "relu", nil)
	n := 0
	for _, width := range []int{16, 32, 64} {
		for block := range 3 {
			stride, x, body := 1, fmt.Sprint("x", n), fmt.Sprint("body", n)
			if width > 16 && block == 0 {
				stride = 2
			}
			conv(width, stride)
			m.add("batch_norm", nil)
			m.add("relu", nil)
			conv(width, 1)
			m.addNamed(body, "batch_norm", nil)
			short := x
			if stride > 1 {
				short = fmt.Sprint("short", n)
				m.addNamed("", "conv2d", fields{"filters": width, "kernel": 1, "stride": 2, "bias": false}, x)
				m.addNamed(short, "batch_norm", nil)
			}
			n++
			m.addNamed("", "add", nil, body, short)
			m.addNamed(fmt.Sprint("x", n), "relu", nil)
		}
	}
	m.add("global_avg_pool", nil)
	m.add("dense", fields{"units": 10})
	return newNetwork("resnet20", m, nn.Input{Shape: []int{3, 32, 32}, Target: classes(10)}, 64)
}

// recurrent has one layer of the given kind over 64 tokens and predicts at every
// position.
func recurrent(kind string) network {
	var m model
	m.add("embedding", fields{"dim": 64})
	m.add(kind, fields{"units": 256})
	m.add("dense", fields{"units": 96})
	return newNetwork(kind, m, nn.Input{Shape: []int{64}, Tokens: 96, Target: classes(96, 64)}, 32)
}

// gpt has four pre-norm blocks of width 128 with four heads over 64 tokens.
func gpt() network {
	var m model
	m.add("embedding", fields{"dim": 128})
	m.addNamed("x0", "positions", nil)
	for i := range 4 {
		x, a, r, b := fmt.Sprint("x", i), fmt.Sprint("a", i), fmt.Sprint("r", i), fmt.Sprint("b", i)
		m.addNamed("", "layer_norm", nil, x)
		m.addNamed(a, "attention", fields{"heads": 4, "causal": true})
		m.addNamed(r, "add", nil, x, a)
		m.add("layer_norm", nil)
		m.add("dense", fields{"units": 512})
		m.add("gelu", nil)
		m.addNamed(b, "dense", fields{"units": 128})
		m.addNamed(fmt.Sprint("x", i+1), "add", nil, r, b)
	}
	m.add("layer_norm", nil)
	m.add("dense", fields{"units": 65})
	return newNetwork("gpt", m, nn.Input{Shape: []int{64}, Tokens: 65, Target: classes(65, 64)}, 16)
}
