package e2e

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/lockstep-ml/lockstep/pkg/client"
	pb "github.com/lockstep-ml/lockstep/proto/lockstep/v1"
)

// patience bounds every wait of these tests; nothing in a healthy run is near it.
const patience = 4 * time.Minute

var bin string // directory of the programs under test

func TestMain(m *testing.M) {
	os.Exit(run(m))
}

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "lockstep-e2e-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	bin = dir
	build := exec.Command("go", "build", "-o", dir+string(filepath.Separator),
		"github.com/lockstep-ml/lockstep/cmd/lockstep", "github.com/lockstep-ml/lockstep/cmd/coordinator", "github.com/lockstep-ml/lockstep/cmd/worker")
	build.Stderr = os.Stderr
	if err := build.Run(); err != nil {
		fmt.Fprintln(os.Stderr, "building the programs:", err)
		return 1
	}
	return m.Run()
}

func program(name string) string {
	if runtime.GOOS == "windows" {
		name += ".exe"
	}
	return filepath.Join(bin, name)
}

// needsE2E skips a long test unless it was asked for.
func needsE2E(t *testing.T) {
	t.Helper()
	if os.Getenv("LOCKSTEP_E2E") == "" {
		t.Skip("takes minutes; set LOCKSTEP_E2E=1 or run make e2e")
	}
}

// cluster is a set of processes started by hand, as on several machines.
type cluster struct {
	t         *testing.T
	dir       string
	addresses []string // of the coordinators
	procs     map[string]*exec.Cmd
	client    *client.Client
}

// newCluster starts coordinators c1, c2, … and workers w1, w2, …; all are
// killed when the test ends.
func newCluster(t *testing.T, coordinators, workers int) *cluster {
	t.Helper()
	c := &cluster{t: t, dir: t.TempDir(), addresses: freeAddresses(t, coordinators), procs: map[string]*exec.Cmd{}}
	t.Cleanup(c.stop)
	for i := range coordinators {
		c.startCoordinator(i + 1)
	}
	for i := range workers {
		c.startWorker(fmt.Sprintf("w%d", i+1))
	}
	var err error
	if c.client, err = client.New(client.Config{Coordinators: c.addresses, Patience: time.Minute}); err != nil {
		t.Fatal(err)
	}
	c.until(fmt.Sprintf("%d workers alive", workers), func() bool {
		nodes, err := c.client.Nodes(c.context())
		alive := 0
		for _, w := range nodes.GetWorkers() {
			if w.GetAlive() {
				alive++
			}
		}
		return err == nil && alive == workers
	})
	return c
}

// freeAddresses finds ports that were free a moment ago.
func freeAddresses(t *testing.T, n int) (addresses []string) {
	t.Helper()
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		addresses = append(addresses, l.Addr().String())
	}
	return addresses
}

func (c *cluster) startCoordinator(number int) {
	peers := make([]string, len(c.addresses))
	for i, a := range c.addresses {
		peers[i] = fmt.Sprintf("c%d=%s", i+1, a)
	}
	id := fmt.Sprintf("c%d", number)
	c.start(id, program("coordinator"), nil, "--id", id, "--listen", c.addresses[number-1],
		"--peers", strings.Join(peers, ","), "--data-dir", filepath.Join(c.dir, id))
}

// startWorker starts a worker of one thread that writes an audit.
func (c *cluster) startWorker(id string, env ...string) {
	c.start(id, program("worker"), env, "--id", id, "--listen", "127.0.0.1:0", "--threads", "1",
		"--coordinators", strings.Join(c.addresses, ","), "--data-dir", filepath.Join(c.dir, id), "--audit", c.auditFile(id))
}

func (c *cluster) auditFile(id string) string { return filepath.Join(c.dir, id+".audit") }

func (c *cluster) start(id, name string, env []string, args ...string) {
	c.t.Helper()
	log, err := os.OpenFile(filepath.Join(c.dir, id+".log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		c.t.Fatal(err)
	}
	defer log.Close()
	cmd := exec.Command(name, args...)
	cmd.Env = append(os.Environ(), env...)
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		c.t.Fatal(err)
	}
	c.procs[id] = cmd
}

// kill is kill -9; it returns when the process is gone.
func (c *cluster) kill(id string) {
	c.t.Helper()
	cmd := c.procs[id]
	delete(c.procs, id)
	if err := cmd.Process.Kill(); err != nil {
		c.t.Fatalf("%s had ended before it was killed: %v", id, err)
	}
	_ = cmd.Wait() // says that it was killed
}

func (c *cluster) stop() {
	if c.client != nil {
		_ = c.client.Close() // nothing is left to lose
	}
	for id := range c.procs {
		c.kill(id)
	}
	if !c.t.Failed() {
		return
	}
	logs, _ := filepath.Glob(filepath.Join(c.dir, "*.log")) // the pattern is well formed
	for _, l := range logs {
		text, err := os.ReadFile(l)
		if err == nil {
			c.t.Logf("%s:\n%s", filepath.Base(l), text[max(0, len(text)-3000):])
		}
	}
}

// context ends with patience.
func (c *cluster) context() context.Context {
	ctx, cancel := context.WithTimeout(c.t.Context(), patience)
	c.t.Cleanup(cancel)
	return ctx
}

// until waits for a condition.
func (c *cluster) until(what string, ok func() bool) {
	c.t.Helper()
	for deadline := time.Now().Add(patience); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			c.t.Fatalf("waited %s for: %s", patience, what)
		}
	}
}

// submit queues a job file.
func (c *cluster) submit(file string, overrides ...string) string {
	c.t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		c.t.Fatal(err)
	}
	root, err := filepath.Abs(filepath.Dir(file))
	if err != nil {
		c.t.Fatal(err)
	}
	answer, err := c.client.Submit(c.context(), &pb.SubmitRequest{JobYaml: text, FileName: file, DataRoot: root, Overrides: overrides})
	if err != nil {
		c.t.Fatal(err)
	}
	return answer.GetJobId()
}

// finish waits for the job to succeed.
func (c *cluster) finish(id string) *pb.Job {
	c.t.Helper()
	var job *pb.Job
	err := c.client.Watch(c.context(), id, func(r *pb.WatchResponse) error {
		if r.GetJob() != nil {
			job = r.GetJob()
		}
		return nil
	})
	if err != nil || job.GetState() != pb.JobState_JOB_STATE_SUCCEEDED {
		c.t.Fatalf("job %s: %v %s %s %v", id, job.GetState(), job.GetReason(), job.GetError(), err)
	}
	return job
}

// leader names the coordinator that leads.
func (c *cluster) leader() string {
	c.t.Helper()
	var id string
	c.until("a leader", func() bool {
		nodes, err := c.client.Nodes(c.context())
		for _, n := range nodes.GetCoordinators() {
			if n.GetLeader() {
				id = n.GetId()
			}
		}
		return err == nil && id != ""
	})
	return id
}
