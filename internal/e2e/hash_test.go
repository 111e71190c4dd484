package e2e

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/lockstep-ml/lockstep/pkg/tensor"
)

// The job that all hashes are of: a CNN with dropout and Adam.
const (
	jobFile = "testdata/cnn.yaml"
	steps   = 300

	// Faults need a job that is not over before they are noticed: so many steps
	// take seconds on the fastest machine.
	longSteps = 2000
	early     = 100 // faults are set off when a worker has done so many
)

// long is the override that makes the job last.
var long = fmt.Sprintf("steps=%d", longSteps)

// trained is the object that `lockstep train --json` prints.
type trained struct {
	State         string `json:"state"`
	Steps         int    `json:"steps"`
	WeightsSHA256 string `json:"weights_sha256"`
}

// train trains the job that all hashes are of.
func train(t *testing.T, env []string, args ...string) trained {
	t.Helper()
	return trainFile(t, jobFile, env, args...)
}

// trainFile runs `lockstep train` and returns the object it prints.
func trainFile(t *testing.T, file string, env []string, args ...string) (result trained) {
	t.Helper()
	model := filepath.Join(t.TempDir(), "model.safetensors")
	cmd := exec.CommandContext(t.Context(), program("lockstep"), append([]string{"train", file, "--json", "--out", model}, args...)...)
	cmd.Env = append(os.Environ(), env...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %v\n%s", cmd, err, &stderr)
	}
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &result); err != nil {
		t.Fatalf("last line %q: %v", lines[len(lines)-1], err)
	}
	weights, err := os.ReadFile(model)
	if err != nil {
		t.Fatal(err)
	}
	if sum := sha256.Sum256(weights); hex.EncodeToString(sum[:]) != result.WeightsSHA256 {
		t.Errorf("weights_sha256 is %s, that of the file %x", result.WeightsSHA256, sum)
	}
	return result
}

// TestSmoke is the promise in its shortest form: one worker and two, the same bits.
func TestSmoke(t *testing.T) {
	short := []string{"--set", "steps=10", "--set", "checkpoint.every=4"}
	one := train(t, nil, append(short, "--workers", "1")...)
	two := train(t, nil, append(short, "--workers", "2")...)
	if one.Steps != 10 || one.State != "succeeded" {
		t.Errorf("%+v", one)
	}
	if one != two {
		t.Errorf("1 worker: %+v, 2 workers: %+v", one, two)
	}
}

// TestOneHash trains one job in every way a cluster may differ.
func TestOneHash(t *testing.T) {
	needsE2E(t)
	reference := train(t, nil, "--workers", "1")
	if reference.Steps != steps {
		t.Fatalf("%d steps, want %d", reference.Steps, steps)
	}
	for _, n := range []int{2, 3, 5} {
		t.Run(fmt.Sprintf("workers=%d", n), func(t *testing.T) {
			if got := train(t, nil, "--workers", strconv.Itoa(n)); got != reference {
				t.Errorf("%+v, want %+v", got, reference)
			}
		})
	}
	for _, isa := range []string{"avx512", "avx2", "portable"} {
		t.Run("isa="+isa, func(t *testing.T) {
			needsISA(t, isa)
			if got := train(t, []string{"LOCKSTEP_ISA=" + isa}, "--workers", "2"); got != reference {
				t.Errorf("%+v, want %+v", got, reference)
			}
		})
	}
	for _, n := range []string{"1", "2"} {
		t.Run("GOMAXPROCS="+n, func(t *testing.T) {
			if got := train(t, []string{"GOMAXPROCS=" + n}, "--workers", "2", "--threads", n); got != reference {
				t.Errorf("%+v, want %+v", got, reference)
			}
		})
	}
	t.Run("mixed ISAs", func(t *testing.T) {
		if got := mixedISAs(t); got != reference.WeightsSHA256 {
			t.Errorf("weights %s, want %s", got, reference.WeightsSHA256)
		}
	})
}

// TestOneHashThroughFaults beats up clusters that train one job.
func TestOneHashThroughFaults(t *testing.T) {
	needsE2E(t)
	throughFaults(t, jobFile, map[string]func(*testing.T, string) string{
		"worker killed":       workerKilled,
		"worker added":        workerAdded,
		"leader killed":       leaderKilled,
		"all killed, resumed": allKilled,
	})
}

// TestGANThroughFaults does so with two networks that take turns.
func TestGANThroughFaults(t *testing.T) {
	needsE2E(t)
	throughFaults(t, "testdata/gan.yaml", map[string]func(*testing.T, string) string{
		"worker killed":       workerKilled,
		"all killed, resumed": allKilled,
	})
}

// throughFaults compares the models of a job that faults befall with that of one
// that none befalls.
func throughFaults(t *testing.T, file string, faults map[string]func(*testing.T, string) string) {
	reference := trainFile(t, file, nil, "--workers", "1", "--set", long)
	for name, fault := range faults {
		t.Run(name, func(t *testing.T) {
			if got := fault(t, file); got != reference.WeightsSHA256 {
				t.Errorf("weights %s, want %s", got, reference.WeightsSHA256)
			}
		})
	}
}

