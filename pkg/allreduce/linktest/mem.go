// Package linktest has what tests of rings need: links in memory that can be
// broken at will, and a suite that every implementation of a link must pass.
package linktest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/lockstep-ml/lockstep/pkg/allreduce"
)

// ErrCut is what the neighbours of a link that was cut get.
var ErrCut = errors.New("link cut")

// Mem is one rank's link of a ring in memory. Fault, if set, is asked before
// every Send; when it returns an error, the link is cut on both sides as if the
// rank had died. In steady state a Mem allocates nothing.
type Mem struct {
	Fault func(h allreduce.Header) error

	right, left          *edge
	sendTimer, recvTimer *time.Timer
}

// edge is the way from one rank to the next.
type edge struct {
	data chan *allreduce.Segment
	free chan *allreduce.Segment
	once sync.Once
	cut  chan struct{}
}

// Ring returns the links of a ring of size ranks in memory.
func Ring(size int) []*Mem {
	edges := make([]*edge, size)
	for i := range edges {
		edges[i] = &edge{
			data: make(chan *allreduce.Segment, allreduce.DefaultWindow),
			free: make(chan *allreduce.Segment, 2*allreduce.DefaultWindow),
			cut:  make(chan struct{}),
		}
	}
	links := make([]*Mem, size)
	for i := range links {
		links[i] = &Mem{right: edges[i], left: edges[(i+size-1)%size], sendTimer: stopped(), recvTimer: stopped()}
	}
	return links
}

func stopped() *time.Timer {
	t := time.NewTimer(time.Hour)
	t.Stop()
	return t
}

// Send implements allreduce.Link.
func (m *Mem) Send(ctx context.Context, wait time.Duration, h allreduce.Header, payload []byte) error {
	if m.Fault != nil {
		if err := m.Fault(h); err != nil {
			m.cut()
			return err
		}
	}
	s := m.right.segment(h, payload)
	m.sendTimer.Reset(wait)
	defer m.sendTimer.Stop()
	select {
	case <-m.right.cut:
		return ErrCut
	default:
	}
	select {
	case m.right.data <- s:
		return nil
	case <-m.right.cut:
		return ErrCut
	case <-m.sendTimer.C:
		return fmt.Errorf("%w, %s", allreduce.ErrTimeout, wait)
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Recv implements allreduce.Link.
func (m *Mem) Recv(ctx context.Context, wait time.Duration) (*allreduce.Segment, error) {
	m.recvTimer.Reset(wait)
	defer m.recvTimer.Stop()
	select {
	case s := <-m.left.data: // what has arrived counts, cut or not
		return s, nil
	default:
	}
	select {
	case s := <-m.left.data:
		return s, nil
	case <-m.left.cut:
		return nil, ErrCut
	case <-m.right.cut:
		return nil, ErrCut
	case <-m.recvTimer.C:
		return nil, fmt.Errorf("%w, %s", allreduce.ErrTimeout, wait)
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// Close cuts the link.
func (m *Mem) Close() error {
	m.cut()
	return nil
}

func (m *Mem) cut() {
	for _, e := range []*edge{m.right, m.left} {
		e.once.Do(func() { close(e.cut) })
	}
}

// segment copies a message into recycled memory.
func (e *edge) segment(h allreduce.Header, payload []byte) *allreduce.Segment {
	var s *allreduce.Segment
	select {
	case s = <-e.free:
	default:
		s = &allreduce.Segment{Payload: make([][]byte, 1)}
		s.Free = func() {
			select {
			case e.free <- s:
			default:
			}
		}
	}
	s.Header = h
	s.Payload[0] = append(s.Payload[0][:0], payload...)
	return s
}
