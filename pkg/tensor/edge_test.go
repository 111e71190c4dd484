package tensor

import "testing"

// edges are pieces of memory behind which there is none.
type edges struct {
	all  [][]float32
	used int
}

// edgeFloats is how large one is.
const edgeFloats = 1 << 20

func newEdges(t *testing.T) *edges { return &edges{all: edgesOf(t, 12)} }

// next is the end of the next piece, nil if there is none of so many floats.
func (e *edges) next(n int) []float32 {
	if e.used == len(e.all) || n > edgeFloats {
		return nil
	}
	e.used++
	return e.all[e.used-1][edgeFloats-n:]
}

// reset makes all pieces free again.
func (e *edges) reset() { e.used = 0 }
