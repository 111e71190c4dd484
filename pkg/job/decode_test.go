package job

import (
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/lockstep-ml/lockstep/pkg/dataset"
	"github.com/lockstep-ml/lockstep/pkg/nn"
)

var update = flag.Bool("update", false, "write the golden files of this package anew")

// digits is what the data of the test files look like.
func digits() nn.Input {
	return nn.Input{Shape: []int{1, 28, 28}, Target: nn.Target{Kind: nn.TargetClass, Classes: 10}}
}

// Every file of testdata/bad gives exactly the message beside it. Leading
// comments "# --set path=value" are overrides.
func TestBadFiles(t *testing.T) {
	files, err := filepath.Glob("testdata/bad/*.yaml")
	if err != nil || len(files) < 20 {
		t.Fatalf("%d files, %v; want at least 20", len(files), err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".yaml"), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			spec, err := Decode("job.yaml", text, setLines(text))
			if err == nil {
				_, err = spec.CheckInput(digits(), 10)
			}
			if err == nil {
				t.Fatal("no problem was found")
			}
			golden(t, strings.TrimSuffix(file, ".yaml")+".txt", err.Error()+"\n")
		})
	}
}

// setLines returns the overrides in the leading comments.
func setLines(text []byte) []string {
	var sets []string
	for line := range strings.Lines(string(text)) {
		set, ok := strings.CutPrefix(line, "# --set ")
		if !ok {
			break
		}
		sets = append(sets, strings.TrimSuffix(set, "\n"))
	}
	return sets
}

func golden(t *testing.T, path, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", path, diff)
	}
}

const full = `# every field
name: digits
seed: 18446744073709551615
priority: -3
data:
  format: idx
  train: {images: train-images.gz, labels: train-labels.gz}
  test: {images: test-images.gz, labels: test-labels.gz}
model:
  - conv2d: {filters: 8, kernel: [3, 3]}
  - relu
  - flatten
  - dense: 128
  - dropout: 0.2
  - dense: {units: 10, name: logits}
loss: cross_entropy
optimizer: {adam: {lr: 1e-3}}
schedule: {cosine: {warmup: 10}}
epochs: 5
steps: 300
global_batch: 128
lanes: 6
arithmetic: fast
workers: {min: 2, max: 5}
metrics: [accuracy]
checkpoint: {every: 100, keep: 2}
`

func decode(t *testing.T, text string, overrides ...string) *Spec {
	t.Helper()
	spec, err := Decode("job.yaml", []byte(text), overrides)
	if err != nil {
		t.Fatal(err)
	}
	return spec
}

func TestDecode(t *testing.T) {
	got := decode(t, full)
	if got.Data.Format != "idx" || got.Data.Train != (dataset.Files{Images: "train-images.gz", Labels: "train-labels.gz"}) {
		t.Errorf("data %+v", got.Data)
	}
	got.Data = dataset.Spec{}
	want := &Spec{
		Name: "digits", Seed: 1<<64 - 1, Priority: -3, Epochs: 5, Steps: 300, GlobalBatch: 128, Lanes: 6,
		Workers: Workers{Min: 2, Max: 5, Features: defaultFeatures}, Checkpoint: Checkpoint{Every: 100, Keep: 2},
		Net: nn.Spec{
			Model: []nn.Node{
				{Kind: "conv2d", Path: "model[0].conv2d", Fields: map[string]any{"filters": int64(8), "kernel": []any{int64(3), int64(3)}}},
				{Kind: "relu", Path: "model[1]"},
				{Kind: "flatten", Path: "model[2]"},
				{Kind: "dense", Path: "model[3].dense", Fields: map[string]any{"units": int64(128)}},
				{Kind: "dropout", Path: "model[4].dropout", Fields: map[string]any{"rate": 0.2}},
				{Kind: "dense", Path: "model[5].dense", Name: "logits", Fields: map[string]any{"units": int64(10)}},
			},
			Loss:      nn.Node{Kind: "cross_entropy", Path: "loss"},
			Optimizer: nn.Node{Kind: "adam", Path: "optimizer.adam", Fields: map[string]any{"lr": 1e-3}},
			Schedule:  nn.Node{Kind: "cosine", Path: "schedule.cosine", Fields: map[string]any{"warmup": int64(10)}},
			Metrics:   []nn.Node{{Kind: "accuracy", Path: "metrics[0]"}},
			Seed:      1<<64 - 1, Lanes: 6,
		},
	}
	if diff := cmp.Diff(want, got, ignoreSource()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// The inputs of a layer are one name or a list of names.
func TestInputs(t *testing.T) {
	s := decode(t, strings.Replace(least, "[dense: 3]", "[dense: {units: 3, name: a, from: input}, add: {from: [a, input]}]", 1))
	if m := s.Net.Model; !slices.Equal(m[0].From, []string{"input"}) || !slices.Equal(m[1].From, []string{"a", "input"}) {
		t.Errorf("inputs %q and %q", m[0].From, m[1].From)
	}
	for _, from := range []string{"[a, 3]", "{a: b}", "3"} {
		_, err := Decode("job.yaml", []byte(strings.Replace(least, "dense: 3", "add: {from: "+from+"}", 1)), nil)
		if err == nil || !strings.Contains(err.Error(), "expected text") {
			t.Errorf("from: %s: error %v", from, err)
		}
	}
}

// ignoreSource compares what a Spec says and not what it was read from.
func ignoreSource() cmp.Option {
	return cmp.FilterPath(func(p cmp.Path) bool { return p.String() == "source" }, cmp.Ignore())
}

const least = `
name: x
data: {format: idx, train: {images: i, labels: l}}
model: [dense: 3]
loss: mse
optimizer: sgd
epochs: 2
global_batch: 8
`

func TestDefaults(t *testing.T) {
	s := decode(t, least)
	if s.Seed != 0 || s.Priority != 0 || s.Lanes != 8 || !s.Exact || s.Steps != 0 ||
		s.Workers != (Workers{Min: 1, Max: 8, Features: 256}) || s.Checkpoint != (Checkpoint{0, 3}) || !s.Net.Exact || s.Net.Lanes != 8 {
		t.Errorf("defaults %+v", s)
	}
}

func TestLength(t *testing.T) {
	for _, c := range []struct{ epochs, steps, perEpoch, wantSteps, wantEpochs int }{
		{5, 0, 10, 50, 5},
		{0, 25, 10, 25, 3},
		{5, 25, 10, 25, 3},
		{2, 25, 10, 20, 2},
		{0, 20, 10, 20, 2},
	} {
		s := &Spec{Epochs: c.epochs, Steps: c.steps}
		steps, epochs := s.Length(c.perEpoch)
		if steps != c.wantSteps || epochs != c.wantEpochs {
			t.Errorf("%+v: got %d steps, %d epochs", c, steps, epochs)
		}
		if net := s.Network(c.perEpoch); net.Epochs != c.wantEpochs || net.Steps != c.wantSteps || net.StepsPerEpoch != c.perEpoch {
			t.Errorf("%+v: network %+v", c, net)
		}
	}
}
