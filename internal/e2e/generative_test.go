package e2e

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// generative is an example trained in a shortened form, and what it must reach:
// the loss on its test data.
type generative struct {
	example string
	set     []string
	loss    float64
}

// The floors are a tenth above what the shortened forms reach. The pictures have
// a variance of 0.0866 about their mean, and with noise they are 0.125 off.
func generatives() []generative {
	return []generative{
		{"fashion-autoencoder", []string{"epochs=2", "data.train.take=20000"}, 0.0213},
		{"fashion-denoising", []string{"epochs=2", "data.train.take=20000"}, 0.0256},
		{"fashion-vae", []string{"epochs=2", "data.train.take=20000"}, 296},
	}
}

// TestGenerativeExamples trains the examples that make pictures, in a shortened
// form, on the data below LOCKSTEP_E2E_DATA.
func TestGenerativeExamples(t *testing.T) {
	root := exampleData(t, "fashion-mnist")
	for _, g := range generatives() {
		t.Run(g.example, func(t *testing.T) {
			var got struct{ Loss float64 }
			trainShort(t, root, g.example, &got, g.set...)
			if !(got.Loss > 0 && got.Loss <= g.loss) {
				t.Errorf("loss %v on the test data, want at most %v", got.Loss, g.loss)
			}
		})
	}
}

// TestGANMakesEveryClass counts what a classifier that was trained on real
// pictures takes the pictures of a generator for.
func TestGANMakesEveryClass(t *testing.T) {
	root := exampleData(t, "fashion-mnist")
	part := []string{"epochs=1", "data.train.take=10000"}
	classifier := trainShort(t, root, "fashion-mnist", nil, part...)
	generator := trainShort(t, root, "fashion-dcgan", nil, "steps=2000")
	samples := filepath.Join(t.TempDir(), "samples")
	lockstep(t, "sample", generator, "--job", jobOf("fashion-dcgan"), "--data-root", root, "--count", "1000", "--out", samples, "--set", "steps=2000")
	out := lockstep(t, "predict", classifier, "--job", jobOf("fashion-mnist"), "--data-root", root, "--tally", "--json",
		"--set", part[0], "--set", part[1], "--set", "data.test={images: "+samples+"}")
	var tally struct {
		Classes []struct {
			Records     int
			Probability float64
		}
	}
	if err := json.Unmarshal([]byte(out), &tally); err != nil {
		t.Fatal(err)
	}
	seen := 0
	for _, c := range tally.Classes {
		if c.Records >= 10 {
			seen++
		}
	}
	if seen < 8 {
		t.Errorf("%d classes have 10 or more of 1000 samples, want 8: %s", seen, out)
	}
}

// exampleData is a directory of LOCKSTEP_E2E_DATA; without it the test is skipped.
func exampleData(t *testing.T, name string) string {
	t.Helper()
	needsE2E(t)
	data := os.Getenv("LOCKSTEP_E2E_DATA")
	if data == "" {
		t.Skip("LOCKSTEP_E2E_DATA is not set: the directory with the data sets of the examples")
	}
	root := filepath.Join(data, name)
	if _, err := os.Stat(root); err != nil {
		t.Fatal(err)
	}
	return root
}

func jobOf(example string) string { return filepath.Join("..", "..", "examples", example, "job.yaml") }

// trainShort trains an example with some fields replaced. It returns the file of
// the model, and the object that train prints in result, if that is not nil.
func trainShort(t *testing.T, root, example string, result any, set ...string) (model string) {
	t.Helper()
	model = filepath.Join(t.TempDir(), "model.safetensors")
	args := []string{"train", jobOf(example), "--json", "--out", model, "--data-root", root}
	for _, s := range set {
		args = append(args, "--set", s)
	}
	lines := strings.Split(strings.TrimSpace(lockstep(t, args...)), "\n")
	if result != nil {
		if err := json.Unmarshal([]byte(lines[len(lines)-1]), result); err != nil {
			t.Fatal(err)
		}
	}
	return model
}

// lockstep runs the tool and returns what it prints.
func lockstep(t *testing.T, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), program("lockstep"), args...)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %v\n%s", cmd, err, &stderr)
	}
	return string(out)
}
