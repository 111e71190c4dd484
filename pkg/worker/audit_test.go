package worker

import (
	"bufio"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
)

// exactlyOnce reads the audits of a whole job of 64 records in batches of 10: in
// the first epoch every record was used in exactly one committed step.
func exactlyOnce(t *testing.T, dirs []string) {
	t.Helper()
	type try struct{ gen, attempt, epoch, step int }
	computed, committed := map[try][]int64{}, map[try]bool{}
	for _, dir := range dirs {
		f, err := os.Open(filepath.Join(dir, "audit"))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		for lines := bufio.NewScanner(f); lines.Scan(); {
			var line struct{ Computed, Committed *auditStep }
			if err := json.Unmarshal(lines.Bytes(), &line); err != nil {
				t.Fatalf("%s: %v", lines.Bytes(), err)
			}
			if s := line.Computed; s != nil {
				k := try{int(s.Generation), s.Attempt, s.Epoch, s.Step}
				computed[k] = append(computed[k], s.Records...)
			}
			if s := line.Committed; s != nil {
				committed[try{int(s.Generation), s.Attempt, s.Epoch, s.Step}] = true
			}
		}
	}
	used := map[int64]int{}
	for k := range committed {
		for _, id := range computed[k] {
			if k.epoch == 0 {
				used[id]++
			}
		}
	}
	for id := range int64(64) {
		if used[id] != 1 {
			t.Errorf("record %d was used %d times", id, used[id])
		}
	}
	if len(used) != 64 || len(committed) != 14 || len(computed) <= 14 {
		t.Errorf("%d records used, %d steps committed, %d attempts; want 64, 14, and more attempts than steps", len(used), len(committed), len(computed))
	}
}
