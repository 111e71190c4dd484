package nn

import (
	"crypto/sha256"
	bin "encoding/binary"
	"flag"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lockstep-ml/lockstep/internal/build"
)

var rewrite = flag.Bool("update", false, "write testdata/bits.txt anew")

// Every network gives the bits that are committed: the same on every processor
// that Go knows. A compiler for arm64, say, may fuse x*y + z where one for amd64
// does not; only a file that both read can tell.
func TestBitsAreThoseOfEveryProcessor(t *testing.T) {
	const file = "testdata/bits.txt"
	all := networks()
	var got strings.Builder
	fmt.Fprintf(&got, "%-24s %d\n", edition, build.Edition)
	for _, name := range slices.Sorted(maps.Keys(all)) {
		n := all[name]
		tr := newTrainer(t, mustPlan(t, n.spec, n.in), 8, 2)
		for s := range 3 {
			if _, _, err := step([]*Trainer{tr}, []*Batch{makeBatch(n.in, s, 5, 3)}); err != nil {
				t.Fatal(name, err)
			}
		}
		sum := sha256.New()
		for _, s := range tr.State() {
			if err := bin.Write(sum, bin.LittleEndian, s.F32); err != nil {
				t.Fatal(err)
			}
			if err := bin.Write(sum, bin.LittleEndian, s.I32); err != nil {
				t.Fatal(err)
			}
		}
		fmt.Fprintf(&got, "%-24s %x\n", name, sum.Sum(nil)[:8])
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	diff := cmp.Diff(string(want), got.String())
	switch changed := redefined(string(want), got.String()); {
	case diff == "":
	case len(changed) > 0 && !slices.Contains(changed, edition):
		t.Errorf("other bits of %s: if that is meant, raise Edition in internal/build, then run this with -update\n(-want +got)\n%s",
			strings.Join(changed, ", "), diff)
	case !*rewrite:
		t.Errorf("run this with -update\n(-want +got)\n%s", diff)
	default:
		if err := os.WriteFile(file, []byte(got.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// edition is the name of the first line: bits that are committed change with it only.
const edition = "edition"

// redefined lists the names that stand in both texts with different values.
func redefined(old, now string) (names []string) {
	before := values(old)
	for name, v := range values(now) {
		if b, ok := before[name]; ok && b != v {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// values maps the names in a text of bits to what it says of them.
func values(text string) map[string]string {
	m := map[string]string{}
	for line := range strings.Lines(text) {
		if i := strings.LastIndexByte(line, ' '); i >= 0 {
			m[strings.TrimRight(line[:i], " ")] = line[i+1:]
		}
	}
	return m
}
