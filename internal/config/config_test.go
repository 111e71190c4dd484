package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"
)

// got is what the test command was given.
type got struct {
	Dir   string
	Peers map[string]string
	List  []string
	Count int
	Every time.Duration
	On    bool
}

// run executes a program with two commands as a user would.
func run(t *testing.T, env map[string]string, file string, args ...string) (got, error) {
	t.Helper()
	var g got
	root := &cobra.Command{Use: "prog", SilenceErrors: true, SilenceUsage: true}
	work := &cobra.Command{Use: "work", RunE: func(*cobra.Command, []string) error { return nil }}
	f := work.Flags()
	f.StringVar(&g.Dir, "data-dir", "default", "")
	f.StringToStringVar(&g.Peers, "peers", nil, "")
	f.StringSliceVar(&g.List, "coordinators", nil, "")
	f.IntVar(&g.Count, "count", 1, "")
	f.DurationVar(&g.Every, "every", time.Second, "")
	f.BoolVar(&g.On, "on", false, "")
	other := &cobra.Command{Use: "other", Run: func(*cobra.Command, []string) {}}
	other.Flags().String("listen", "", "")
	root.AddCommand(work, other)
	Bind(root, func(name string) (string, bool) { v, ok := env[name]; return v, ok })

	args = append([]string{"work"}, args...)
	if file != "" {
		path := filepath.Join(t.TempDir(), "c.yaml")
		if err := os.WriteFile(path, []byte(file), 0o600); err != nil {
			t.Fatal(err)
		}
		args = append(args, "--config", path)
	}
	root.SetArgs(args)
	err := root.Execute()
	return g, err
}

func TestPrecedence(t *testing.T) {
	const file = "data-dir: file\n"
	env := map[string]string{"LOCKSTEP_DATA_DIR": "env"}
	for _, c := range []struct {
		name string
		env  map[string]string
		file string
		args []string
		want string
	}{
		{"default", nil, "", nil, "default"},
		{"file", nil, file, nil, "file"},
		{"env before file", env, file, nil, "env"},
		{"flag before env", env, file, []string{"--data-dir", "flag"}, "flag"},
		{"an empty variable is a value", map[string]string{"LOCKSTEP_DATA_DIR": ""}, file, nil, ""},
	} {
		g, err := run(t, c.env, c.file, c.args...)
		if err != nil || g.Dir != c.want {
			t.Errorf("%s: %q, %v; want %q", c.name, g.Dir, err, c.want)
		}
	}
}

func TestKindsOfValues(t *testing.T) {
	want := got{
		Dir: "d", Count: 3, Every: 2 * time.Second, On: true,
		Peers: map[string]string{"c1": "h:1", "c2": "h:2"}, List: []string{"a:1", "b:2"},
	}
	for name, c := range map[string]struct {
		env  map[string]string
		file string
	}{
		"file": {nil, `
data-dir: d
peers:
  c1: h:1
  c2: "h:2"
coordinators: [a:1, "b:2"]
count: 3
every: 2s
on: true
listen: for another command
`},
		"file with plain words": {nil, "data-dir: d\npeers: c1=h:1,c2=h:2\ncoordinators: a:1,b:2\ncount: 3\nevery: 2s\non: true\n"},
		"env": {map[string]string{
			"LOCKSTEP_DATA_DIR": "d", "LOCKSTEP_PEERS": "c1=h:1,c2=h:2", "LOCKSTEP_COORDINATORS": "a:1,b:2",
			"LOCKSTEP_COUNT": "3", "LOCKSTEP_EVERY": "2s", "LOCKSTEP_ON": "true",
		}, ""},
	} {
		g, err := run(t, c.env, c.file)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if diff := cmp.Diff(want, g); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestRefusals(t *testing.T) {
	for _, c := range []struct {
		name string
		env  map[string]string
		file string
		want []string
	}{
		{"all unknown keys with the nearest word", nil, "cuont: 1\ndata_dir: x\nzzzz: 1\n", []string{
			`c.yaml:1:1: unknown key "cuont"; did you mean "count"?`,
			`c.yaml:2:1: unknown key "data_dir"; did you mean "data-dir"?`,
			`c.yaml:3:1: unknown key "zzzz"` + "\n",
		}},
		{"a wrong type in the file", nil, "on: true\ncount: many\n", []string{`c.yaml:2:1: count: expected int, got "many"`}},
		{"a wrong type in the environment", map[string]string{"LOCKSTEP_EVERY": "soon"}, "",
			[]string{`LOCKSTEP_EVERY="soon": expected duration, got "soon"`}},
		{"a list for one value", nil, "count: [1, 2]\n", []string{"c.yaml:1:1: count: expected one value (int), got 2"}},
		{"deep nesting", nil, "peers:\n  c1:\n    c2: x\n", []string{"c.yaml:1:1: peers: expected a plain value"}},
		{"no mapping", nil, "- a\n", []string{"c.yaml:1:1: expected lines of the form `flag: value`"}},
		{"no YAML", nil, "a: [\n", []string{"c.yaml: "}},
		{"the file in the file", nil, "config: x\n", []string{`unknown key "config"`}},
	} {
		_, err := run(t, c.env, c.file)
		if err == nil {
			t.Errorf("%s: accepted", c.name)
			continue
		}
		for _, want := range c.want {
			if !strings.Contains(err.Error()+"\n", want) {
				t.Errorf("%s: error\n%v\ndoes not contain %q", c.name, err, want)
			}
		}
	}
	if _, err := run(t, nil, "", "--config", "absent.yaml"); err == nil || !strings.Contains(err.Error(), "absent.yaml") {
		t.Errorf("absent file: %v", err)
	}
}
