package dataset

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

// Of a cache's tables those in use stay, whatever their size and age; of the others
// the last used, as far as there is room. Other files are none of its business.
func TestTidy(t *testing.T) {
	cache, now := t.TempDir(), time.Now()
	path := func(name string) string { return filepath.Join(cache, name) }
	for name, hours := range map[string]int{"old-0.table": 4, "train-0.table": 5, "new-0.table": 1, "middle-0.table": 2, "lockstep-1.tmp": 9} {
		used := now.Add(-time.Duration(hours) * time.Hour)
		if err := os.WriteFile(path(name), make([]byte, 100), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path(name), used, used); err != nil {
			t.Fatal(err)
		}
	}
	left := func() (names []string) {
		files, _ := filepath.Glob(path("*"))
		for _, f := range files {
			names = append(names, filepath.Base(f))
		}
		return names
	}
	train := &Set{t: &table{planes: []tablePlane{{kept: path("train-0.table")}, {mem: []byte{1}}}}}
	if err := Tidy(cache, 200, now, train); err != nil {
		t.Error(err)
	}
	if want := []string{"lockstep-1.tmp", "middle-0.table", "new-0.table", "train-0.table"}; !slices.Equal(left(), want) {
		t.Errorf("left are %v, want %v", left(), want)
	}
	// The next job's turn: what was in use before was used last.
	if err := Tidy(cache, 100, now.Add(time.Hour)); err != nil {
		t.Error(err)
	}
	if want := []string{"lockstep-1.tmp", "train-0.table"}; !slices.Equal(left(), want) {
		t.Errorf("then left are %v, want %v", left(), want)
	}
}
