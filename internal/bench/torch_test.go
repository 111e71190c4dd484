package bench

import (
	"context"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// program stands for the other one: it has so many parameters in every model and
// does 100 records a second.
func program(parameters string) func(context.Context) *exec.Cmd {
	return func(ctx context.Context) *exec.Cmd {
		return exec.CommandContext(ctx, "sh", "-c", `while read -r what _; do case $what in model) echo ok `+parameters+`;; *) echo 100;; esac; done`)
	}
}

func TestTorch(t *testing.T) {
	o := TorchOptions{Command: program("669706"), Models: []string{"mlp"}, Runs: 1, RunTime: time.Nanosecond}
	var got []TorchResult
	if err := Torch(t.Context(), o, func(r any) { got = append(got, r.(TorchResult)) }); err != nil {
		t.Fatal(err)
	}
	if len(got) != 1 {
		t.Fatalf("%+v", got)
	}
	r := got[0]
	if r.Model != "mlp" || r.Batch != 128 || r.Torch != 100 || r.FastToTorch != r.Fast/100 || r.ExactToTorch != r.Exact/100 || r.ExactToFast != r.Exact/r.Fast {
		t.Errorf("%+v", r)
	}
}

func TestTorchRefuses(t *testing.T) {
	o := TorchOptions{Command: program("1"), Models: []string{"mlp"}}
	if err := Torch(t.Context(), o, nil); err == nil || !strings.Contains(err.Error(), `answered "ok 1" to "model mlp"`) {
		t.Errorf("another network: %v", err)
	}
	o.Models = []string{"vgg"}
	if err := Torch(t.Context(), o, nil); err == nil || !strings.Contains(err.Error(), `model "vgg"`) {
		t.Errorf("unknown network: %v", err)
	}
}
