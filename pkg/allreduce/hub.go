package allreduce

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// HubOptions set how rings are made. The zero value of a field stands for the
// default.
type HubOptions struct {
	// ConnectTimeout bounds the wait until the right neighbour is reached. Default
	// 10 s.
	ConnectTimeout time.Duration
	// BeginTimeout bounds the wait for neighbours that can be reached but are not
	// ready for the generation; they may still read their data. Whoever makes
	// generations must notice those that died. Default: ConnectTimeout.
	BeginTimeout time.Duration
	// Linger bounds how long Close waits for the right neighbour to take what is
	// still on its way. Default 5 s.
	Linger time.Duration
}

func (o HubOptions) withDefaults() HubOptions {
	if o.ConnectTimeout <= 0 {
		o.ConnectTimeout = 10 * time.Second
	}
	if o.BeginTimeout <= 0 {
		o.BeginTimeout = o.ConnectTimeout
	}
	if o.Linger <= 0 {
		o.Linger = 5 * time.Second
	}
	return o
}

// Hub is where the neighbours of one process meet: there is one for each gRPC
// server, and the server's Peer.Ring is its ServeRing. For each job it knows the
// newest generation:
//
//	          Connect(g)             Connect(g' > g)
//	(none) -------------> g is held -----------------> g' is held, g is broken
//
// A left neighbour of an older generation is refused, one of a newer waits
// until that generation is held here too. Nobody comes back to a generation.
//
// The Hub remembers one number for every job it ever served.
type Hub struct {
	opts HubOptions

	mu      sync.Mutex // guards what follows
	newest  map[string]*Conn
	changed chan struct{} // closed, and made anew, when newest changes
}

// NewHub returns a hub without connections. It starts nothing.
func NewHub(opts HubOptions) *Hub {
	return &Hub{opts: opts.withDefaults(), newest: map[string]*Conn{}, changed: make(chan struct{})}
}

// Connect joins the ring of m: it dials the right neighbour, adding options of
// its own to dialOpts (which must hold the credentials), and waits for the left
// one, for as long as the HubOptions say. It breaks the connection of an
// older generation of the job, and returns ErrStale if this or a newer one was
// held before. Errors about a neighbour are NeighbourError. The caller closes
// the Conn.
func (h *Hub) Connect(ctx context.Context, m Membership, dialOpts []grpc.DialOption) (*Conn, error) {
	if err := m.Validate(); err != nil {
		return nil, fmt.Errorf("allreduce: membership: %w", err)
	}
	c := newConn(m, h.opts.Linger)
	if err := h.hold(c); err != nil {
		return nil, err
	}
	if len(m.Members) == 1 {
		return c, nil
	}
	ctx, cancel := context.WithTimeout(ctx, h.opts.BeginTimeout)
	defer cancel()
	err := c.dialRight(ctx, h.opts.ConnectTimeout, dialOpts)
	if err == nil {
		err = c.awaitLeft(ctx)
	}
	if err != nil {
		c.fail(err)
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

// hold makes c the newest generation of its job.
func (h *Hub) hold(c *Conn) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	old := h.newest[c.m.Job]
	if old != nil && old.m.Generation >= c.m.Generation {
		return fmt.Errorf("job %s: generation %d: %w: %d was held here before", c.m.Job, c.m.Generation, ErrStale, old.m.Generation)
	}
	h.newest[c.m.Job] = c
	close(h.changed)
	h.changed = make(chan struct{})
	if old != nil {
		old.fail(fmt.Errorf("%w: generation %d", ErrStale, c.m.Generation))
	}
	return nil
}

// ServeRing serves Peer.Ring: it takes the segments of a left neighbour until
// either side closes. The server must have been made with ServerOptions.
func (h *Hub) ServeRing(stream grpc.ServerStream) error {
	md, _ := metadata.FromIncomingContext(stream.Context())
	who, err := parseCaller(md)
	if err != nil {
		return status.Errorf(codes.InvalidArgument, "ring: %v", err)
	}
	c, err := h.meet(stream.Context(), who)
	if err != nil {
		return err
	}
	defer c.work.Done()
	return c.serve(stream)
}

// meet finds the connection that a left neighbour belongs to, waiting for its
// generation to be held here. On success the caller owns one count of c.work.
func (h *Hub) meet(ctx context.Context, who caller) (*Conn, error) {
	timeout := time.NewTimer(h.opts.BeginTimeout)
	defer timeout.Stop()
	for {
		c, changed, err := h.seat(who)
		if c != nil || err != nil {
			return c, err
		}
		select {
		case <-changed:
		case <-timeout.C:
			return nil, status.Errorf(codes.FailedPrecondition, "ring of job %s: generation %d did not begin here within %s", who.job, who.generation, h.opts.BeginTimeout)
		case <-ctx.Done():
			return nil, status.FromContextError(ctx.Err()).Err()
		}
	}
}

// seat gives the left neighbour its place if its generation is held. If it is
// still to come, it returns what to wait for.
func (h *Hub) seat(who caller) (*Conn, <-chan struct{}, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	c := h.newest[who.job]
	if c == nil || c.m.Generation < who.generation {
		return nil, h.changed, nil
	}
	if c.m.Generation > who.generation {
		return nil, nil, status.Errorf(codes.FailedPrecondition, "ring of job %s: generation %d is over, %d is held here", who.job, who.generation, c.m.Generation)
	}
	if who.size != len(c.m.Members) || who.rank != c.m.leftRank() || who.size == 1 {
		return nil, nil, status.Errorf(codes.InvalidArgument, "ring of job %s: rank %d of %d called rank %d of %d, which is not its right neighbour", who.job, who.rank, who.size, c.m.Rank, len(c.m.Members))
	}
	if err := c.takeLeft(); err != nil {
		return nil, nil, err
	}
	return c, nil, nil
}
