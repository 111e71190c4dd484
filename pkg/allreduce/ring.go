package allreduce

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Options set how a Ring works. The zero value of a field stands for the
// default. All ranks of a ring need the same Generation, SegmentBytes and
// Window.
type Options struct {
	// Generation is carried by every segment; another one is refused.
	Generation uint64
	// Members are the worker ids by rank, for errors. Empty: "rank N".
	Members []string
	// SegmentBytes is the most a message carries: a multiple of 4 up to
	// MaxSegmentBytes. Default DefaultSegmentBytes. Smaller ones overlap better,
	// larger ones cost fewer messages.
	SegmentBytes int
	// Window is how many segments a rank sends at most ahead of what it receives.
	// Default DefaultWindow, which is the most: a link must hold that many.
	Window int
	// StepTimeout is the longest wait for one segment of a neighbour, that is for
	// the slowest rank to come to the same operation. Default 30 s.
	StepTimeout time.Duration
}

// Defaults and bounds of Options.
const (
	DefaultSegmentBytes = 512 << 10
	MaxSegmentBytes     = 2 << 20
	DefaultWindow       = 8
	DefaultStepTimeout  = 30 * time.Second
)

// withDefaults fills in what is zero and reports all that is wrong.
func (o Options) withDefaults(size int) (Options, error) {
	if o.SegmentBytes == 0 {
		o.SegmentBytes = DefaultSegmentBytes
	}
	if o.Window == 0 {
		o.Window = DefaultWindow
	}
	if o.StepTimeout == 0 {
		o.StepTimeout = DefaultStepTimeout
	}
	var errs []error
	if o.SegmentBytes < 4 || o.SegmentBytes > MaxSegmentBytes || o.SegmentBytes%4 != 0 {
		errs = append(errs, fmt.Errorf("SegmentBytes %d: must be a multiple of 4 from 4 to %d", o.SegmentBytes, MaxSegmentBytes))
	}
	if o.Window < 1 || o.Window > DefaultWindow {
		errs = append(errs, fmt.Errorf("Window %d: must be 1 to %d, what every link holds", o.Window, DefaultWindow))
	}
	if o.StepTimeout < 0 {
		errs = append(errs, fmt.Errorf("StepTimeout %s: must not be negative", o.StepTimeout))
	}
	if len(o.Members) != 0 && len(o.Members) != size {
		errs = append(errs, fmt.Errorf("Members: %d names for a ring of %d", len(o.Members), size))
	}
	return o, errors.Join(errs...)
}

// Ring sums vectors over its ranks. The ranks do the same operations in the
// same order. One goroutine at a time may use it. It starts none of its own.
type Ring struct {
	rank, size int
	link       Link
	opts       Options
	hops       []Hop
	done       uint64 // operations finished
	broken     error  // why the ring can not be used any more
}

// New makes the ring of one rank. A ring of one needs no link.
func New(rank, size int, link Link, opts Options) (*Ring, error) {
	if size < 1 || rank < 0 || rank >= size {
		return nil, fmt.Errorf("allreduce: rank %d of %d: must be at least 0 and below the size", rank, size)
	}
	if size > 1 && link == nil {
		return nil, fmt.Errorf("allreduce: a ring of %d needs a link", size)
	}
	if !littleEndian() {
		return nil, errors.New("allreduce: this machine is big-endian; rings of lockstep need little-endian machines")
	}
	opts, err := opts.withDefaults(size)
	if err != nil {
		return nil, fmt.Errorf("allreduce: %w", err)
	}
	return &Ring{rank: rank, size: size, link: link, opts: opts, hops: Plan(rank, size)}, nil
}

// Rank returns this rank's position.
func (r *Ring) Rank() int { return r.rank }

// Size returns the number of ranks.
func (r *Ring) Size() int { return r.size }

// SumInt32 replaces v, on every rank, by the sum of the v of all ranks; sums
// wrap around. Every rank must give the same length. After an error v is partly
// summed and must be thrown away, and the ring is broken: close its link. That
// this rank has the sum does not say that every other has: one may have died in
// the last round.
func (r *Ring) SumInt32(ctx context.Context, v []int32) error {
	return sum(ctx, r, v, Int32)
}

