package e2e

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"os/exec"
	"regexp"
	"testing"
)

// A disk that is full when the model is written costs the user the model's place,
// not the model: the message says where it is.
func TestTrainOntoAFullDisk(t *testing.T) {
	const full = "/dev/full" // every write to it fails with ENOSPC
	if _, err := os.Stat(full); err != nil {
		t.Skip(err)
	}
	want := train(t, nil, "--set", "steps=10").WeightsSHA256
	cmd := exec.CommandContext(t.Context(), program("lockstep"), "train", jobFile, "--set", "steps=10", "--out", full)
	cmd.Env = append(os.Environ(), "TMPDIR="+t.TempDir())
	out, err := cmd.CombinedOutput()
	named := regexp.MustCompile(`no space left on device\n  the model is kept in (\S+); copy it`).FindSubmatch(out)
	if err == nil || named == nil {
		t.Fatalf("%v:\n%s", err, out)
	}
	weights, err := os.ReadFile(string(named[1]))
	if sum := sha256.Sum256(weights); err != nil || hex.EncodeToString(sum[:]) != want {
		t.Errorf("what is kept has sha256 %x, want %s; %v", sum, want, err)
	}
}
