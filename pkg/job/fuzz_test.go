package job

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Whatever the bytes, Decode answers with a Spec or with Problems; and a Spec
// has a canonical form that is its own.
func FuzzDecode(f *testing.F) {
	files, err := filepath.Glob("testdata/bad/*.yaml")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text, strings.Join(setLines(text), "\n"))
	}
	f.Add([]byte(full), "model[3].dense=5")
	f.Fuzz(func(t *testing.T, text []byte, sets string) {
		var overrides []string
		if sets != "" {
			overrides = strings.Split(sets, "\n")
		}
		spec, err := Decode("job.yaml", text, overrides)
		if err != nil {
			var ps Problems
			if !errors.As(err, &ps) || len(ps) == 0 || ps.Error() == "" {
				t.Errorf("error %T %v, want Problems", err, err)
			}
			return
		}
		canonical := spec.Canonical()
		again, err := Decode("job.yaml", canonical, nil)
		if err != nil {
			t.Fatalf("the canonical form is refused: %v\n%s", err, canonical)
		}
		if string(again.Canonical()) != string(canonical) {
			t.Errorf("the canonical form changes from\n%s\nto\n%s", canonical, again.Canonical())
		}
	})
}
