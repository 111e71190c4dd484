package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/lockstep-ml/lockstep/pkg/checkpoint"
	"github.com/lockstep-ml/lockstep/pkg/nn"
	"github.com/lockstep-ml/lockstep/pkg/tensor"
)

const proverbJob = `name: proverb
data: {format: text, train: proverb.txt, length: 8}
model: [{embedding: 8}, {gru: 24}, {dense: {units: 20}}]
loss: cross_entropy
optimizer: {adam: {lr: 0.03}}
epochs: 1
global_batch: 4
lanes: 2
`

const proverb = "many hands make light work. "

// learned writes the files of a job on a text that says the same over and over
// again, and a model that knows it. The data are gone then.
func learned(t *testing.T) (job, path string) {
	t.Helper()
	dir := t.TempDir()
	job = filepath.Join(dir, "job.yaml")
	write(t, job, proverbJob)
	write(t, filepath.Join(dir, "proverb.txt"), strings.Repeat(proverb, 50))
	path = begin(t, job)
	u := modelUse{path: path, job: jobFile{path: job}, split: "train", threads: 1}
	m, err := u.open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	for range 3 {
		if err := m.each(t.Context(), 2, func(b *nn.Batch) error { return train(m.trainer, b) }); err != nil {
			t.Fatal(err)
		}
	}
	if err := m.export(io.Discard, "", path); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(dir, "proverb.txt")); err != nil {
		t.Fatal(err)
	}
	return job, path
}

// train does one step.
func train(t *nn.Trainer, b *nn.Batch) error {
	for {
		if err := t.Gradient(b, nil); err != nil {
			return err
		}
		if o, err := t.Commit(); err != nil || !o.Repeat {
			return err
		}
	}
}

// A model goes on as its training text does, without the data, and the same on
// every instruction set.
func TestGenerate(t *testing.T) {
	job, path := learned(t)
	generate := func(args ...string) string {
		out, err := typed(t, append([]string{"generate", path, "--job", job}, args...)...)
		if err != nil {
			t.Fatal(args, err)
		}
		return out
	}
	likely := generate("--prompt", "many hands ", "--length", "45", "--temperature", "0")
	if want := proverb + proverb + "\n"; likely != want {
		t.Errorf("the likeliest is %q, want %q", likely, want)
	}
	if got := generate("--prompt", "many hands ", "--length", "45", "--top-k", "1", "--seed", "8"); got != likely {
		t.Errorf("one of one is %q", got)
	}
	first := ""
	for _, isa := range tensor.ISAs() {
		t.Setenv("LOCKSTEP_ISA", isa)
		if got := generate("--temperature", "2", "--threads", "2"); first != "" && got != first || len(got) != 501 {
			t.Errorf("%s: %q, before %q", isa, got, first)
		} else {
			first = got
		}
	}
	if got := generate("--temperature", "2", "--seed", "1"); got == first {
		t.Error("another seed writes the same")
	}
	var object struct {
		Job, Prompt, Text string
		Tokens            int
		Weights           string `json:"weights_sha256"`
	}
	if err := json.Unmarshal([]byte(generate("--prompt", "many", "--json", "--length", "7", "--temperature", "0")), &object); err != nil {
		t.Fatal(err)
	}
	if object.Job != "proverb" || object.Prompt != "many" || object.Text != " hands " || object.Tokens != 7 || len(object.Weights) != 64 {
		t.Errorf("as JSON %+v", object)
	}
}

// A file of another program does not say its vocabulary, so the data must.
func TestGenerateFromForeignWeights(t *testing.T) {
	job, path := learned(t)
	args := []string{"generate", path, "--job", job, "--prompt", "many", "--length", "20"}
	want, err := typed(t, args...)
	if err != nil {
		t.Fatal(err)
	}
	tensors, _, _, err := checkpoint.LoadModel(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := checkpoint.SaveModel(path, tensors, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := typed(t, args...); err == nil || !strings.Contains(err.Error(), "proverb.txt") {
		t.Errorf("without the data: %v", err)
	}
	write(t, filepath.Join(filepath.Dir(job), "proverb.txt"), strings.Repeat(proverb, 50))
	if got, err := typed(t, args...); err != nil || got != want {
		t.Errorf("%q, %v; want %q", got, err, want)
	}
}

// A prompt may come from standard input, which may never end.
func TestGenerateFromInput(t *testing.T) {
	job, path := learned(t)
	run := func(ctx context.Context, in io.Reader) (string, error) {
		root := Program{}.root()
		var out bytes.Buffer
		root.SetIn(in)
		root.SetOut(&out)
		err := execute(ctx, root, []string{"generate", path, "--job", job, "--prompt", "-", "--length", "8", "--temperature", "0"})
		return out.String(), err
	}
	if out, err := run(t.Context(), strings.NewReader("many hands make")); err != nil || out != "many hands make light w\n" {
		t.Errorf("%q, %v", out, err)
	}
	if out, err := run(t.Context(), strings.NewReader("\ufeffmany hands make")); err != nil || out != "many hands make light w\n" {
		t.Errorf("behind a byte order mark: %q, %v", out, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	in, w := io.Pipe()
	defer w.Close()
	if _, err := run(ctx, in); !errors.Is(err, context.Canceled) {
		t.Errorf("without an end: %v", err)
	}
	if _, err := run(ctx, strings.NewReader("many")); !errors.Is(err, context.Canceled) {
		t.Errorf("interrupted: %v", err)
	}
	if _, err := run(t.Context(), strings.NewReader(strings.Repeat("a", longestPrompt+1))); err == nil || !strings.Contains(err.Error(), "longer than") {
		t.Errorf("without bounds: %v", err)
	}
}

func TestGenerateRefuses(t *testing.T) {
	job, path := learned(t)
	_, prices, priced := untrained(t)
	looking := filepath.Join(filepath.Dir(job), "looking.yaml")
	write(t, looking, strings.Replace(proverbJob, "{gru: 24}", "{attention: 2}", 1))
	other := filepath.Join(t.TempDir(), "job.yaml")
	write(t, other, strings.Replace(proverbJob, "{gru: 24}", "{attention: 2}", 1))
	write(t, filepath.Join(filepath.Dir(other), "proverb.txt"), proverb)
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{path}, "--job is missing"},
		{[]string{"--job", job}, "accepts 1 arg"},
		{[]string{path, "--job", job, "--prompt", "many hände"}, `no character "ä"`},
		{[]string{path, "--job", job, "--length", "0"}, "--length 0"},
		{[]string{path, "--job", job, "--temperature", "-1"}, "--temperature -1"},
		{[]string{path, "--job", job, "--temperature", "NaN"}, "--temperature NaN"},
		{[]string{path, "--job", job, "--top-k", "-1"}, "--top-k -1"},
		{[]string{path, "--job", job, "--threads", "-1"}, "-1 threads"},
		{[]string{path, "--job", job, "--set", "data.length=9"}, "use the job file, data and --set that it was trained with"},
		{[]string{path, "--job", job, "--set", "model[1].gru=9"}, "does not fit"},
		{[]string{path, "--job", looking}, "does not fit"},
		{[]string{begin(t, other), "--job", other}, "causal: true"},
		{[]string{priced, "--job", prices}, "have format: csv, not format: text"},
	} {
		out, err := typed(t, append([]string{"generate"}, c.args...)...)
		var usage usageError
		if !errors.As(err, &usage) || !strings.Contains(err.Error(), c.want) || out != "" {
			t.Errorf("%v: error %v, want %q; printed %q", c.args, err, c.want, out)
		}
	}
}
