package tensor

import (
	"runtime/debug"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// edgesOf maps n pieces of memory with a page behind each that may not be touched:
// who does panics.
func edgesOf(t *testing.T, n int) (all [][]float32) {
	old := debug.SetPanicOnFault(true)
	t.Cleanup(func() { debug.SetPanicOnFault(old) })
	page, size := unix.Getpagesize(), 4*edgeFloats
	for range n {
		m, err := unix.Mmap(-1, 0, size+page, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { unix.Munmap(m) })
		if err := unix.Mprotect(m[size:], unix.PROT_NONE); err != nil {
			t.Fatal(err)
		}
		all = append(all, unsafe.Slice((*float32)(unsafe.Pointer(&m[0])), edgeFloats))
	}
	return all
}
