package dataset

import (
	"fmt"
	"sort"
	"sync/atomic"

	"github.com/lockstep-ml/lockstep/pkg/nn"
	"github.com/lockstep-ml/lockstep/pkg/shard"
)

// Set is an open data set: the records of one manifest, readable at random. It is
// safe for concurrent use by several Loaders.
type Set struct {
	m       *shard.Manifest
	t       *table
	checked *checks
	augment *augmentation // nil: records are as they are
}

// Manifest returns the manifest that the set was opened with.
func (s *Set) Manifest() *shard.Manifest { return s.m }

// Name returns the file of a new record that has one of its own, within the folder or
// archive that was opened, or "".
func (s *Set) Name(record int64) string {
	if record < int64(len(s.t.names)) {
		return s.t.names[record]
	}
	return ""
}

// Close closes the files. No Loader may be open.
func (s *Set) Close() error {
	if s.t == nil {
		return nil
	}
	return s.t.Close()
}

// checks remembers which shards were verified.
type checks struct {
	done []atomic.Bool
	left atomic.Int64
}

func newChecks(m *shard.Manifest) *checks {
	c := &checks{done: make([]atomic.Bool, len(m.Shards))}
	c.left.Store(int64(len(m.Shards)))
	return c
}

// reader reads records of a set into batches. It is used by one goroutine.
type reader struct {
	set     *Set
	decodes []decode
	scratch []byte // one record of the largest plane
	bulk    []byte // for checksums
}

func (s *Set) newReader() *reader {
	r := &reader{set: s}
	var most int
	for _, p := range s.m.Planes {
		r.decodes = append(r.decodes, newDecode(s.m, p))
		most = max(most, p.Bytes())
	}
	r.scratch = make([]byte, most)
	return r
}

// read puts record number id into row of b.
func (r *reader) read(b *nn.Batch, row int, id int64) error {
	if id < 0 || id >= r.set.m.Records {
		return fmt.Errorf("data set: record %d of %d asked for", id, r.set.m.Records)
	}
	if err := r.verify(id); err != nil {
		return err
	}
	for i := range r.decodes {
		raw, err := r.set.t.planes[i].view(r.scratch, id, 1)
		if err != nil {
			return err
		}
		r.decodes[i](b, row, raw)
	}
	return nil
}

// verify compares the checksum of the shard of record id, unless that was done.
func (r *reader) verify(id int64) error {
	c := r.set.checked
	if c.left.Load() == 0 {
		return nil
	}
	shards := r.set.m.Shards
	n := sort.Search(len(shards), func(i int) bool { return shards[i].First+shards[i].Records > id })
	if c.done[n].Load() {
		return nil
	}
	var sum string
	var err error
	if sum, r.bulk, err = r.set.t.checksum(shards[n], r.bulk); err != nil {
		return err
	}
	if sum != shards[n].SHA256 {
		todo := "restore the file or submit the job again"
		if r.set.t.forget() {
			todo = "the copy kept of the data is removed; restore the data if they changed, then resume the job, or submit it again"
		}
		return &Error{File: r.set.t.planes[0].name, Msg: fmt.Sprintf(
			"shard %d (records %d to %d) differs from what was submitted: sha256 %.12s…, the manifest says %.12s…; %s",
			n, shards[n].First, shards[n].First+shards[n].Records-1, sum, shards[n].SHA256, todo)}
	}
	if c.done[n].CompareAndSwap(false, true) {
		c.left.Add(-1)
	}
	return nil
}
