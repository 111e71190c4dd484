//go:build !linux

package tensor

// preferLargePages does nothing: the system decides.
func preferLargePages([]byte) {}
