package tensor

import "unsafe"

// Arena hands out slices that begin on cache lines, side by side in large pages
// where the system has them: memory in pages of 4 KiB costs a product of 1024 by
// 1024 by 1024 a tenth of its speed, for the pages lie anywhere and share places in
// the caches by chance, and the processor knows few of them by heart. Memory is
// freed as a whole when the arena and all its slices are unreachable. The zero
// Arena is ready for use.
type Arena struct {
	free []float32
	used int
}

const (
	cacheLine = 64
	largePage = 1 << 21
	// An arena takes memory in pieces as large as all it has, up to this.
	largestPiece = 16 << 20
	// A piece of so many bytes is worth large pages.
	largePiece = 1 << 19
)

// Float32 returns n zeros on a cache line.
func (a *Arena) Float32(n int) []float32 {
	size := (n + cacheLine/4 - 1) / (cacheLine / 4) * (cacheLine / 4)
	from := a.free
	if size > len(from) {
		from = piece(max(4*size, min(a.used, largestPiece)))
	}
	if size <= len(a.free) || len(from)-size > len(a.free) {
		a.free = from[size:]
	}
	a.used += 4 * size
	return from[:n:n]
}

// Int32 returns n zeros on a cache line.
func (a *Arena) Int32(n int) []int32 {
	f := a.Float32(n)
	return unsafe.Slice((*int32)(unsafe.Pointer(unsafe.SliceData(f))), n)
}

// piece returns at least so many bytes, as floats.
func piece(bytes int) []float32 {
	if bytes < largePiece {
		return aligned(bytes, cacheLine)
	}
	s := aligned((bytes+largePage-1)/largePage*largePage, largePage)
	preferLargePages(unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(s))), 4*len(s)))
	return s
}

// aligned returns bytes that begin at a multiple of what is asked for.
func aligned(bytes, at int) []float32 {
	buf := make([]float32, (bytes+at)/4)
	skip := (at - int(uintptr(unsafe.Pointer(unsafe.SliceData(buf)))%uintptr(at))) % at / 4
	return buf[skip:][:bytes/4]
}
