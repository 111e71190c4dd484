package cluster

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// script runs the stories of testdata/plan. A story is a list of blocks: lines
// that change the state or the view, then "----" and what Plan decided. Each
// block plans, applies the decisions and plans again until nothing is left to decide.
//
//	submit NAME [min=1] [max=8] [lanes=8] [priority=0]
//	up W[@INCARNATION] [JOB=EPOCH/STEP …]   worker is alive and holds these states
//	down W…          worker is lost            away W…  its stream broke a moment ago
//	wait DURATION    time passes               unsettled | settled
//	progress JOB EPOCH/STEP    saved JOB W EPOCH/STEP    broken JOB W SUSPECT
//	fail JOB W [only]          done JOB                  cancel JOB   resume JOB
//	show JOB         prints the job's phase and reason after planning
type script struct {
	t       *testing.T
	state   *State
	now     time.Time
	workers map[string]Worker
	settled bool
	show    []string
	out     strings.Builder
}

var update = flag.Bool("update", false, "rewrite testdata")

func TestPlanStories(t *testing.T) {
	files, err := filepath.Glob("testdata/plan/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no stories: %v", err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			got := newScript(t).run(string(text))
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			if diff := cmp.Diff(string(text), got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func newScript(t *testing.T) *script {
	return &script{t: t, state: NewState(), now: time.Unix(1_000_000, 0).UTC(), workers: map[string]Worker{}, settled: true}
}

// run returns the text with the decisions that were really made.
func (s *script) run(text string) string {
	expected := false
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\n")
		switch {
		case line == "----":
			expected = true
			fmt.Fprintln(&s.out, line)
			s.plan()
		case line == "":
			expected = false
			fmt.Fprintln(&s.out)
		case expected, strings.HasPrefix(line, "# refused"):
		default:
			fmt.Fprintln(&s.out, line)
			if !strings.HasPrefix(line, "#") {
				s.do(strings.Fields(line))
			}
		}
	}
	return s.out.String()
}

func (s *script) plan() {
	for round := 0; ; round++ {
		decisions := Plan(s.state, s.view())
		if len(decisions) == 0 {
			break
		}
		if round == 5 {
			s.t.Fatal("Plan does not come to rest")
		}
		for _, d := range decisions {
			fmt.Fprintln(&s.out, d)
			if _, err := s.apply(d.Op); err != nil {
				fmt.Fprintln(&s.out, " refused:", err)
			}
		}
	}
	for _, id := range s.show {
		j, err := s.state.Job(id)
		if err != nil {
			s.t.Fatal(err)
		}
		fmt.Fprintf(&s.out, "%s is %s at generation %d: %s\n", id, j.Phase, j.Generation, j.Reason)
	}
	s.show = nil
}

func (s *script) view() View {
	v := View{Now: s.now, Settled: s.settled}
	for _, w := range s.workers {
		v.Workers = append(v.Workers, w)
	}
	return v
}

func (s *script) apply(op Op) (string, error) {
	data, err := Command{At: s.now, Node: "c1", Op: op}.Encode()
	if err != nil {
		s.t.Fatal(err)
	}
	c, err := Decode(data)
	if err != nil {
		s.t.Fatal(err)
	}
	return s.state.Apply(c)
}

func (s *script) do(f []string) {
	s.t.Helper()
	arg := func(i int) string {
		if i < len(f) {
			return f[i]
		}
		return ""
	}
	var op Op
	switch f[0] {
	case "submit":
		n := func(key string, def int) int { return option(f[2:], key, def) }
		op = &Submit{Name: f[1], Priority: n("priority", 0), Lanes: n("lanes", 8), MinWorkers: n("min", 1),
			MaxWorkers: n("max", 8), Epochs: 3, StepsPerEpoch: 100}
	case "up":
		id, incarnation, _ := strings.Cut(f[1], "@")
		w := Worker{ID: id, Address: id + ":1", Incarnation: incarnation + "i", Connected: true, Held: map[string]Cursor{}}
		for _, h := range f[2:] {
			job, at, _ := strings.Cut(h, "=")
			w.Held[job] = parseCursor(s.t, at)
		}
		s.workers[id] = w
	case "down":
		for _, id := range f[1:] {
			delete(s.workers, id)
		}
	case "away":
		w := s.workers[f[1]]
		w.Connected = false
		s.workers[f[1]] = w
	case "wait":
		d, err := time.ParseDuration(f[1])
		if err != nil {
			s.t.Fatal(err)
		}
		s.now = s.now.Add(d)
	case "settled", "unsettled":
		s.settled = f[0] == "settled"
	case "progress":
		op = &Progress{Job: f[1], Generation: s.generation(f[1]), Cursor: parseCursor(s.t, f[2])}
	case "saved":
		at := parseCursor(s.t, f[3])
		op = &Saved{Job: f[1], Worker: f[2], Cursor: at, SHA256: "sha of " + at.String()}
	case "broken":
		op = &Broken{Job: f[1], Generation: s.generation(f[1]), Blame: Blame{Worker: f[2], Suspect: arg(3), Error: "timeout"}}
	case "fail":
		op = &Fail{Job: f[1], Generation: s.generation(f[1]), Worker: f[2], Error: "bad disk", WorkerOnly: arg(3) == "only"}
	case "done":
		op = &Done{Job: f[1], Generation: s.generation(f[1]), WeightsSHA: "abc"}
	case "cancel":
		op = &Cancel{Job: f[1]}
	case "resume":
		var present []string
		for id := range s.workers {
			present = append(present, id)
		}
		slices.Sort(present)
		op = &Resume{Job: f[1], Present: present}
	case "show":
		s.show = append(s.show, f[1])
	default:
		s.t.Fatalf("unknown line %q", f)
	}
	if op != nil {
		if _, err := s.apply(op); err != nil {
			fmt.Fprintln(&s.out, "# refused:", err)
		}
	}
}

func (s *script) generation(id string) uint64 {
	j, err := s.state.Job(id)
	if err != nil {
		s.t.Fatal(err)
	}
	return j.Generation
}

func option(fields []string, key string, def int) int {
	for _, f := range fields {
		if v, ok := strings.CutPrefix(f, key+"="); ok {
			n, err := strconv.Atoi(v)
			if err != nil {
				panic(err)
			}
			return n
		}
	}
	return def
}

func parseCursor(t *testing.T, s string) Cursor {
	t.Helper()
	var c Cursor
	if _, err := fmt.Sscanf(s, "%d/%d", &c.Epoch, &c.Step); err != nil {
		t.Fatalf("cursor %q: %v", s, err)
	}
	return c
}
