package tensor

import "golang.org/x/sys/unix"

// preferLargePages asks for large pages, for what is already there too. It is
// advice: without them all works as well, but slower.
func preferLargePages(b []byte) {
	if unix.Madvise(b, unix.MADV_HUGEPAGE) == nil {
		_ = unix.Madvise(b, unix.MADV_COLLAPSE)
	}
}
