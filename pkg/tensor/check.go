package tensor

import (
	"fmt"
	"math"
	words "math/bits"
	"unsafe"
)

// Arguments are checked before an operation begins: kernels read and write where
// they are told. A mistake is one of the program, so it is a panic, and names the
// operation.

func fail(op, format string, args ...any) {
	panic("tensor: " + op + ": " + fmt.Sprintf(format, args...))
}

// need panics unless a slice is as long as the shapes say.
func need(op, name string, got, want int) {
	if got < want {
		fail(op, "%s has %d elements, needs %d", name, got, want)
	}
}

// need2 panics unless both operands are as long as the result.
func need2(op string, dst, a, b int) {
	need(op, "a", a, dst)
	need(op, "b", b, dst)
}

// volume is the product of sizes. It panics if one is negative, or if there can
// be no slice of so many elements.
func volume(op string, sizes ...int) int {
	n := 1
	for _, s := range sizes {
		if s < 0 {
			fail(op, "a size is %d", s)
		}
		high, low := words.Mul64(uint64(n), uint64(s)) // a division would take as long as a small product
		if high != 0 || low > math.MaxInt/8 {
			fail(op, "a size is %d; that is too large", s)
		}
		n = int(low)
	}
	return n
}

// positive panics if a size is less than 1, or too large to add to.
func positive(op string, sizes ...int) {
	for _, s := range sizes {
		if volume(op, s); s < 1 {
			fail(op, "a size is %d, needs to be 1 at least", s)
		}
	}
}

// apart panics if a result shares elements with an operand.
func apart(op string, dst []float32, operands ...[]float32) {
	for _, s := range operands {
		if overlap(dst, s) {
			fail(op, "a result shares memory with another argument")
		}
	}
}

// separate panics if two of some slices share elements.
func separate(op string, all ...[]float32) {
	for i, s := range all {
		apart(op, s, all[i+1:]...)
	}
}

// inPlace panics if a result shares elements with an operand, unless both begin at
// the same one.
func inPlace(op string, dst []float32, operands ...[]float32) {
	for _, s := range operands {
		if overlap(dst, s) && &dst[0] != &s[0] {
			fail(op, "a result shares memory with an argument that begins elsewhere")
		}
	}
}

func overlap(a, b []float32) bool {
	if len(a) == 0 || len(b) == 0 {
		return false
	}
	p, q := uintptr(unsafe.Pointer(&a[0])), uintptr(unsafe.Pointer(&b[0]))
	return p < q+4*uintptr(len(b)) && q < p+4*uintptr(len(a))
}

// laneRows panics unless rows are those of lanes: at least one number, ascending.
// It returns the end of the last lane.
func laneRows(op string, rows []int) int {
	if len(rows) == 0 {
		fail(op, "rows is empty; it has the first row of every lane and the end of the last")
	}
	last := 0
	for _, r := range rows {
		if r < last {
			fail(op, "rows of lanes do not ascend from 0: %d after %d", r, last)
		}
		last = r
	}
	return last
}

// check panics unless there is room for n elements of so many lanes, apart from
// the operands, or no gradient is wanted.
func (g *Grad) check(op string, n, lanes int, operands ...[]float32) {
	switch {
	case g.Float != nil:
		need(op, "dst.Float", len(g.Float), n)
		apart(op, g.Float[:n], operands...)
	case g.Int != nil:
		need(op, "dst.Int", len(g.Int), n)
		need(op, "dst.Max", len(g.Max), lanes)
	}
}
