package allreduce

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Link is the ring as one rank sees it: a neighbour on each side. One goroutine
// at a time may use it. After any error the link is dead.
type Link interface {
	// Send gives a segment to the right neighbour. It returns when payload may be
	// overwritten, which is before it has arrived. It waits for room at most for
	// wait, and must have room for the window of the ring (Options.Window).
	Send(ctx context.Context, wait time.Duration, h Header, payload []byte) error

	// Recv waits at most for wait for the next segment of the left neighbour.
	// Segments come in the order they were sent. The caller calls Free once.
	Recv(ctx context.Context, wait time.Duration) (*Segment, error)
}

// Segment is a received message.
type Segment struct {
	Header Header
	// Payload holds the numbers, little-endian, in pieces as the transport
	// delivered them: a number may begin in one and end in the next.
	Payload [][]byte
	// Free gives the memory back; the segment must not be used after it.
	Free func()
}

// ErrTimeout means that a neighbour did not do its part within the deadline.
var ErrTimeout = errors.New("no answer within the deadline")

// ErrLeft means that a neighbour closed its side in good order. It lives: look
// for the cause of a broken ring elsewhere.
var ErrLeft = errors.New("left the ring")

// ErrClosed means that the link was closed on this side.
var ErrClosed = errors.New("the ring is closed")

// ErrStale means that a newer generation took the place of this one: drop what
// was begun in it.
var ErrStale = errors.New("a newer generation has taken over")

// NeighbourError says which neighbour failed. The worker named is the one that
// this rank lost sight of, which need not be the one that is at fault.
type NeighbourError struct {
	WorkerID string // as in Membership; "rank N" if no names were given
	Address  string // where it was called, if it is known
	Round    int    // of the operation; -1 outside of one
	Err      error
}

// Error names the worker, its address and the round.
func (e *NeighbourError) Error() string {
	who := e.WorkerID
	if e.Address != "" {
		who += " at " + e.Address
	}
	if e.Round >= 0 {
		return fmt.Sprintf("ring round %d: neighbour %s: %v", e.Round, who, e.Err)
	}
	return fmt.Sprintf("neighbour %s: %v", who, e.Err)
}

// Unwrap returns the cause.
func (e *NeighbourError) Unwrap() error { return e.Err }
