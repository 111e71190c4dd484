package shard

import (
	"fmt"
	"sort"
	"sync"

	"github.com/lockstep-ml/lockstep/internal/philox"
)

// Dealer answers which records lane v uses at step s of epoch e. The answers are
// a pure function of what NewDealer or Sequential was given; the Dealer only
// remembers the permutations it used last. It is safe for concurrent use.
type Dealer struct {
	shards  []Shard
	records int64
	window  int64
	seed    uint64
	lanes   int
	batch   int
	shuffle bool

	mu     sync.Mutex // guards what follows; any number of loaders may ask
	stream *stream    // the epoch asked for last
	perm   []laneWindow
}

// stream is the order of the shards in one epoch.
type stream struct {
	epoch int
	order []int   // shard numbers
	start []int64 // start[i] is the stream position of the first record of order[i]; one more at the end
}

// laneWindow is the permutation of the window that a lane is in.
type laneWindow struct {
	epoch  int
	number int64 // -1: none yet
	at     []int32
}

// NewDealer returns the dealer of a training set: records are shuffled by seed,
// anew each epoch. globalBatch is the number of records of a step, at least one a
// lane.
func NewDealer(m *Manifest, seed uint64, lanes, globalBatch int) (*Dealer, error) {
	d, err := Sequential(m, lanes, globalBatch)
	if err != nil {
		return nil, err
	}
	d.seed, d.shuffle = seed, true
	return d, nil
}

// Sequential returns the dealer of an evaluation: one pass without shuffling, in
// which lane v works through the v-th piece of the records in their order. All
// epochs are alike.
func Sequential(m *Manifest, lanes, globalBatch int) (*Dealer, error) {
	if err := m.Validate(); err != nil {
		return nil, err
	}
	if lanes < 1 || globalBatch < lanes {
		return nil, fmt.Errorf("global batch %d with %d lanes: a step needs at least one record a lane", globalBatch, lanes)
	}
	d := &Dealer{shards: m.Shards, records: m.Records, window: m.Window, lanes: lanes, batch: globalBatch}
	d.perm = make([]laneWindow, lanes)
	for i := range d.perm {
		d.perm[i].number = -1
	}
	return d, nil
}

// Lanes returns V.
func (d *Dealer) Lanes() int { return d.lanes }

// Records returns the number of records of an epoch.
func (d *Dealer) Records() int64 { return d.records }

// Endless reports whether the dealer has further epochs: an evaluation has not.
func (d *Dealer) Endless() bool { return d.shuffle }

// StepsPerEpoch returns the number of steps of an epoch; the last may be short.
func (d *Dealer) StepsPerEpoch() int {
	b := int64(d.batch)
	return int((d.records + b - 1) / b)
}

// StepRecords returns the number of records of a step over all lanes.
func (d *Dealer) StepRecords(step int) int {
	lo, hi := d.positions(step)
	return int(hi - lo)
}

// LaneCount returns the number of records of lane in step.
func (d *Dealer) LaneCount(step, lane int) int {
	lo, hi := d.uses(step, lane)
	return int(hi - lo)
}

// MaxLaneCount returns the largest LaneCount there is.
func (d *Dealer) MaxLaneCount() int {
	most := int(min(d.records, int64(d.batch)))
	return (most + d.lanes - 1) / d.lanes
}

// positions returns the positions of the stream that step covers; none outside
// the epoch.
func (d *Dealer) positions(step int) (lo, hi int64) {
	if step < 0 || step >= d.StepsPerEpoch() {
		return 0, 0
	}
	lo = int64(step) * int64(d.batch)
	return lo, min(lo+int64(d.batch), d.records)
}

// uses returns the range of the lane's own numbers that step covers.
func (d *Dealer) uses(step, lane int) (lo, hi int64) {
	if lane < 0 || lane >= d.lanes {
		return 0, 0
	}
	a, b := d.positions(step)
	return d.upTo(a, lane), d.upTo(b, lane)
}

