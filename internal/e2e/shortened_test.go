package e2e

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/lockstep-ml/lockstep/pkg/dataset"
	"github.com/lockstep-ml/lockstep/pkg/job"
)

// e2eData names the variable with the directory of the examples' data, which may
// lie anywhere below it. They are known by name and checksum.
const e2eData = "LOCKSTEP_E2E_DATA"

// short is an example in a form that takes seconds on its own data.
type short struct {
	example string   // directory below examples/
	set     []string // overrides of the job file
	eval    bool     // measure the weights it starts from instead of training
	figure  string   // what is looked at: a metric of the test data, or their loss
	// Bounds of the figure, a little beside what it is: training has one result, on
	// every machine. 0 is no bound.
	least, most float64
}

func shortForms() []short {
	return []short{
		{example: "wind", figure: "rmse", most: 1.155},
		{example: "weather", figure: "rmse", most: 3.82},
		{example: "housing", set: []string{"epochs=20"}, figure: "rmse", most: 53500},
		{example: "ratings", set: []string{"epochs=3"}, figure: "rmse", most: 0.88},
		{example: "ratings-neural", set: []string{"epochs=5"}, figure: "rmse", most: 0.872},
		{example: "spam", set: []string{"epochs=4"}, figure: "f1", least: 0.90},
		{example: "banking77", set: []string{"epochs=6"}, figure: "accuracy", least: 0.825},
		{example: "cifar10-resnet20", eval: true, figure: "accuracy", least: 0.8110},
		{example: "clothes", set: []string{"epochs=1"}, figure: "accuracy", least: 0.65},
		{example: "fashion-autoencoder", set: []string{"epochs=2", "data.train.take=20000"}, figure: "loss", most: 0.0213},
		{example: "fashion-denoising", set: []string{"epochs=2", "data.train.take=20000"}, figure: "loss", most: 0.0256},
		{example: "fashion-vae", set: []string{"epochs=2", "data.train.take=20000"}, figure: "loss", most: 296},
		{example: "fashion-mnist", set: []string{"steps=200"}, figure: "accuracy", least: 0.82},
		{example: "fashion-resnet", set: []string{"steps=100"}, figure: "accuracy", least: 0.78},
		{example: "mnist", set: []string{"steps=100"}, figure: "accuracy", least: 0.95},
		{example: "shakespeare-gru", set: []string{"steps=80"}, figure: "perplexity", most: 8.9},
		{example: "shakespeare-lstm", set: []string{"steps=80"}, figure: "perplexity", most: 9.5},
		{example: "shakespeare-gpt", set: []string{"steps=60"}, figure: "perplexity", most: 14.3},
	}
}

// TestShortenedExamples trains the examples on their own data for a few seconds
// each, and asks for a figure that only a network that learns has by then.
func TestShortenedExamples(t *testing.T) {
	needsE2E(t)
	found := filesBelow(t)
	for _, s := range shortForms() {
		t.Run(s.example, func(t *testing.T) { s.run(t, gather(t, s.example, found)) })
	}
}

func (s short) run(t *testing.T, root string) {
	var result struct {
		Loss    float64
		Metrics map[string]float64
	}
	if s.eval {
		out := lockstep(t, "eval", "--job", jobOf(s.example), "--data-root", root, "--json")
		if err := json.Unmarshal([]byte(out), &result); err != nil {
			t.Fatal(err)
		}
	} else {
		trainShort(t, root, s.example, &result, s.set...)
	}
	got, ok := result.Metrics[s.figure]
	if s.figure == "loss" {
		got, ok = result.Loss, true
	}
	if !ok || !(got >= s.least) || s.most > 0 && !(got <= s.most) {
		t.Errorf("%s is %v, want at least %v and at most %v (0: any)", s.figure, got, s.least, s.most)
	}
	t.Logf("%s %.4f", s.figure, got)
}

// gather links the files that an example reads into a new directory and returns
// it; the test is skipped if one of them is not among those found.
func gather(t *testing.T, example string, found map[string][]string) string {
	t.Helper()
	text, err := os.ReadFile(jobOf(example))
	if err != nil {
		t.Fatal(err)
	}
	spec, err := job.Decode(jobOf(example), text, nil)
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{spec.Start.Weights: true}
	for _, f := range []dataset.Files{spec.Data.Train, spec.Data.Test} {
		names[f.Path], names[f.Images], names[f.Labels] = true, true, true
	}
	delete(names, "")
	root, known := t.TempDir(), checksums(t, example)
	for name := range names {
		from := withChecksum(t, found[name], known)
		if from == "" {
			t.Skipf("below %s is no %s with the checksum in examples/%s/README.md", os.Getenv(e2eData), name, example)
		}
		if err := os.Symlink(from, filepath.Join(root, name)); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

// checksums are those in an example's README and in those of the examples that
// it links to: different data may have files of one name.
func checksums(t *testing.T, example string) map[string]bool {
	t.Helper()
	read := func(example string) string {
		text, err := os.ReadFile(filepath.Join("..", "..", "examples", example, "README.md"))
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	text := read(example)
	for _, link := range regexp.MustCompile(`\]\(\.\./([\w-]+)`).FindAllStringSubmatch(text, -1) {
		text += read(link[1])
	}
	known := map[string]bool{}
	for _, sum := range regexp.MustCompile(`\b[0-9a-f]{64}\b`).FindAllString(text, -1) {
		known[sum] = true
	}
	return known
}

// filesBelow are the paths of the files below the directory of data, by name.
func filesBelow(t *testing.T) map[string][]string {
	t.Helper()
	root := os.Getenv(e2eData)
	if root == "" {
		t.Skipf("%s is not set: a directory below which the files are that examples/*/README.md list", e2eData)
	}
	root, err := filepath.Abs(root)
	if err != nil {
		t.Fatal(err)
	}
	found := map[string][]string{}
	err = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			found[d.Name()] = append(found[d.Name()], path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// withChecksum is the first of some files whose SHA-256 is known, or "".
func withChecksum(t *testing.T, paths []string, known map[string]bool) string {
	t.Helper()
	for _, path := range paths {
		f, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		h := sha256.New()
		_, err = io.Copy(h, f)
		f.Close() // read only: nothing can be lost
		if err != nil {
			t.Fatal(err)
		}
		if known[hex.EncodeToString(h.Sum(nil))] {
			return path
		}
	}
	return ""
}
