//go:build !amd64 || purego

package tensor

// available lists what this machine can run.
func available() []*kernels { return []*kernels{portable()} }
