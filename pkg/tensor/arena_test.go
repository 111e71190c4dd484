package tensor

import (
	"math/rand/v2"
	"testing"
	"unsafe"
)

// TestArena takes slices of many sizes: all are zeros, begin on cache lines and
// have their own memory, whether it is fresh, small or in large pages.
func TestArena(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	var a Arena
	var all [][]float32
	for i := range 400 {
		n := r.IntN(1 << (r.IntN(20) + 1))
		s := a.Float32(n)
		if len(s) != n || cap(s) != n {
			t.Fatalf("%d floats: length %d, capacity %d", n, len(s), cap(s))
		}
		if n > 0 && uintptr(unsafe.Pointer(&s[0]))%cacheLine != 0 {
			t.Fatalf("slice %d begins at %p", i, &s[0])
		}
		for j, v := range s {
			if v != 0 {
				t.Fatalf("slice %d of %d floats: element %d is %g", i, n, j, v)
			}
			s[j] = float32(i + 1)
		}
		all = append(all, s)
	}
	for i, s := range all {
		for j, v := range s {
			if v != float32(i+1) {
				t.Fatalf("slice %d: element %d is %g, which belongs to slice %g", i, j, v, v-1)
			}
		}
	}
}
