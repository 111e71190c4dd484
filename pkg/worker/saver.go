package worker

import (
	"context"
	"sync/atomic"

	"go.uber.org/zap"

	"github.com/lockstep-ml/lockstep/internal/rescue"
	"github.com/lockstep-ml/lockstep/pkg/checkpoint"
	pb "github.com/lockstep-ml/lockstep/proto/lockstep/v1"
)

// saver writes checkpoints of one job while its steps go on. It copies the state
// into buffers of its own, which it keeps, and writes those on a goroutine. A
// checkpoint that comes while the one before is still being written waits for it:
// then the disk sets the pace.
type saver struct {
	job    string
	save   func(*checkpoint.State) (checkpoint.Entry, error)
	outbox *outbox
	log    *zap.Logger

	idle     chan struct{}    // holds one token while nothing is being written
	snapshot checkpoint.State // the token's owner may use it, and what follows
	at       position
	err      error // of the last write

	newest atomic.Pointer[position] // the newest that is safe on the disk, nil if none
}

func newSaver(job string, save func(*checkpoint.State) (checkpoint.Entry, error), out *outbox, log *zap.Logger) *saver {
	s := &saver{job: job, save: save, outbox: out, log: log, idle: make(chan struct{}, 1)}
	s.idle <- struct{}{}
	return s
}

// start copies the state and begins to write it. A state that is safe already is
// not written again.
func (s *saver) start(ctx context.Context, t *task, r *replica) error {
	select {
	case <-s.idle:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	if last := s.newest.Load(); last != nil && *last == r.at {
		s.idle <- struct{}{}
		return nil
	}
	if err := s.copy(t, r); err != nil {
		s.idle <- struct{}{}
		return err
	}
	s.at = r.at
	go func() {
		s.write()
		s.idle <- struct{}{}
	}()
	return nil
}

func (s *saver) copy(t *task, r *replica) (err error) {
	defer rescue.Catch(&err)
	return r.snapshot(t, &s.snapshot)
}

func (s *saver) write() {
	entry, err := s.saved()
	s.err = err
	if err != nil {
		s.log.Error("checkpoint not saved", zap.Stringer("at", s.at), zap.Error(err))
		s.outbox.note(note(s.job, "checkpoint at "+s.at.String()+" not saved: "+err.Error()))
		return
	}
	at := s.at
	s.newest.Store(&at)
	s.log.Info("checkpoint saved", zap.Stringer("at", at), zap.String("path", entry.Path))
	s.outbox.fact(s.job, factSaved, &pb.ConnectRequest{Message: &pb.ConnectRequest_CheckpointSaved{CheckpointSaved: &pb.CheckpointSaved{
		JobId: s.job, Cursor: at.cursor(), Sha256: entry.SHA256, Bytes: entry.Bytes,
	}}})
}

func (s *saver) saved() (entry checkpoint.Entry, err error) {
	defer rescue.Catch(&err)
	return s.save(&s.snapshot)
}

// wait returns when nothing is being written any more, with the error of the last
// write.
func (s *saver) wait(ctx context.Context) error {
	select {
	case <-s.idle:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	err := s.err
	s.idle <- struct{}{}
	if err != nil {
		return local("%w; see to the disk of --data-dir", err)
	}
	return nil
}

// close waits for the write in progress. The saver is of no use after it.
func (s *saver) close() { <-s.idle }

// checkpoint saves the replica, once all ranks have found theirs to be alike.
func (g *generation) checkpoint(ctx context.Context) error {
	if err := g.compareReplicas(ctx); err != nil {
		return err
	}
	return g.saver.start(ctx, g.task, g.replica)
}

func note(job, text string) *pb.ConnectRequest {
	return &pb.ConnectRequest{Message: &pb.ConnectRequest_Note{Note: &pb.Note{JobId: job, Message: text}}}
}

// Subjects of facts (see outbox).
const (
	factSaved  = "checkpoint"
	factBroken = "ring broken"
	factFailed = "failed"
	factDone   = "done"
)
