package e2e

import (
	"encoding/json"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/lockstep-ml/lockstep/pkg/tensor"
)

// TestGANMakesEveryClass counts what a classifier that was trained on real
// pictures takes the pictures of a generator for.
func TestGANMakesEveryClass(t *testing.T) {
	needsE2E(t)
	root := gather(t, "fashion-mnist", filesBelow(t))
	part := []string{"epochs=1", "data.train.take=10000"}
	classifier := trainShort(t, root, "fashion-mnist", nil, part...)
	generator := trainShort(t, root, "fashion-dcgan", nil, "steps=2000")
	samples := filepath.Join(t.TempDir(), "samples")
	lockstep(t, "sample", generator, "--job", jobOf("fashion-dcgan"), "--data-root", root, "--count", "1000", "--out", samples, "--set", "steps=2000")
	out := lockstep(t, "predict", classifier, "--job", jobOf("fashion-mnist"), "--records", samples, "--tally", "--json")
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

// TestLanguageModelWrites lets a model that has hardly begun to learn continue a
// text: words of a plausible length, the same on every instruction set.
func TestLanguageModelWrites(t *testing.T) {
	needsE2E(t)
	root := gather(t, "shakespeare-lstm", filesBelow(t))
	const window = "data.length=32"
	model := trainShort(t, root, "shakespeare-lstm", nil, "steps=200", window)
	first := ""
	for _, isa := range tensor.ISAs() {
		t.Setenv("LOCKSTEP_ISA", isa)
		got := lockstep(t, "generate", model, "--job", jobOf("shakespeare-lstm"), "--set", window, "--prompt", "ROMEO:", "--length", "200")
		if first == "" {
			first = got
		}
		if words := len(strings.Fields(got)); got != first || !strings.HasPrefix(got, "ROMEO:") || words < 25 || words > 65 {
			t.Errorf("%s: %d words, want 25 to 65:\n%s", isa, words, got)
		}
	}
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
