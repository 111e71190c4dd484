package dataset

import (
	"context"
	"fmt"
	"io"
	"slices"
	"sync"

	"github.com/lockstep-ml/lockstep/internal/rescue"
	"github.com/lockstep-ml/lockstep/pkg/nn"
	"github.com/lockstep-ml/lockstep/pkg/shard"
)

// Loader reads batches ahead of their use. It owns one goroutine and depth+1
// batches, which it uses again and again.
type Loader struct {
	ready  chan *nn.Batch // batches in order; closed when err holds the reason
	free   chan *nn.Batch // batches to fill
	last   *nn.Batch      // what Next returned last
	err    error          // why there are no further batches; set before ready is closed
	cancel context.CancelFunc
	done   sync.WaitGroup
}

// feed is what the goroutine of a Loader works on.
type feed struct {
	loader *Loader
	reader *reader
	dealer *shard.Dealer
	lanes  []int
	epoch  int
	step   int
	ids    []int64
	varied microBatch // what augmentation works on
}

// Loader starts to read the micro-batches of lanes from (epoch, step) on: step
// after step, epoch after epoch without end, or to the end of the one pass of a
// sequential dealer. lanes must ascend; depth (at least 1) is how many batches
// are read ahead. The loader must be closed; the end of ctx stops it too.
//
// The dealer must be made from the manifest of the set.
func (s *Set) Loader(ctx context.Context, dealer *shard.Dealer, lanes []int, epoch, step, depth int) *Loader {
	depth = max(depth, 1)
	ctx, cancel := context.WithCancel(ctx)
	l := &Loader{
		ready:  make(chan *nn.Batch, depth+1), // both have room for all batches:
		free:   make(chan *nn.Batch, depth+1), // to send never waits
		cancel: cancel,
	}
	f := &feed{loader: l, reader: s.newReader(), dealer: dealer, lanes: slices.Clone(lanes), epoch: epoch, step: step}
	if l.err = f.check(); l.err != nil {
		close(l.ready)
		return l
	}
	rows := dealer.MaxLaneCount() * len(lanes)
	for range cap(l.free) {
		b := newBatch(s.m, rows, len(lanes))
		s.augment.extend(b)
		l.free <- b
	}
	f.varied.spare = make([]float32, s.m.RecordBytes())
	l.done.Add(1)
	go f.run(ctx)
	return l
}

// Next returns the batch of the next step; it is valid until Next or Close is
// called. A batch may have no records if the last step of an epoch is short. Next
// returns io.EOF after the last batch of a sequential dealer, and an error of
// reading or of ctx otherwise.
func (l *Loader) Next(ctx context.Context) (*nn.Batch, error) {
	if l.last != nil {
		l.free <- l.last
		l.last = nil
	}
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	default:
	}
	select {
	case b, ok := <-l.ready:
		if !ok {
			return nil, l.err
		}
		l.last = b
		return b, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// Close stops reading and waits for the loader's goroutine.
func (l *Loader) Close() {
	l.cancel()
	l.done.Wait()
}

// check refuses what cannot be read.
func (f *feed) check() error {
	if f.dealer.Records() != f.reader.set.m.Records {
		return fmt.Errorf("data set: the dealer deals %d records, the set has %d", f.dealer.Records(), f.reader.set.m.Records)
	}
	for i, lane := range f.lanes {
		if lane < 0 || lane >= f.dealer.Lanes() || i > 0 && lane <= f.lanes[i-1] {
			return fmt.Errorf("data set: lanes %v: must ascend below %d", f.lanes, f.dealer.Lanes())
		}
	}
	if f.epoch < 0 || f.step < 0 || f.step > f.dealer.StepsPerEpoch() {
		return fmt.Errorf("data set: no step %d of epoch %d", f.step, f.epoch)
	}
	return nil
}

// run fills batches until ctx ends, the pass is over or reading fails.
func (f *feed) run(ctx context.Context) {
	defer f.loader.done.Done()
	defer close(f.loader.ready)
	for {
		select {
		case b := <-f.loader.free:
			if f.loader.err = f.fill(b); f.loader.err != nil {
				return
			}
			f.loader.ready <- b
		case <-ctx.Done():
			f.loader.err = ctx.Err()
			return
		}
	}
}

// fill reads the batch at the cursor and moves the cursor.
func (f *feed) fill(b *nn.Batch) (err error) {
	defer rescue.Catch(&err)
	if f.step == f.dealer.StepsPerEpoch() {
		if !f.dealer.Endless() {
			return io.EOF
		}
		f.epoch, f.step = f.epoch+1, 0
	}
	b.Epoch, b.Step = f.epoch, f.step
	b.Lanes = append(b.Lanes[:0], f.lanes...)
	b.Rows = append(b.Rows[:0], 0)
	b.Records = b.Records[:0]
	for _, lane := range f.lanes {
		f.ids = f.dealer.MicroBatch(f.ids, f.epoch, f.step, lane)
		b.Records = append(b.Records, f.ids...)
		b.Rows = append(b.Rows, len(b.Records))
	}
	resize(b, f.reader.set.m, len(b.Records))
	for row, id := range b.Records {
		if err := f.reader.read(b, row, id); err != nil {
			return fmt.Errorf("epoch %d step %d: %w", f.epoch, f.step, err)
		}
	}
	f.reader.set.augment.vary(b, &f.varied)
	f.step++
	return nil
}
