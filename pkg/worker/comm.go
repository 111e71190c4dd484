package worker

import (
	"context"
	"fmt"

	"github.com/lockstep-ml/lockstep/internal/rescue"
	"github.com/lockstep-ml/lockstep/pkg/nn"
	pb "github.com/lockstep-ml/lockstep/proto/lockstep/v1"
)

// ring sums vectors over the ranks of one generation. *allreduce.Ring is one.
type ring interface {
	SumInt32(ctx context.Context, v []int32) error
	SumFloat32(ctx context.Context, v []float32) error
}

// pipeline sums a learner's gradients while its backward pass goes on:
//
//	backward   |- bucket 0 -|- bucket 1 -|- bucket 2 -|
//	ring                    |--- 0 ---|  |-- 1 --|    |-- 2 --|- stats -|
//
// Its goroutine does the ring operations, in the order of the buckets, which is
// the same on all ranks. One step at a time; after an error of any the pipeline
// is of no more use.
type pipeline struct {
	ring    ring
	members []*pb.Member
	buckets []nn.Bucket
	stats   func() []int32
	queue   chan int   // buckets that are final; len(buckets) stands for the stats
	summed  chan error // one answer for each step
	post    func(int)  // queue<-, made once: a method value allocates
	ended   chan struct{}
	cancel  context.CancelFunc
}

// newPipeline starts a pipeline. close ends it.
func newPipeline(ctx context.Context, r ring, members []*pb.Member, l learner) *pipeline {
	ctx, cancel := context.WithCancel(ctx)
	buckets := l.Buckets()
	p := &pipeline{
		ring: r, members: members, buckets: buckets, stats: l.Stats,
		// One step's worth of room: backward never waits for the ring.
		queue:  make(chan int, len(buckets)+1),
		summed: make(chan error, 1),
		ended:  make(chan struct{}),
		cancel: cancel,
	}
	p.post = func(bucket int) { p.queue <- bucket }
	go p.run(ctx)
	return p
}

// gradient computes the gradient of b and returns when it is summed over all
// ranks, stats included.
func (p *pipeline) gradient(l learner, b *nn.Batch) error {
	if err := l.Gradient(b, p.post); err != nil {
		return err
	}
	p.queue <- len(p.buckets)
	return <-p.summed
}

func (p *pipeline) run(ctx context.Context) {
	defer close(p.ended)
	var err error
	for {
		select {
		case <-ctx.Done():
			select {
			case p.summed <- context.Cause(ctx):
			default: // the answer to the present step is there already
			}
			return
		case i := <-p.queue:
			if err == nil {
				err = p.sum(ctx, i)
			}
			if i == len(p.buckets) {
				p.summed <- err
			}
		}
	}
}

func (p *pipeline) sum(ctx context.Context, i int) (err error) {
	defer rescue.Catch(&err)
	switch {
	case i == len(p.buckets):
		err = p.ring.SumInt32(ctx, p.stats())
	case p.buckets[i].Int != nil:
		err = p.ring.SumInt32(ctx, p.buckets[i].Int)
	default:
		err = p.ring.SumFloat32(ctx, p.buckets[i].Float)
	}
	if err != nil {
		return broken(p.members, fmt.Errorf("sum of gradient bucket %d of %d: %w", i, len(p.buckets), err))
	}
	return nil
}

// close ends the pipeline's goroutine and waits for it.
func (p *pipeline) close() {
	p.cancel()
	<-p.ended
}
