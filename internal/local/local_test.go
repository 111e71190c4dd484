package local

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// role is the variable that makes this test binary play another part.
const role = "LOCAL_TEST_ROLE"

func TestMain(m *testing.M) {
	switch os.Getenv(role) {
	case "":
		os.Exit(m.Run())
	case "process": // what Start launches: listens until its input ends
		signal.Ignore(os.Interrupt)
		l, err := net.Listen("tcp", flagValue("--listen"))
		if err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		ctx, cancel := UntilEOF(context.Background(), os.Stdin)
		<-ctx.Done()
		cancel()
		_ = l.Close()
	case "stubborn": // ignores the end of its input
		time.Sleep(time.Minute)
	case "broken":
		fmt.Println("first line\nthe disk is full")
		os.Exit(3)
	case "parent": // starts a cluster and tells its addresses
		_ = os.Setenv(role, "process")
		c, err := Start(context.Background(), config(2))
		if err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		for _, p := range c.Processes() {
			fmt.Println(p.Address)
		}
		fmt.Println("ready")
		time.Sleep(time.Minute)
	}
}

func flagValue(name string) string {
	for i, a := range os.Args {
		if a == name {
			return os.Args[i+1]
		}
	}
	return ""
}

// config starts the test binary; it is ready when everything listens.
func config(workers int) Config {
	program, err := os.Executable()
	if err != nil {
		panic(err)
	}
	return Config{Program: program, Coordinators: 1, Workers: workers, Ready: func(_ context.Context, coordinators []string, _ int) error {
		if !listens(coordinators[0]) {
			return errors.New("c1 does not listen")
		}
		return nil
	}}
}

func listens(address string) bool {
	conn, err := net.DialTimeout("tcp", address, time.Second)
	if err == nil {
		_ = conn.Close()
	}
	return err == nil
}

func TestStartStop(t *testing.T) {
	t.Setenv(role, "process")
	c, err := Start(t.Context(), config(2))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.AddWorker("EXTRA=1"); err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, p := range c.Processes() {
		names = append(names, p.Name)
	}
	if got := strings.Join(names, " "); got != "c1 w1 w2 w3" {
		t.Errorf("processes %s", got)
	}
	if err := c.Process("w2").Kill(); err != nil {
		t.Error(err)
	}
	select {
	case err := <-c.Exits():
		if !strings.Contains(err.Error(), "w2 ended by itself") {
			t.Errorf("exit: %v", err)
		}
	case <-time.After(5 * time.Second):
		t.Error("the death of w2 was not reported")
	}
	if err := c.Stop(); err != nil {
		t.Error(err)
	}
	if listens(c.Coordinators()[0]) {
		t.Error("c1 still listens")
	}
	if _, err := os.Stat(c.Dir()); !os.IsNotExist(err) {
		t.Errorf("temporary directory: %v", err)
	}
	if _, err := c.AddWorker(); err == nil {
		t.Error("a worker was started after Stop")
	}
}

func TestKeep(t *testing.T) {
	t.Setenv(role, "process")
	t.Setenv("TMPDIR", t.TempDir())
	c, err := Start(t.Context(), config(1))
	if err != nil {
		t.Fatal(err)
	}
	c.Keep()
	if err := c.Stop(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(filepath.Join(c.Dir(), "logs", "w1.log")); err != nil {
		t.Error(err)
	}
	if err := os.RemoveAll(c.Dir()); err != nil { // where TMPDIR is of no account
		t.Error(err)
	}
}

func TestStartFailureTellsTheLog(t *testing.T) {
	t.Setenv(role, "broken")
	_, err := Start(t.Context(), config(0))
	if err == nil || !strings.Contains(err.Error(), "c1 ended by itself: exit status 3") || !strings.Contains(err.Error(), "the disk is full") {
		t.Errorf("error %v", err)
	}
}

func TestStopKillsTheStubborn(t *testing.T) {
	t.Setenv(role, "stubborn")
	conf := config(0)
	conf.Dir, conf.StopGrace = t.TempDir(), 50*time.Millisecond
	conf.Ready = func(context.Context, []string, int) error { return nil }
	c, err := Start(t.Context(), conf)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Stop(); err != nil {
		t.Error(err)
	}
	<-c.Process("c1").Done()
	if _, err := os.Stat(filepath.Join(conf.Dir, "logs", "c1.log")); err != nil {
		t.Errorf("a directory that was given is kept: %v", err)
	}
}

func TestStartHonoursItsContext(t *testing.T) {
	t.Setenv(role, "process")
	ctx, cancel := context.WithCancel(t.Context())
	conf := config(0)
	conf.Ready = func(context.Context, []string, int) error { cancel(); return errors.New("not yet") }
	if _, err := Start(ctx, conf); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
}

// A cluster must not outlive its parent, even one that had no chance to stop it.
func TestProcessesDieWithTheirParent(t *testing.T) {
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	parent := exec.Command(program)
	parent.Env = append(os.Environ(), role+"=parent", "TMPDIR="+t.TempDir())
	out, err := parent.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := parent.Start(); err != nil {
		t.Fatal(err)
	}
	var addresses []string
	for {
		var line string
		if _, err := fmt.Fscanln(out, &line); err != nil {
			t.Fatal(err)
		}
		if line == "ready" {
			break
		}
		addresses = append(addresses, line)
	}
	if len(addresses) != 3 {
		t.Fatalf("parent said %q", addresses)
	}
	if err := parent.Process.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, out)
	_ = parent.Wait()
	deadline := time.Now().Add(10 * time.Second)
	for _, a := range addresses {
		for listens(a) {
			if time.Now().After(deadline) {
				t.Fatalf("%s still listens after its parent was killed", a)
			}
			time.Sleep(10 * time.Millisecond)
		}
	}
}

func TestValidate(t *testing.T) {
	err := Config{Coordinators: 2, Workers: 1000, Threads: -1, Port: 70000}.Validate()
	for _, want := range []string{"coordinators 2: expected an odd", "workers 1000", "threads -1", "port 70000"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v does not mention %q", err, want)
		}
	}
}

func TestTakenPortIsNamed(t *testing.T) {
	l, err := net.Listen("tcp", loopback(0))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	conf := config(0)
	conf.Port = l.Addr().(*net.TCPAddr).Port
	if conf.Port+2*workerPort > 65535 {
		t.Skip("the system gave a port too near the end")
	}
	if _, err := Start(t.Context(), conf); err == nil || !strings.Contains(err.Error(), "--port") {
		t.Errorf("error %v", err)
	}
}

func TestEnvironmentOfProcesses(t *testing.T) {
	got := inherited([]string{"HOME=/h", "LOCKSTEP_LISTEN=:1", "LOCKSTEP_ISA=portable", "LOCKSTEP_CONFIG=c", "LOCKSTEP_LOG_LEVEL=debug"})
	if want := "HOME=/h LOCKSTEP_ISA=portable LOCKSTEP_LOG_LEVEL=debug"; strings.Join(got, " ") != want {
		t.Errorf("%q, want %q", got, want)
	}
}
