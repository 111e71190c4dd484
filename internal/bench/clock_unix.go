//go:build unix

package bench

import (
	"syscall"
	"time"
)

// processorTime is how long this process has computed. Unlike the time of day it
// does not run on while others have the processor.
func processorTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
