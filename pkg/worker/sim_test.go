package worker

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/lockstep-ml/lockstep/pkg/checkpoint"
	"github.com/lockstep-ml/lockstep/pkg/shard"
	pb "github.com/lockstep-ml/lockstep/proto/lockstep/v1"
)

// simulation is a cluster with the coordinator's part played by run.
type simulation struct {
	t       *testing.T
	net     *simNet
	workers []*simWorker
	// revive says whether a dead worker comes back, with its disk.
	revive bool
	// waitFor is how many workers must be alive for a generation.
	waitFor int
	// joinAfter lets the last worker come only once so many checkpoints were saved.
	joinAfter int

	generation uint64
	newest     *pb.Checkpoint
	saved      map[string]string // sha256 by cursor
	done       *pb.JobDone
}

func newSimulation(t *testing.T, workers int) *simulation {
	s := &simulation{t: t, net: &simNet{rings: map[string]*simRing{}, workers: map[string]*simWorker{}}, saved: map[string]string{}, waitFor: 1}
	for i := range workers {
		w := &simWorker{net: s.net, id: fmt.Sprintf("w%d", i), disk: map[checkpoint.Cursor][]byte{}}
		s.workers = append(s.workers, w)
		s.net.workers[w.id] = w
	}
	return s
}

// run plays the coordinator until the job is done, and returns what rank 0 said.
func (s *simulation) run() *pb.JobDone {
	for _, w := range s.workers {
		w.start()
	}
	defer func() {
		for _, w := range s.workers {
			w.now.Load().kill()
			<-w.now.Load().stopped
		}
	}()
	var members []*simWorker
	deadline := time.Now().Add(10 * time.Minute)
	for s.done == nil {
		if time.Now().After(deadline) {
			s.t.Errorf("the job hangs at generation %d", s.generation)
			return nil
		}
		again := s.listen()
		now, restarted := s.present()
		again = again || restarted
		if s.done == nil && len(now) >= s.waitFor && (again || !slices.Equal(now, members)) {
			members = now
			s.assign(members)
		}
		time.Sleep(3 * time.Millisecond)
	}
	return s.done
}

// present returns the workers that live, and whether dead ones came back to life.
func (s *simulation) present() (live []*simWorker, restarted bool) {
	for i, w := range s.workers {
		if p := w.now.Load(); !p.alive() && s.revive {
			<-p.stopped
			if len(w.killNext) > 0 {
				w.killAt.Store(w.points.Load() + w.killNext[0])
				w.killNext = w.killNext[1:]
			}
			w.start()
			restarted = true
		}
		if w.now.Load().alive() && (i < len(s.workers)-1 || len(s.saved) >= s.joinAfter) {
			live = append(live, w)
		}
	}
	return live, restarted
}

// assign starts the next generation.
func (s *simulation) assign(members []*simWorker) {
	s.generation++
	a := &pb.Assignment{JobId: simID, Generation: s.generation, Checkpoint: s.newest}
	for rank, lanes := range shard.AssignLanes(simLanes, len(members), nil) {
		m := &pb.Member{WorkerId: members[rank].id, Address: members[rank].id}
		for _, l := range lanes {
			m.Lanes = append(m.Lanes, int32(l))
		}
		a.Members = append(a.Members, m)
	}
	for _, w := range members {
		select {
		case w.now.Load().orders <- order{assignment: a}:
		case <-w.now.Load().dead:
		}
	}
}

// listen reads what the workers have to say. It reports whether the present
// generation broke.
func (s *simulation) listen() (again bool) {
	for _, w := range s.workers {
		for p := w.now.Load(); p.alive(); {
			m := p.outbox.next()
			if m == nil {
				break
			}
			switch m := m.Message.(type) {
			case *pb.ConnectRequest_RingBroken:
				again = again || m.RingBroken.Generation == s.generation
			case *pb.ConnectRequest_JobFailed:
				s.t.Errorf("%s: job failed: %s", w.id, m.JobFailed.Error)
			case *pb.ConnectRequest_JobDone:
				if m.JobDone.Generation == s.generation {
					s.done = m.JobDone
				}
			case *pb.ConnectRequest_CheckpointSaved:
				s.register(w, m.CheckpointSaved)
			}
		}
	}
	return again
}

// register notes a checkpoint; all workers must have the same bytes.
func (s *simulation) register(w *simWorker, c *pb.CheckpointSaved) {
	at := positionOf(c.Cursor)
	if known, ok := s.saved[at.String()]; ok && known != c.Sha256 {
		s.t.Errorf("%s: checkpoint at %s has sha256 %.8s, others have %.8s", w.id, at, c.Sha256, known)
	}
	s.saved[at.String()] = c.Sha256
	if s.newest == nil || positionOf(s.newest.Cursor).compare(at) < 0 {
		s.newest = &pb.Checkpoint{Cursor: c.Cursor, Sha256: c.Sha256}
	}
	if positionOf(s.newest.Cursor) == at {
		s.newest.WorkerIds = append(s.newest.WorkerIds, w.id)
	}
}
