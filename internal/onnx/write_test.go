package onnx

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/lockstep-ml/lockstep/internal/onnx/onnxtest"
	"github.com/lockstep-ml/lockstep/pkg/nn"
)

// Every kind that a job can name is exported, and is compared with another
// program's arithmetic.
func TestEveryKindIsExported(t *testing.T) {
	used := map[string]bool{}
	for _, n := range networks() {
		for _, node := range n.model {
			used[node.Kind] = true
		}
	}
	for _, e := range nn.Catalogue() {
		if e.Class != "layer" && e.Class != "activation" {
			continue
		}
		if operators()[e.Name] == nil {
			t.Errorf("%s has no operators", e.Name)
		}
		if !used[e.Name] {
			t.Errorf("%s is in no network of the tests", e.Name)
		}
	}
}

func TestEqualNetworksAreEqualFiles(t *testing.T) {
	for _, n := range networks() {
		if !bytes.Equal(n.build(t).write(t), n.build(t).write(t)) {
			t.Errorf("%s: two files of one network differ", n.name)
		}
	}
}

func TestWriteRefuses(t *testing.T) {
	n := network{"dense", numbers(3), []nn.Node{l("dense", "units", 2)}}
	b := n.build(t)
	for name, c := range map[string]struct {
		tensors []Tensor
		want    string
	}{
		"missing": {b.tensors[:1], `"0.bias" is missing`},
		"shape":   {[]Tensor{b.tensors[0], {Name: "0.bias", Shape: []int{3}, F32: make([]float32, 3)}}, `"0.bias" has shape [3]; the network needs [2]`},
		"type":    {[]Tensor{b.tensors[0], {Name: "0.bias", Shape: []int{2}, I32: make([]int32, 2)}}, "needs [2] of float32"},
	} {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			err := Write(&out, b.plan, c.tensors, nil)
			if err == nil || !strings.Contains(err.Error(), c.want) || out.Len() > 0 {
				t.Errorf("error %v and %d bytes, want %q", err, out.Len(), c.want)
			}
		})
	}
}

// What is written can be read: weights keep their names and bits.
func TestWrittenWeightsAreRead(t *testing.T) {
	n := network{"cnn", numbers(2, 6, 6), []nn.Node{l("conv2d", "filters", 3, "name", "first"), l("batch_norm"), l("flatten"), l("dense", "units", 2)}}
	b := n.build(t)
	m, err := Read(bytes.NewReader(b.write(t)))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range b.tensors {
		i := slices.IndexFunc(m.Tensors(), func(t Tensor) bool { return t.Name == want.Name })
		if i < 0 || onnxtest.Difference(m.Tensors()[i].F32, want.F32) != 0 || !slices.Equal(m.Tensors()[i].Shape, want.Shape) {
			t.Errorf("%s is not read as it was", want.Name)
		}
	}
}
