//go:build !unix

package bench

import "time"

// processorTime is the time of day where the processor's time is not known.
func processorTime() time.Duration { return time.Duration(time.Now().UnixNano()) }
