package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/lockstep-ml/lockstep/pkg/job"
)

// typed runs the tool in this process, as if a user had typed args.
func typed(t *testing.T, args ...string) (stdout string, err error) {
	t.Helper()
	root := Program{}.root()
	var out bytes.Buffer
	root.SetOut(&out)
	root.SetErr(&out)
	err = execute(t.Context(), root, args)
	return out.String(), err
}

func TestUsageErrors(t *testing.T) {
	bad := filepath.Join(t.TempDir(), "job.yaml")
	if err := os.WriteFile(bad, []byte("nmae: x\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ args, want string }{
		{"trian x", `unknown command "trian"`},
		{"watch", "accepts 1 arg"},
		{"jobs --jsn", "unknown flag: --jsn"},
		{"train absent.yaml", "absent.yaml"},
		{"train " + bad, `did you mean "name"?`},
		{"validate " + bad, ":1:1"},
		{"up --coordinators 2", "expected an odd number"},
		{"bench allreduce --bytes lots", "say 64MiB"},
		{"nodes --coordinators nowhere", "host:port"},
		{"nodes --config absent.yaml", "absent.yaml"},
		{"layers nonesuch", "nonesuch"},
	} {
		_, err := typed(t, strings.Fields(c.args)...)
		var usage usageError
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("lockstep %s: error %v, want %q", c.args, err, c.want)
		} else if !errors.As(err, &usage) {
			t.Errorf("lockstep %s: error %v has not exit code 2", c.args, err)
		}
	}
}

// A program that reads --json learns what is wrong, where that is known.
func TestProblemsAsJSON(t *testing.T) {
	bad := filepath.Join(t.TempDir(), "job.yaml")
	if err := os.WriteFile(bad, []byte("nmae: x\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	digits := filepath.Join("..", "..", "examples", "digits", "job.yaml")
	for _, c := range []struct {
		args string
		want job.Problem // its message is a part of the one
	}{
		{bad, job.Problem{File: bad, Line: 1, Column: 1, Message: `did you mean "name"?`, Source: "nmae: x"}},
		{digits + " --set epochs=x", job.Problem{File: digits, Set: "epochs=x", Message: "epochs: expected an integer"}},
		{digits + " --data-root " + t.TempDir(), job.Problem{File: digits, Line: 6, Column: 19, Message: "data.train.images: ",
			Source: "  train: {images: data/train-images-idx3-ubyte.gz, labels: data/train-labels-idx1-ubyte.gz}"}},
		{"absent.yaml", job.Problem{File: "absent.yaml", Message: "job file: "}},
	} {
		out, err := typed(t, append([]string{"validate", "--json"}, strings.Fields(c.args)...)...)
		if got := report(err, false); got != exitUsage {
			t.Errorf("%s: exit code %d", c.args, got)
		}
		var v map[string]job.Problems
		if err := json.Unmarshal([]byte(out), &v); err != nil || len(v) != 1 || len(v["problems"]) == 0 {
			t.Errorf("%s: %v: %s", c.args, err, out)
			continue
		}
		got := v["problems"][0]
		if !strings.Contains(got.Message, c.want.Message) {
			t.Errorf("%s: %q, want %q", c.args, got.Message, c.want.Message)
		}
		got.Message = c.want.Message
		if got != c.want {
			t.Errorf("%s: %+v, want %+v", c.args, got, c.want)
		}
	}
	// An interruption says nothing of the job.
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var out bytes.Buffer
	root := Program{}.root()
	root.SetOut(&out)
	if err := execute(ctx, root, []string{"validate", "--json", digits}); err == nil || out.Len() > 0 {
		t.Errorf("interrupted: %v, printed %s", err, &out)
	}
}

func TestExitCodes(t *testing.T) {
	for _, c := range []struct {
		err         error
		interrupted bool
		want        int
	}{
		{errors.New("failed"), false, exitFailed},
		{usageError{errors.New("wrong")}, false, exitUsage},
		{context.Canceled, true, exitInterrupted},
	} {
		if got := report(c.err, c.interrupted); got != c.want {
			t.Errorf("%v: exit code %d, want %d", c.err, got, c.want)
		}
	}
}

// A terminal that is closed ends its commands as Ctrl-C does, but for nohup.
func TestStopSignals(t *testing.T) {
	if signal.Ignored(syscall.SIGHUP) {
		t.Skip("the tests run under nohup")
	}
	if !slices.Contains(stopSignals(), os.Signal(syscall.SIGHUP)) {
		t.Error("a closed terminal kills without a word")
	}
	signal.Ignore(syscall.SIGHUP)
	defer signal.Reset(syscall.SIGHUP)
	if slices.Contains(stopSignals(), os.Signal(syscall.SIGHUP)) {
		t.Error("nohup has no effect")
	}
}

// A newcomer's first look must say what this is and what to type next.
func TestBareCommandExplains(t *testing.T) {
	out, err := typed(t)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"lockstep demo", "coordinator", "worker", "job file", "submit", "All in one command:"} {
		if !strings.Contains(out, want) {
			t.Errorf("help does not mention %q", want)
		}
	}
	if strings.Contains(out, "allreduce-rank") || strings.Contains(out, "health") {
		t.Error("help shows what users never type")
	}
}

func TestEveryCommandIsDescribed(t *testing.T) {
	var walk func(*cobra.Command)
	walk = func(c *cobra.Command) {
		if c.Short == "" && !c.Hidden {
			t.Errorf("%s has no description", c.CommandPath())
		}
		for _, sub := range c.Commands() {
			walk(sub)
		}
	}
	walk(Program{}.root())
}

func TestLayersListsTheCatalogue(t *testing.T) {
	out, err := typed(t, "layers", "--json")
	if err != nil || !strings.HasPrefix(out, `[{"name":`) || !strings.Contains(out, `"kind":"layer"`) ||
		!strings.Contains(out, `"name":"mixup","kind":"augmentation"`) {
		t.Errorf("%.100s %v", out, err)
	}
	if out, err = typed(t, "layers", "dense"); err != nil || !strings.Contains(out, "units") {
		t.Errorf("%s %v", out, err)
	}
}

func TestCertsMakesFiles(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "certs")
	for range 2 { // the second time keeps the authority
		if _, err := typed(t, "certs", "--dir", dir, "c1=10.0.0.1,c1.lan", "me"); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"ca.pem", "ca-key.pem", "c1.pem", "c1-key.pem", "me.pem", "me-key.pem"} {
		if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
			t.Error(err)
		}
	}
}

