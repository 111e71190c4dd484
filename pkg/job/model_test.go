package job

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/lockstep-ml/lockstep/pkg/nn"
)

// Layers that were written are read again, whatever their names look like.
func TestModel(t *testing.T) {
	layers := []nn.Node{
		{Kind: "conv2d", Name: "features/conv:0", Fields: map[string]any{"filters": int64(4), "kernel": []any{int64(3), int64(2)}, "bias": false}},
		{Kind: "relu"},
		{Kind: "clip", Fields: map[string]any{"min": -0.5, "max": 2.0}, From: []string{"features/conv:0"}, Name: "x: [y]"},
		{Kind: "conv2d", Fields: map[string]any{"filters": int64(4), "kernel": int64(1)}, Name: "1e"},
		{Kind: "add", From: []string{"x: [y]", "1e"}},
		{Kind: "flatten"},
		{Kind: "dense", Fields: map[string]any{"units": int64(10), "init": "he_normal"}},
	}
	text := Model(layers)
	rest := "name: x\ndata: {format: csv, train: t.csv, target: y}\nloss: cross_entropy\noptimizer: sgd\nepochs: 1\nglobal_batch: 8\n"
	spec, err := Decode("job.yaml", append([]byte(rest), text...), nil)
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	if diff := cmp.Diff(layers, spec.Net.Model, cmpopts.IgnoreFields(nn.Node{}, "Path"), cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("(-want +got)\n%s\n%s", diff, text)
	}
}
