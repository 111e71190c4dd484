package local

import (
	"context"
	"io"
)

// UntilEOF returns a context that ends with parent or when in ends. It is the
// other side of a process that Start started. Its goroutine lives until in
// ends, which may be as long as the program.
func UntilEOF(parent context.Context, in io.Reader) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(parent)
	go func() {
		defer cancel()
		_, _ = io.Copy(io.Discard, in) // an error ends the input as well
	}()
	return ctx, cancel
}
