package onnx

import (
	"bytes"
	"slices"
	"testing"

	"github.com/lockstep-ml/lockstep/pkg/nn"
)

// imported reads a file and builds the network that it is.
func imported(t *testing.T, file []byte) (*Network, built) {
	t.Helper()
	m, err := Read(bytes.NewReader(file))
	if err != nil {
		t.Fatal(err)
	}
	n, err := m.Network()
	if err != nil {
		t.Fatal(err)
	}
	b := buildPlan(t, nn.Input{Shape: n.Input.Shape, Tokens: n.Input.Tokens}, n.Model)
	var params []nn.Tensor
	for _, p := range n.Tensors {
		params = append(params, nn.Tensor{Name: p.Name, Shape: p.Shape, F32: p.F32})
	}
	if err := b.trainer.SetParams(params); err != nil {
		t.Fatal(err)
	}
	return n, b
}

// A network that was written and read gives the same bits.
func TestRoundTrip(t *testing.T) {
	for _, n := range networks() {
		t.Run(n.name, func(t *testing.T) {
			b := n.build(t)
			_, again := imported(t, b.write(t))
			if want, got := n.predict(t, b), n.predict(t, again); !slices.Equal(want, got) {
				t.Errorf("gives %v, written and read %v", want, got)
			}
		})
	}
}

// Layers keep their names, so that a job that starts from the file finds them.
func TestRoundTripKeepsNames(t *testing.T) {
	n := network{"names", tokens(4, 5), []nn.Node{l("embedding", "name", "codes", "dim", 4), l("dense", "name", "next", "units", 3)}}
	again, _ := imported(t, n.build(t).write(t))
	for i, layer := range again.Model {
		if want := n.model[i].Name; layer.Name != want {
			t.Errorf("layer %d is named %q, want %q", i, layer.Name, want)
		}
	}
}
