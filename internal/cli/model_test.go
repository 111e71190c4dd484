package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/lockstep-ml/lockstep/pkg/checkpoint"
	"github.com/lockstep-ml/lockstep/pkg/nn"
	"github.com/lockstep-ml/lockstep/pkg/tensor"
)

const pricesJob = `name: prices
data: {format: csv, train: prices.csv, target: price}
model: [{dense: {units: 1, name: price}}]
loss: mse
optimizer: {sgd: {lr: 0.1}}
epochs: 1
global_batch: 4
lanes: 2
metrics: [rmse]
`

// pricesCSV has prices of 1000 to 9000.
func pricesCSV(factor int) string {
	text := "area,price\n"
	for i := range 9 {
		text += fmt.Sprintf("%d,%d\n", 10+i, factor*1000*(i+1))
	}
	return text
}

// untrained makes a job with its data and the model that it begins with.
func untrained(t *testing.T) (dir, job, path string) {
	t.Helper()
	dir = t.TempDir()
	job = filepath.Join(dir, "job.yaml")
	write(t, job, pricesJob)
	write(t, filepath.Join(dir, "prices.csv"), pricesCSV(1))
	path = begin(t, job)
	return dir, job, path
}

// begin makes the model that a job begins with, beside its file.
func begin(t *testing.T, job string) (path string) {
	t.Helper()
	path = filepath.Join(filepath.Dir(job), "m.safetensors")
	c, err := check(t.Context(), &jobFile{path: job})
	if err != nil {
		t.Fatal(err)
	}
	engine, err := tensor.New(tensor.Config{Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer engine.Close()
	trainer, err := nn.NewTrainer(engine, c.plan, 4, 2)
	if err != nil {
		t.Fatal(err)
	}
	trainer.Init()
	var tensors []checkpoint.Tensor
	for _, p := range trainer.ParamTensors() {
		tensors = append(tensors, checkpoint.Tensor{Name: p.Name, Shape: p.Shape, F32: p.F32})
	}
	metadata := map[string]string{}
	for key, value := range map[string]any{"lockstep.input": c.train.Input, "lockstep.fit": c.train.Fit} {
		text, err := json.Marshal(value)
		if err != nil {
			t.Fatal(err)
		}
		metadata[key] = string(text)
	}
	if _, err := checkpoint.SaveModel(path, tensors, metadata); err != nil {
		t.Fatal(err)
	}
	return path
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// What a network says of prices, and how far it is off, is in the units of the
// file, not in deviations.
func TestUnitsOfTheData(t *testing.T) {
	_, job, path := untrained(t)
	out, err := typed(t, "predict", path, "--job", job, "--data", "train", "--json")
	if err != nil {
		t.Fatal(err)
	}
	sum, n := 0.0, 0
	for line := range strings.Lines(out) {
		var p struct {
			Record         int
			Values, Target []float64
		}
		if err := json.Unmarshal([]byte(line), &p); err != nil {
			t.Fatal(err)
		}
		if want := 1000 * float64(p.Record+1); math.Abs(p.Target[0]-want) > 0.01 {
			t.Errorf("record %d: target %v, want %v", p.Record, p.Target, want)
		}
		sum += (p.Values[0] - p.Target[0]) * (p.Values[0] - p.Target[0])
		n++
	}
	out, err = typed(t, "eval", path, "--job", job, "--data", "train", "--json")
	if err != nil {
		t.Fatal(err)
	}
	var e struct{ Metrics map[string]float64 }
	if err := json.Unmarshal([]byte(out), &e); err != nil {
		t.Fatal(err)
	}
	if want := math.Sqrt(sum / float64(n)); n != 9 || math.Abs(e.Metrics["rmse"]-want) > 1e-3*want {
		t.Errorf("%d records, rmse %v; of the predictions it is %v", n, e.Metrics["rmse"], want)
	}
}

// The weights that a job starts from are measured without training.
func TestEvalOfTheStart(t *testing.T) {
	dir, job, path := untrained(t)
	want, err := typed(t, "eval", path, "--job", job, "--data", "train")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := typed(t, "eval", "--job", job, "--data", "train"); err == nil || !strings.Contains(err.Error(), "no start section") {
		t.Errorf("without any weights: %v", err)
	}
	other := filepath.Join(dir, "start.yaml")
	write(t, other, strings.Replace(pricesJob, "lanes:", "seed: 9\nstart: {weights: "+filepath.Base(path)+"}\nlanes:", 1))
	got, err := typed(t, "eval", "--job", other, "--data", "train")
	if err != nil || got != want {
		t.Errorf("the start measures\n%s%v, the model itself\n%s", got, err, want)
	}
	out, err := typed(t, "validate", other)
	if err != nil || !strings.Contains(out, "start: 2 of 2 tensors of the network come from m.safetensors\n") {
		t.Errorf("validate: %v\n%s", err, out)
	}
}

// A file that is no whole model of this job is refused in words.
func TestBadModels(t *testing.T) {
	dir, job, path := untrained(t)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	other := filepath.Join(dir, "other.yaml")
	write(t, other, strings.Replace(pricesJob, "units: 1", "units: 1, bias: false", 1))
	bad := func(name, text string) string {
		path := filepath.Join(dir, name)
		write(t, path, text)
		return path
	}
	cases := []struct{ name, model, job, want string }{
		{"empty", bad("empty", ""), job, "not a valid safetensors file"},
		{"text", bad("text", "name: prices\n"), job, "not a valid safetensors file"},
		{"ONNX", bad("m.onnx", "an ONNX file"), job, "lockstep import makes a model of an ONNX file"},
		{"longer", bad("longer", string(whole)+"x"), job, "bytes follow the last tensor"},
		{"missing", filepath.Join(dir, "none"), job, "no such file"},
		{"directory", dir, job, "is a directory"},
		{"of another job", path, other, "is it the model of another job file?"},
	}
	for n := 0; n < len(whole); n += 7 {
		cases = append(cases, struct{ name, model, job, want string }{
			fmt.Sprintf("cut after %d bytes", n), bad(fmt.Sprintf("cut%d", n), string(whole[:n])), job, "not a valid safetensors file"})
	}
	for _, c := range cases {
		for _, command := range []string{"eval", "predict"} {
			_, err := typed(t, command, c.model, "--job", c.job, "--data", "train")
			var usage usageError
			if !errors.As(err, &usage) || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), c.model) {
				t.Errorf("%s %s: error %v, want a usage error with %q", command, c.name, err, c.want)
			}
		}
	}
}

// Numbers normalised otherwise would give predictions that are wrong without a
// sign of it.
func TestModelOfOtherData(t *testing.T) {
	dir, job, path := untrained(t)
	write(t, filepath.Join(dir, "prices.csv"), pricesCSV(2))
	_, err := typed(t, "predict", path, "--job", job, "--data", "train")
	if err == nil || !strings.Contains(err.Error(), "was trained on other data") {
		t.Errorf("error %v", err)
	}
}