func needsISA(t *testing.T, isa string) {
	t.Helper()
	for _, have := range tensor.ISAs() {
		if have == isa {
			return
		}
	}
	t.Skipf("this machine has no %s, only %v", isa, tensor.ISAs())
}

// mixedISAs puts a worker of every kind the machine can run into one ring.
func mixedISAs(t *testing.T) string {
	isas := tensor.ISAs()
	if len(isas) < 2 {
		t.Skipf("this machine has only %v", isas)
	}
	c := newCluster(t, 1, 0)
	for i, isa := range isas {
		c.startWorker(fmt.Sprintf("w%d", i+1), "LOCKSTEP_ISA="+isa)
	}
	job := c.finish(c.submit(jobFile, fmt.Sprintf("workers.min=%d", len(isas))))
	for i := range isas {
		if n := committed(t, c.auditFile(fmt.Sprintf("w%d", i+1))); n == 0 {
			t.Errorf("worker w%d (%s) did no step", i+1, isas[i])
		}
	}
	return job.GetWeightsSha256()
}

// reach waits until worker id has done so many steps, and returns how many.
func (c *cluster) reach(id string, n int) (done int) {
	c.t.Helper()
	c.until(fmt.Sprintf("%s does %d steps", id, n), func() bool {
		done = committed(c.t, c.auditFile(id))
		return done >= n
	})
	if done >= longSteps-20 {
		c.t.Fatalf("the fault came too late: %d of %d steps were done", done, longSteps)
	}
	return done
}

func workerKilled(t *testing.T, file string) string {
	c := newCluster(t, 1, 3)
	id := c.submit(file, long)
	c.reach("w2", early)
	c.kill("w2")
	job := c.finish(id)
	if n := committed(t, c.auditFile("w2")); n >= longSteps-1 {
		t.Errorf("w2 had done %d of %d steps before it was killed", n, longSteps)
	}
	if job.GetGeneration() < 2 {
		t.Errorf("generation %d: the loss of a worker went unnoticed", job.GetGeneration())
	}
	return job.GetWeightsSha256()
}

func workerAdded(t *testing.T, file string) string {
	c := newCluster(t, 1, 1)
	id := c.submit(file, long)
	c.reach("w1", early)
	c.startWorker("w2")
	job := c.finish(id)
	if n := committed(t, c.auditFile("w2")); n == 0 || n > longSteps-early {
		t.Errorf("the late worker did %d of %d steps", n, longSteps)
	}
	return job.GetWeightsSha256()
}

func leaderKilled(t *testing.T, file string) string {
	c := newCluster(t, 3, 2)
	id := c.submit(file, long)
	old := c.leader()
	c.reach("w1", early)
	c.kill(old)
	if n := committed(t, c.auditFile("w1")); n >= longSteps {
		t.Errorf("the job was over when its leader was killed")
	}
	job := c.finish(id)
	if now := c.leader(); now == old {
		t.Errorf("%s still leads", now)
	}
	return job.GetWeightsSha256()
}

func allKilled(t *testing.T, file string) string {
	c := newCluster(t, 3, 2)
	id := c.submit(file, long, "checkpoint.every=40")
	c.reach("w1", early)
	for _, p := range []string{"w1", "w2", "c1", "c2", "c3"} {
		c.kill(p)
	}
	before := committed(t, c.auditFile("w1"))
	most := max(before, committed(t, c.auditFile("w2"))) // w2 may have gone on alone
	for i := range 3 {
		c.startCoordinator(i + 1)
	}
	c.startWorker("w1")
	c.startWorker("w2")
	job := c.finish(id)
	again := readAudit(t, c.auditFile("w1"))
	var first *entry
	for i := before; i < len(again) && first == nil; i++ {
		if e := again[i].Committed; e != nil && e.Generation > 1 {
			first = e
		}
	}
	if first == nil {
		t.Fatal("no step was done after the resume")
	}
	const perEpoch = 157 // of 64 of the 10,000 records
	if at := first.Epoch*perEpoch + first.Step; at < 40 || at > most {
		t.Errorf("it went on at step %d, want one from 40 to %d: the last checkpoint", at, most)
	}
	return job.GetWeightsSha256()
}

// TestExactlyOnce accounts for every record of epochs that do not divide, with
// a worker killed in the midst of one.
func TestExactlyOnce(t *testing.T) {
	needsE2E(t)
	const records = 10000 // of examples/digits
	for _, c := range []struct{ batch, lanes int }{{250, 7}, {240, 7}} {
		t.Run(fmt.Sprintf("batch=%d lanes=%d", c.batch, c.lanes), func(t *testing.T) {
			k := newCluster(t, 1, 3)
			const epochs = 4
			id := k.submit(jobFile, fmt.Sprintf("global_batch=%d", c.batch), fmt.Sprintf("lanes=%d", c.lanes), fmt.Sprintf("steps=%d", epochs*((records+c.batch-1)/c.batch)))
			k.reach("w2", 15)
			k.kill("w2")
			job := k.finish(id)
			if job.GetGeneration() < 2 {
				t.Errorf("generation %d: the kill went unnoticed", job.GetGeneration())
			}
			checkExactlyOnce(t, k.dir, epochs, records, c.batch, c.lanes)
		})
	}
}
