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

// layout is how a vector is cut: into blocks, each block into a chunk for each
// rank, each chunk into segments. The blocks go round the ring one behind the
// other without a pause. So what a rank adds up it sends on at once, while the
// caches hold it, and a window of one chunk keeps the links busy.
type layout struct {
	elements int
	size     int // chunks of a block
	blocks   int
	segments int // of a chunk
}

// newLayout cuts n > 0 elements so that no segment is longer than per and no
// chunk has more than window segments.
func newLayout(n, size, per, window int) layout {
	total := ceilDiv(ceilDiv(n, size), per)
	blocks := ceilDiv(total, window)
	return layout{elements: n, size: size, blocks: blocks, segments: ceilDiv(total, blocks)}
}

// bounds returns where a segment lies in the vector. Some are empty when the
// vector has fewer elements than the layout has segments.
func (l layout) bounds(block, chunk, segment int) (lo, hi int) {
	lo, hi = part(0, l.elements, l.blocks, block)
	lo, hi = part(lo, hi, l.size, chunk)
	return part(lo, hi, l.segments, segment)
}

// part returns the i-th of n parts of [lo, hi). The parts cover it in order and
// differ by at most one element.
func part(lo, hi, n, i int) (int, int) {
	share, extra := (hi-lo)/n, (hi-lo)%n
	from := lo + i*share + min(i, extra)
	if i < extra {
		share++
	}
	return from, from + share
}

func ceilDiv(a, b int) int { return (a + b - 1) / b }

func mod(a, n int) int { return ((a % n) + n) % n }
