package coordinator

import (
	"fmt"
	"io"
	"sync"

	"github.com/hashicorp/raft"

	"github.com/lockstep-ml/lockstep/pkg/cluster"
)

// fsm adapts cluster.State to Raft; it holds no rules.
type fsm struct {
	changed *signal // fires after every change

	mu    sync.RWMutex // guards state: Raft writes, handlers read
	state *cluster.State
}

// applied is what Apply returns through Raft: the answer of the state machine.
type applied struct {
	job string
	err error
}

func newFSM() *fsm { return &fsm{changed: newSignal(), state: cluster.NewState()} }

// Apply is called by Raft, in log order, on one goroutine. A refusal is an
// answer, not a failure: it is returned.
func (f *fsm) Apply(l *raft.Log) any {
	c, err := cluster.Decode(l.Data)
	if err != nil {
		// The entry is committed. To skip it would let this node's state drift
		// from the others'; to stop is the only safe thing.
		panic(fmt.Sprintf("coordinator: log entry %d: %v", l.Index, err))
	}
	f.mu.Lock()
	job, err := f.state.Apply(c)
	f.mu.Unlock()
	f.changed.fire()
	return applied{job, err}
}

// Snapshot is called by Raft between calls of Apply; it copies pointers only.
func (f *fsm) Snapshot() (raft.FSMSnapshot, error) {
	f.mu.RLock()
	defer f.mu.RUnlock()
	return frozen{f.state.Clone()}, nil
}

// Restore replaces the state.
func (f *fsm) Restore(r io.ReadCloser) error {
	defer r.Close()
	state, err := cluster.Restore(r)
	if err != nil {
		return err
	}
	f.mu.Lock()
	f.state = state
	f.mu.Unlock()
	f.changed.fire()
	return nil
}

// job returns one job. It never changes once returned.
func (f *fsm) job(id string) (*cluster.Job, error) {
	f.mu.RLock()
	defer f.mu.RUnlock()
	return f.state.Job(id)
}

// jobs returns all jobs, oldest first.
func (f *fsm) jobs() []*cluster.Job {
	f.mu.RLock()
	defer f.mu.RUnlock()
	return f.state.Jobs()
}

// plan runs cluster.Plan.
func (f *fsm) plan(v cluster.View) []cluster.Decision {
	f.mu.RLock()
	defer f.mu.RUnlock()
	return cluster.Plan(f.state, v)
}

// frozen is a state that no command changes any more.
type frozen struct{ state *cluster.State }

func (s frozen) Persist(sink raft.SnapshotSink) error {
	b, err := s.state.Snapshot()
	if err == nil {
		_, err = sink.Write(b)
	}
	if err != nil {
		_ = sink.Cancel() // the error that matters is the first
		return fmt.Errorf("snapshot: %w", err)
	}
	return sink.Close()
}

func (frozen) Release() {}

// signal tells any number of waiters that something changed.
type signal struct {
	mu sync.Mutex // guards ch
	ch chan struct{}
}

func newSignal() *signal { return &signal{ch: make(chan struct{})} }

// next returns a channel that is closed at the next fire. Take it before looking
// at what may change.
func (s *signal) next() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ch
}

func (s *signal) fire() {
	s.mu.Lock()
	defer s.mu.Unlock()
	close(s.ch)
	s.ch = make(chan struct{})
}
