package allreduce

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// Conn is the place of one rank in the ring of one generation, a Link over two
// gRPC streams: one that it opened to the right neighbour, and one that the
// left neighbour opened to it.
//
//	Send -> out -> writer -> stream .....> stream -> reader -> in -> Recv
//	                           watcher (how the right side ends)
//
// It goes from open to broken (the first error stands, on both sides) or closed.
// Whoever breaks or closes tells both neighbours in good order, so that only
// the loss of a process or of the network looks like one to them.
type Conn struct {
	m      Membership
	linger time.Duration
	pool   bufferPool

	out       chan *outFrame
	right     grpc.ClientStream
	cc        *grpc.ClientConn
	hangUp    context.CancelFunc // ends the stream to the right
	rightGone chan struct{}      // closed when the right neighbour has left in good order
	rightOver chan struct{}      // closed when the stream to it has ended in any way

	in       chan *Segment
	leftErr  error         // why in was closed; read it after
	leftCame chan struct{} // closed when the left neighbour is there

	broken  chan struct{} // closed by fail
	closing chan struct{} // closed by Close
	work    sync.WaitGroup

	sendTimer, recvTimer *time.Timer

	mu     sync.Mutex // guards what follows
	cause  error      // why broken
	closed bool
	seated bool // the left neighbour has taken its place
}

func newConn(m Membership, linger time.Duration) *Conn {
	c := &Conn{
		m: m, linger: linger,
		out:       make(chan *outFrame, DefaultWindow),
		in:        make(chan *Segment, DefaultWindow),
		rightGone: make(chan struct{}),
		rightOver: make(chan struct{}),
		leftCame:  make(chan struct{}),
		broken:    make(chan struct{}),
		closing:   make(chan struct{}),
		sendTimer: time.NewTimer(time.Hour),
		recvTimer: time.NewTimer(time.Hour),
	}
	c.sendTimer.Stop()
	c.recvTimer.Stop()
	return c
}

// Membership returns what the connection was made for.
func (c *Conn) Membership() Membership { return c.m }

// Ring makes the ring of this connection; Generation and Members of opts are
// those of the membership.
func (c *Conn) Ring(opts Options) (*Ring, error) {
	opts.Generation, opts.Members = c.m.Generation, c.m.names()
	return New(c.m.Rank, len(c.m.Members), c, opts)
}

// Send implements Link.
func (c *Conn) Send(ctx context.Context, wait time.Duration, h Header, payload []byte) error {
	if err := c.ended(); err != nil {
		return err
	}
	f, err := c.pool.frame(h, payload)
	if err != nil {
		return err
	}
	select {
	case c.out <- f:
		return nil
	default:
	}
	c.sendTimer.Reset(wait)
	defer c.sendTimer.Stop()
	select {
	case c.out <- f:
		return nil
	case <-c.sendTimer.C:
		err = c.blameRight(fmt.Errorf("takes no more segments: %w, %s", ErrTimeout, wait))
	case <-c.rightGone:
		err = c.blameRight(ErrLeft)
	case <-c.broken:
	case <-c.closing:
	case <-ctx.Done():
		err = context.Cause(ctx)
	}
	f.buf.Free()
	return c.fail(err)
}

// Recv implements Link.
func (c *Conn) Recv(ctx context.Context, wait time.Duration) (*Segment, error) {
	select {
	case s, ok := <-c.in:
		return c.received(s, ok)
	default:
	}
	if err := c.ended(); err != nil {
		return nil, err
	}
	c.recvTimer.Reset(wait)
	defer c.recvTimer.Stop()
	var err error
	select {
	case s, ok := <-c.in:
		return c.received(s, ok)
	case <-c.recvTimer.C:
		err = c.blameLeft(fmt.Errorf("sent no segment: %w, %s", ErrTimeout, wait))
	case <-c.broken:
	case <-c.closing:
	case <-ctx.Done():
		err = context.Cause(ctx)
	}
	return nil, c.fail(err)
}

func (c *Conn) received(s *Segment, ok bool) (*Segment, error) {
	if !ok {
		return nil, c.fail(c.blameLeft(c.leftErr))
	}
	return s, nil
}

// fail breaks the connection, unless it is broken or closed already, and
// returns why it is. A nil err only asks.
func (c *Conn) fail(err error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cause == nil && c.closed {
		return ErrClosed
	}
	if c.cause == nil && err != nil {
		c.cause = err
		close(c.broken)
	}
	return c.cause
}

// ended returns why the connection can not be used, nil while it can.
func (c *Conn) ended() error { return c.fail(nil) }

// Close leaves the ring and returns when everything that Connect started has
// ended. What was sent still reaches the right neighbour, if it takes it within
// HubOptions.Linger; a broken connection does not wait for that. Close may be
// called at any time and more than once; it ends a Sum in progress.
func (c *Conn) Close() error {
	c.mu.Lock()
	first, healthy := !c.closed, c.cause == nil
	c.closed = true
	if first {
		close(c.closing)
	}
	c.mu.Unlock()
	var err error
	if first && c.right != nil {
		c.sayGoodbye(healthy)
	}
	if first && c.cc != nil {
		c.hangUp()
		err = c.cc.Close()
	}
	c.work.Wait()
	c.drain()
	return err
}

// drain gives the memory of segments back that nobody takes any more: the hub
// remembers the connection for as long as it remembers the job.
func (c *Conn) drain() {
	for {
		select {
		case f := <-c.out:
			f.buf.Free()
			continue
		case s, ok := <-c.in:
			if ok {
				s.Free()
				continue
			}
		default:
		}
		return
	}
}

// brokenLinger is how long a broken connection tries to tell the right
// neighbour that it left.
const brokenLinger = 100 * time.Millisecond

// sayGoodbye waits until the right neighbour knows that this rank leaves.
func (c *Conn) sayGoodbye(healthy bool) {
	linger := c.linger
	if !healthy {
		linger = min(linger, brokenLinger)
	}
	patience := time.NewTimer(linger)
	defer patience.Stop()
	select {
	case <-c.rightOver:
	case <-patience.C:
	}
}

func (c *Conn) blameLeft(err error) error  { return blameMember(c.m.left(), err) }
func (c *Conn) blameRight(err error) error { return blameMember(c.m.right(), err) }

func blameMember(who Member, err error) error {
	return &NeighbourError{WorkerID: who.ID, Address: who.Address, Round: -1, Err: err}
}

// leaving is the status that tells the left neighbour that this rank leaves in
// good order.
func (c *Conn) leaving() error {
	why := c.ended()
	if why == nil || errors.Is(why, ErrClosed) {
		return status.Error(codes.Aborted, ErrLeft.Error())
	}
	return status.Errorf(codes.Aborted, "%v: %v", ErrLeft, why)
}
