package rescue

import (
	"errors"
	"strings"
	"testing"
)

func caught(f func()) (err error) {
	defer Catch(&err)
	f()
	return errors.New("returned")
}

func explode() { panic("boom") }

func TestCatch(t *testing.T) {
	if err := caught(func() {}); err.Error() != "returned" {
		t.Errorf("without a panic: %v", err)
	}
	var e *Error
	first := caught(explode)
	if !errors.As(first, &e) || e.Value != "boom" || e.Error() != "panic: boom" || !strings.Contains(string(e.Stack), "rescue.explode") {
		t.Fatalf("caught %v", first)
	}
	// Passed on, it keeps the stack of where it happened.
	if err := caught(func() { panic(e) }); err != error(e) {
		t.Errorf("passed on: %v", err)
	}
}
