package allreduce

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	lockstepv1 "github.com/lockstep-ml/lockstep/proto/lockstep/v1"
)

// keyAccepted is the response metadata that says that the right neighbour has
// taken the stream.
const keyAccepted = "lockstep-accepted"

// redial is the pause before a neighbour that is not there yet is called again.
const redial = 50 * time.Millisecond

// dialRight opens the stream to the right neighbour and starts its goroutines. It
// waits for the neighbour to take it, if there is a connection after reach.
func (c *Conn) dialRight(ctx context.Context, reach time.Duration, dialOpts []grpc.DialOption) error {
	cc, err := grpc.NewClient(c.m.right().Address, append(dialOptions(), dialOpts...)...)
	if err != nil {
		return c.blameRight(fmt.Errorf("can not be dialled: %w", err))
	}
	c.cc = cc
	life, hangUp := context.WithCancel(metadata.NewOutgoingContext(context.Background(), c.m.metadata()))
	c.hangUp = hangUp
	ctx, giveUp := context.WithCancelCause(ctx)
	defer giveUp(nil)
	late := time.AfterFunc(reach, func() {
		if cc.GetState() != connectivity.Ready {
			giveUp(fmt.Errorf("not reached: %w, %s", ErrTimeout, reach))
		}
	})
	defer late.Stop()
	// Until the stream is taken, the caller's deadline ends it too.
	stop := context.AfterFunc(ctx, hangUp)
	for {
		stream, err := openRing(life, cc)
		if err == nil && stop() {
			c.right = stream
			break
		}
		if ctx.Err() != nil {
			return c.blameRight(fmt.Errorf("did not take the stream: %w", errors.Join(context.Cause(ctx), err)))
		}
		if status.Code(err) != codes.Unavailable {
			return c.blameRight(fmt.Errorf("refused the stream: %w", err))
		}
		sleep(ctx, redial)
	}
	c.work.Add(2)
	go c.write()
	go c.watch()
	return nil
}

// openRing opens a stream and waits until the other side has taken it.
func openRing(ctx context.Context, cc *grpc.ClientConn) (grpc.ClientStream, error) {
	desc := &grpc.StreamDesc{StreamName: "Ring", ClientStreams: true, ServerStreams: true}
	s, err := cc.NewStream(ctx, desc, lockstepv1.Peer_Ring_FullMethodName, grpc.WaitForReady(true))
	if err != nil {
		return nil, err
	}
	md, err := s.Header()
	if err != nil {
		return nil, err
	}
	if len(md.Get(keyAccepted)) == 0 {
		if err := s.RecvMsg(&inFrame{}); err != nil {
			return nil, err
		}
		return nil, errors.New("it answered without taking the stream")
	}
	return s, nil
}

func sleep(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}

// write moves frames from out to the right neighbour, and ends the stream in
// good order when the connection is closed or broken.
func (c *Conn) write() {
	defer c.work.Done()
	for {
		select {
		case f := <-c.out:
			if c.right.SendMsg(f) != nil {
				return // watch learns why
			}
			continue
		default:
		}
		select {
		case f := <-c.out:
			if c.right.SendMsg(f) != nil {
				return
			}
		case <-c.broken:
			_ = c.right.CloseSend() // always nil
			return
		case <-c.closing:
			if len(c.out) == 0 {
				_ = c.right.CloseSend() // always nil
				return
			}
		}
	}
}

// watch learns how the stream to the right ends.
func (c *Conn) watch() {
	defer c.work.Done()
	defer close(c.rightOver)
	var f inFrame
	err := c.right.RecvMsg(&f)
	switch {
	case err == nil:
		f.data.Free()
		c.fail(c.blameRight(fmt.Errorf("%w: it answered on a one-way stream", ErrFrame)))
	case errors.Is(err, io.EOF), status.Code(err) == codes.Aborted:
		close(c.rightGone)
	default:
		c.fail(c.blameRight(fmt.Errorf("lost: %w", err)))
	}
}

// takeLeft gives the place of the left neighbour away, once. The caller gets
// one count of c.work.
func (c *Conn) takeLeft() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.closed, c.cause != nil:
		return status.Errorf(codes.FailedPrecondition, "ring of job %s: generation %d has ended here", c.m.Job, c.m.Generation)
	case c.seated:
		return status.Errorf(codes.AlreadyExists, "ring of job %s: generation %d has its left neighbour already", c.m.Job, c.m.Generation)
	}
	c.seated = true
	c.work.Add(1)
	return nil
}

// awaitLeft returns when the left neighbour is there.
func (c *Conn) awaitLeft(ctx context.Context) error {
	select {
	case <-c.leftCame:
		return nil
	case <-c.broken:
		return c.ended()
	case <-ctx.Done():
		return c.blameLeft(fmt.Errorf("did not call: %w", context.Cause(ctx)))
	}
}

// serve runs the left neighbour's stream until either side ends it.
func (c *Conn) serve(stream grpc.ServerStream) error {
	if err := stream.SendHeader(metadata.Pairs(keyAccepted, "1")); err != nil {
		return err
	}
	close(c.leftCame)
	ended := make(chan struct{})
	c.work.Add(1)
	go func() {
		defer c.work.Done()
		defer close(ended)
		c.leftErr = c.read(stream)
		close(c.in)
		if !errors.Is(c.leftErr, ErrLeft) {
			c.fail(c.blameLeft(c.leftErr))
		}
	}()
	select {
	case <-ended:
		return nil
	case <-c.broken:
	case <-c.closing:
	}
	return c.leaving() // which also ends the reader
}

// read moves frames of the left neighbour to in, and returns why it ended.
func (c *Conn) read(stream grpc.ServerStream) error {
	for {
		var f inFrame
		if err := stream.RecvMsg(&f); errors.Is(err, io.EOF) {
			return ErrLeft
		} else if err != nil {
			return fmt.Errorf("lost: %w", err)
		}
		s, err := f.segment()
		if err != nil {
			return err
		}
		select {
		case c.in <- s:
		case <-c.broken:
			return c.ended()
		case <-c.closing:
			return ErrClosed
		}
	}
}
