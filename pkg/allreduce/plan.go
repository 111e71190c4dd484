package allreduce

import (
	"fmt"
	"strings"
)

// Hop is what one rank does in one round. It is plain data, so that a whole
// schedule can be printed and checked without a network.
type Hop struct {
	Send   int  // chunk that goes to the right neighbour
	Recv   int  // chunk that comes from the left neighbour
	Reduce bool // add what comes to what is held; if false it replaces it
}

// Plan returns the hops of one rank, by round: none in a ring of one, otherwise
// 2*(size-1). It needs 0 <= rank < size.
func Plan(rank, size int) []Hop {
	hops := make([]Hop, 2*(size-1))
	for k := range hops {
		hops[k] = Hop{
			Send:   mod(rank-k, size),
			Recv:   mod(rank-k-1, size),
			Reduce: k < size-1,
		}
	}
	return hops
}

// Picture draws the plan of a whole ring, a line for each round. "r0:0>+2" says
// that rank 0 sends chunk 0 and adds chunk 2; "=" stands for replacing.
func Picture(size int) string {
	var b strings.Builder
	fmt.Fprintf(&b, "ring size=%d\n----\n", size)
	for k := range 2 * (size - 1) {
		fmt.Fprintf(&b, "%d", k)
		for rank := range size {
			h := Plan(rank, size)[k]
			does := "="
			if h.Reduce {
				does = "+"
			}
			fmt.Fprintf(&b, "  r%d:%d>%s%d", rank, h.Send, does, h.Recv)
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// chunkBounds returns where chunk c of a vector of n elements lies. The size
// chunks cover the vector in order and differ by at most one element; some are
// empty when n < size.
func chunkBounds(n, size, c int) (lo, hi int) {
	share, extra := n/size, n%size
	lo = c*share + min(c, extra)
	hi = lo + share
	if c < extra {
		hi++
	}
	return lo, hi
}

// segmentsPerChunk is how many segments of at most per elements every chunk is
// sent in. It is the same for all chunks, so that ranks count segments alike;
// a shorter chunk may end in an empty one.
func segmentsPerChunk(n, size, per int) int {
	longest := (n + size - 1) / size
	return (longest + per - 1) / per
}

// segmentBounds returns where segment s of the chunk [lo, hi) lies.
func segmentBounds(lo, hi, s, per int) (int, int) {
	from := min(lo+s*per, hi)
	return from, min(from+per, hi)
}

func mod(a, n int) int { return ((a % n) + n) % n }