// Where no cluster is, a command says so soon, and what to do.
func TestNoClusterThere(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := l.Addr().String()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	digits := filepath.Join("..", "..", "examples", "digits", "job.yaml")
	for _, args := range []string{"nodes", "submit " + digits} {
		t.Run(args, func(t *testing.T) {
			t.Parallel() // each waits for a moment
			began := time.Now()
			_, err := typed(t, append(strings.Fields(args), "--coordinators", nobody)...)
			took := time.Since(began)
			for _, want := range []string{"no coordinator answers for 3s at [" + nobody + "]", "lockstep up", "--coordinators"} {
				if err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("error %v, want %q", err, want)
				}
			}
			if took > 8*time.Second {
				t.Errorf("it took %s", took)
			}
		})
	}
}

// The shells' completion is what help says it is.
func TestCompletion(t *testing.T) {
	for want, args := range map[string][]string{
		"__start_lockstep": {"completion", "bash"},
		"layers\t":         {"__complete", "lay"},
	} {
		if out, err := typed(t, args...); err != nil || !strings.Contains(out, want) {
			t.Errorf("%v: %v\n%s", args, err, out)
		}
	}
}

// Help takes what stands in backquotes for the name of a flag's value.
func TestHelpOfFlags(t *testing.T) {
	for _, cmd := range (Program{}).root().Commands() {
		cmd.Flags().VisitAll(func(f *pflag.Flag) {
			if strings.Contains(f.Usage, "`") {
				t.Errorf("%s --%s: %s", cmd.Name(), f.Name, f.Usage)
			}
		})
	}
}
