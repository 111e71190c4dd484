package allreduce

import (
	"flag"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// update rewrites the golden files: go test ./pkg/allreduce -update
var update = flag.Bool("update", false, "rewrite testdata")

func TestPlanPicture(t *testing.T) {
	var b strings.Builder
	b.WriteString("# rN:send>+recv; + adds what comes, = replaces by it\n\n")
	for size := 1; size <= 5; size++ {
		b.WriteString(Picture(size) + "\n")
	}
	const file = "testdata/plan.txt"
	if *update {
		if err := os.WriteFile(file, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), b.String()); d != "" {
		t.Errorf("the plan has changed (-want +got):\n%s", d)
	}
}

// TestPlanSums plays the plan with sets of ranks for numbers: at the end every
// rank must hold every rank's part of every chunk, each once.
func TestPlanSums(t *testing.T) {
	for size := 1; size <= 9; size++ {
		held := make([][]map[int]int, size) // rank, chunk -> whose part how often
		plans := make([][]Hop, size)
		for r := range size {
			plans[r] = Plan(r, size)
			for range size {
				held[r] = append(held[r], map[int]int{r: 1})
			}
		}
		for k := range plans[0] {
			sent := make([]map[int]int, size)
			for r := range size {
				h := plans[r][k]
				if right := plans[(r+1)%size][k]; right.Recv != h.Send || right.Reduce != h.Reduce {
					t.Fatalf("size %d round %d: rank %d sends chunk %d, its neighbour awaits %d", size, k, r, h.Send, right.Recv)
				}
				sent[r] = clone(held[r][h.Send])
			}
			for r := range size {
				h, came := plans[r][k], sent[mod(r-1, size)]
				if !h.Reduce {
					held[r][h.Recv] = came
					continue
				}
				for who, n := range came {
					held[r][h.Recv][who] += n
				}
			}
		}
		for r := range size {
			for c := range size {
				for who := range size {
					if n := held[r][c][who]; n != 1 {
						t.Errorf("size %d: rank %d has rank %d's part of chunk %d %d times", size, r, who, c, n)
					}
				}
			}
		}
	}
}

func clone(m map[int]int) map[int]int {
	c := map[int]int{}
	for k, v := range m {
		c[k] = v
	}
	return c
}

// TestLayoutCovers checks, for awkward lengths, that segments are bounded and
// that together they are the vector, in order and without overlap.
func TestLayoutCovers(t *testing.T) {
	for _, n := range []int{1, 2, 3, 7, 15, 16, 17, 63, 64, 65, 1000, 4099} {
		for size := 2; size <= 7; size++ {
			for _, per := range []int{1, 2, 5, 16, 5000} {
				for _, window := range []int{1, 3, 8} {
					checkLayout(t, newLayout(n, size, per, window), per, window)
				}
			}
		}
	}
}

func checkLayout(t *testing.T, l layout, per, window int) {
	t.Helper()
	if l.segments < 1 || l.segments > window {
		t.Fatalf("%+v: %d segments, the window is %d", l, l.segments, window)
	}
	at := 0
	for b := range l.blocks {
		for c := range l.size {
			for s := range l.segments {
				lo, hi := l.bounds(b, c, s)
				if lo != at || hi < lo || hi-lo > per {
					t.Fatalf("%+v, at most %d a segment: block %d chunk %d segment %d is [%d, %d), the last ended at %d", l, per, b, c, s, lo, hi, at)
				}
				at = hi
			}
		}
	}
	if at != l.elements {
		t.Fatalf("%+v: the segments end at %d", l, at)
	}
}