// SumFloat32 is SumInt32 for float32. The order of the additions depends on the
// size of the ring, but all ranks get the same bits.
func (r *Ring) SumFloat32(ctx context.Context, v []float32) error {
	return sum(ctx, r, v, Float32)
}

// operation is one sum under way. It lives on the stack of the caller.
type operation[T number] struct {
	*Ring
	layout
	v      []T
	header Header // what is the same in all segments
}

func sum[T number](ctx context.Context, r *Ring, v []T, kind Kind) error {
	if r.broken != nil {
		return fmt.Errorf("the ring broke earlier: %w", r.broken)
	}
	if r.size == 1 || len(v) == 0 {
		return ctx.Err()
	}
	o := operation[T]{
		Ring: r, v: v,
		layout: newLayout(len(v), r.size, r.opts.SegmentBytes/4, r.opts.Window),
		header: Header{Generation: r.opts.Generation, Operation: r.done, Elements: uint64(len(v)), Kind: kind},
	}
	if err := o.run(ctx); err != nil {
		r.broken = err
		return err
	}
	r.done++
	return nil
}

// run keeps one chunk on its way (see the package comment). Segments are
// numbered through all rounds of all blocks.
func (o *operation[T]) run(ctx context.Context) error {
	total := o.blocks * len(o.hops) * o.segments
	for t := range o.segments {
		if err := o.send(ctx, t); err != nil {
			return err
		}
	}
	for t := range total {
		if err := o.recv(ctx, t); err != nil {
			return err
		}
		if t+o.segments < total {
			if err := o.send(ctx, t+o.segments); err != nil {
				return err
			}
		}
	}
	return nil
}

func (o *operation[T]) send(ctx context.Context, t int) error {
	h, part, _ := o.segment(t, true)
	if err := o.link.Send(ctx, o.opts.StepTimeout, h, bytesOf(part)); err != nil {
		return o.blame(o.rank+1, int(h.Round), err)
	}
	return nil
}

func (o *operation[T]) recv(ctx context.Context, t int) error {
	want, part, hop := o.segment(t, false)
	s, err := o.link.Recv(ctx, o.opts.StepTimeout)
	if err != nil {
		return o.blame(o.rank-1, int(want.Round), err)
	}
	defer s.Free()
	if err := check(s, want); err != nil {
		return o.blame(o.rank-1, int(want.Round), err)
	}
	if hop.Reduce {
		add(part, s.Payload)
	} else {
		replace(part, s.Payload)
	}
	return nil
}

// segment returns the header, the place and the hop of segment t of those that
// are sent or received.
func (o *operation[T]) segment(t int, sent bool) (Header, []T, Hop) {
	s, round := t%o.segments, t/o.segments%len(o.hops)
	block := t / o.segments / len(o.hops)
	hop := o.hops[round]
	chunk := hop.Recv
	if sent {
		chunk = hop.Send
	}
	lo, hi := o.bounds(block, chunk, s)
	h := o.header
	h.Block, h.Round, h.Segment, h.Bytes = uint32(block), uint32(round), uint32(s), uint32(4*(hi-lo))
	return h, o.v[lo:hi], hop
}

// check says whether s is the segment that is due, and as long as it says.
func check(s *Segment, want Header) error {
	if err := match(s.Header, want); err != nil {
		return err
	}
	n := 0
	for _, p := range s.Payload {
		n += len(p)
	}
	if n != int(want.Bytes) {
		return fmt.Errorf("%w: the header says %d bytes of numbers, %d came", ErrFrame, want.Bytes, n)
	}
	return nil
}

// blame makes the error of a round. A link that knows better than the
// direction of the call who failed says so with a NeighbourError of its own.
func (r *Ring) blame(rank, round int, err error) error {
	var known *NeighbourError
	if errors.As(err, &known) {
		return &NeighbourError{WorkerID: known.WorkerID, Address: known.Address, Round: round, Err: known.Err}
	}
	for _, own := range []error{context.Canceled, context.DeadlineExceeded, ErrClosed, ErrStale} {
		if errors.Is(err, own) {
			return fmt.Errorf("ring round %d: %w", round, err)
		}
	}
	return &NeighbourError{WorkerID: r.name(mod(rank, r.size)), Round: round, Err: err}
}

func (r *Ring) name(rank int) string {
	if len(r.opts.Members) == 0 {
		return fmt.Sprintf("rank %d", rank)
	}
	return r.opts.Members[rank]
}