// upTo returns how many positions below p belong to lane.
func (d *Dealer) upTo(p int64, lane int) int64 {
	v := int64(d.lanes)
	return (p + v - 1 - int64(lane)) / v
}

// piece returns the run of the stream that is the lane's.
func (d *Dealer) piece(lane int) (lo, n int64) {
	v := int64(d.lanes)
	l := int64(lane)
	// The lanes below this one have records/v records, the first records%v one more.
	lo = l*(d.records/v) + min(l, d.records%v)
	return lo, d.upTo(d.records, lane)
}

// MicroBatch appends to dst[:0] the records of lane in (epoch, step), in the
// order of their use, and returns the result. A step or lane that does not exist
// has no records.
func (d *Dealer) MicroBatch(dst []int64, epoch, step, lane int) []int64 {
	dst = dst[:0]
	lo, hi := d.uses(step, lane)
	if lo == hi {
		return dst
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	start, n := d.piece(lane)
	s := d.streamLocked(epoch)
	for i := lo; i < hi; {
		w := i / d.window
		first := w * d.window
		perm := d.windowLocked(epoch, lane, w, min(d.window, n-first))
		for end := min(hi, first+d.window); i < end; i++ {
			at := i - first
			if perm != nil {
				at = int64(perm[at])
			}
			dst = append(dst, s.record(d.shards, start+first+at))
		}
	}
	return dst
}

// LaneShards returns the numbers of the shards that lane reads in epoch, in the
// order in which their records lie in its piece.
func (d *Dealer) LaneShards(epoch, lane int) []int {
	if lane < 0 || lane >= d.lanes {
		return nil
	}
	lo, n := d.piece(lane)
	if n == 0 {
		return nil
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	s := d.streamLocked(epoch)
	first, last := s.find(lo), s.find(lo+n-1)
	return append([]int(nil), s.order[first:last+1]...)
}

// streamLocked returns the stream of epoch.
func (d *Dealer) streamLocked(epoch int) *stream {
	if !d.shuffle {
		epoch = 0
	}
	if d.stream != nil && d.stream.epoch == epoch {
		return d.stream
	}
	s := &stream{epoch: epoch, order: make([]int, len(d.shards)), start: make([]int64, len(d.shards)+1)}
	for i := range s.order {
		s.order[i] = i
	}
	if d.shuffle {
		philox.New(d.seed, philox.Shards, epoch, 0, 0).Shuffle(len(s.order), func(i, j int) {
			s.order[i], s.order[j] = s.order[j], s.order[i]
		})
	}
	for i, k := range s.order {
		s.start[i+1] = s.start[i] + d.shards[k].Records
	}
	d.stream = s
	return s
}

// windowLocked returns the permutation of the n records of window number w of
// lane, or nil if records keep their order.
func (d *Dealer) windowLocked(epoch, lane int, w, n int64) []int32 {
	if !d.shuffle {
		return nil
	}
	p := &d.perm[lane]
	if p.epoch == epoch && p.number == w {
		return p.at
	}
	if int64(cap(p.at)) < n {
		p.at = make([]int32, n)
	}
	p.epoch, p.number, p.at = epoch, w, p.at[:n]
	for i := range p.at {
		p.at[i] = int32(i)
	}
	at := p.at
	philox.New(d.seed, philox.Window, epoch, int(w), lane).Shuffle(int(n), func(i, j int) {
		at[i], at[j] = at[j], at[i]
	})
	return at
}

// find returns the index in order of the shard that holds stream position p.
func (s *stream) find(p int64) int {
	return sort.Search(len(s.order), func(i int) bool { return s.start[i+1] > p })
}

// record returns the record at stream position p.
func (s *stream) record(shards []Shard, p int64) int64 {
	i := s.find(p)
	return shards[s.order[i]].First + p - s.start[i]
}
