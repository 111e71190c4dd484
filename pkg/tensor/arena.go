package tensor

import "unsafe"

// Arena hands out slices that begin on cache lines. Its memory is freed as a
// whole when the arena and all its slices are unreachable. The zero Arena is
// ready for use.
type Arena struct{ used int }

// Bytes is how much the arena has handed out.
func (a *Arena) Bytes() int { return a.used }

const cacheLine = 64

// Float32 returns n zeros on a cache line.
func (a *Arena) Float32(n int) []float32 {
	a.used += 4 * n
	buf := make([]float32, n+cacheLine/4)
	skip := (cacheLine - int(uintptr(unsafe.Pointer(&buf[0]))%cacheLine)) % cacheLine / 4
	return buf[skip : skip+n : skip+n]
}

// Int32 returns n zeros on a cache line.
func (a *Arena) Int32(n int) []int32 {
	f := a.Float32(n)
	return unsafe.Slice((*int32)(unsafe.Pointer(unsafe.SliceData(f))), n)
}
