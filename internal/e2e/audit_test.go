package e2e

import (
	"bufio"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
)

// entry is one step of a worker's audit; see pkg/worker.
type entry struct {
	Generation uint64  `json:"gen"`
	Attempt    int     `json:"attempt"`
	Epoch      int     `json:"epoch"`
	Step       int     `json:"step"`
	Lane       int     `json:"lane"`
	Records    []int64 `json:"records"`
}

// attempt is what may be tried again: one step in one generation.
type attempt struct {
	generation  uint64
	number      int
	epoch, step int
}

func (e *entry) attempt() attempt { return attempt{e.Generation, e.Attempt, e.Epoch, e.Step} }

type line struct{ Computed, Committed *entry }

// readAudit returns the lines of one audit. The last line of a worker that was
// killed may be torn.
func readAudit(t *testing.T, file string) (lines []line) {
	t.Helper()
	f, err := os.Open(file)
	if os.IsNotExist(err) {
		return nil
	}
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	in := bufio.NewScanner(f)
	in.Buffer(nil, 1<<24)
	for in.Scan() {
		var l line
		if json.Unmarshal(in.Bytes(), &l) == nil {
			lines = append(lines, l)
		}
	}
	return lines
}

// committed counts the steps that a worker's audit calls done.
func committed(t *testing.T, file string) (n int) {
	for _, l := range readAudit(t, file) {
		if l.Committed != nil {
			n++
		}
	}
	return n
}

// step is a step of the job, however often it was tried.
type step struct{ epoch, step int }

// consumed joins the audits of all workers: the records of every step, by lane,
// as of the last attempt that was committed. A step that only a lost worker had
// committed is done again in a later generation, which then is the one that counts.
func consumed(t *testing.T, dir string) map[step]map[int][]int64 {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.audit"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no audits in %s: %v", dir, err)
	}
	lanes := map[attempt]map[int][]int64{}
	last := map[step]attempt{}
	for _, f := range files {
		for _, l := range readAudit(t, f) {
			switch {
			case l.Computed != nil:
				a := l.Computed.attempt()
				if lanes[a] == nil {
					lanes[a] = map[int][]int64{}
				}
				if _, twice := lanes[a][l.Computed.Lane]; twice {
					t.Errorf("lane %d of %+v was computed twice", l.Computed.Lane, a)
				}
				lanes[a][l.Computed.Lane] = l.Computed.Records
			case l.Committed != nil:
				a := l.Committed.attempt()
				s := step{a.epoch, a.step}
				if was, ok := last[s]; !ok || a.generation > was.generation || a.generation == was.generation && a.number > was.number {
					last[s] = a
				}
			}
		}
	}
	steps := map[step]map[int][]int64{}
	for s, a := range last {
		steps[s] = lanes[a]
	}
	return steps
}

// checkExactlyOnce fails unless every record of [0, records) stands once in
// each epoch, every step but the last has batch records, and all lanes of every
// step are there.
func checkExactlyOnce(t *testing.T, dir string, epochs, records, batch, lanes int) {
	t.Helper()
	steps := consumed(t, dir)
	perEpoch := (records + batch - 1) / batch
	if len(steps) != epochs*perEpoch {
		t.Errorf("%d steps were committed, want %d", len(steps), epochs*perEpoch)
	}
	for e := range epochs {
		seen := make([]int, records)
		for s := range perEpoch {
			got := steps[step{e, s}]
			if len(got) != lanes {
				t.Errorf("epoch %d step %d: %d lanes, want %d", e, s, len(got), lanes)
			}
			n := 0
			for _, ids := range got {
				n += len(ids)
				for _, id := range ids {
					seen[id]++
				}
			}
			if want := min(batch, records-s*batch); n != want {
				t.Errorf("epoch %d step %d: %d records, want %d", e, s, n, want)
			}
		}
		for id, n := range seen {
			if n != 1 {
				t.Fatalf("epoch %d: record %d was consumed %d times", e, id, n)
			}
		}
	}
}
