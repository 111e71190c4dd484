// Package rescue turns panics into errors, so that the work that panicked fails and
// the process goes on. A panic can be caught only on the goroutine where it
// happens: who hands work to another goroutine catches there and passes the error,
// or panics with it, where the result is awaited.
package rescue

import (
	"fmt"
	"runtime/debug"
)

// Error is a panic.
type Error struct {
	Value any    // what panic was called with
	Stack []byte // of the goroutine that panicked
}

func (e *Error) Error() string { return fmt.Sprintf("panic: %v", e.Value) }

// Catch is to be deferred by a function with the result err. If that panics, the
// panic ends there and err becomes an Error: the one that it panicked with, if it
// was caught before.
func Catch(err *error) {
	v := recover()
	if v == nil {
		return
	}
	e, ok := v.(*Error)
	if !ok {
		e = &Error{Value: v, Stack: debug.Stack()}
	}
	*err = e
}
