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
)

var rewrite = flag.Bool("update", false, "write testdata/bits.txt anew")

// Every network gives the bits that are committed: the same on every processor
// that Go knows. A compiler for arm64, say, may fuse x*y + z where one for amd64
// does not; only a file that both read can tell.
func TestBitsAreThoseOfEveryProcessor(t *testing.T) {
	const file = "testdata/bits.txt"
	all := networks()
	var got strings.Builder
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
	if *rewrite {
		if err := os.WriteFile(file, []byte(got.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got.String()); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}
