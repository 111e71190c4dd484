package worker

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"go.uber.org/zap"

	"github.com/lockstep-ml/lockstep/internal/rescue"
	"github.com/lockstep-ml/lockstep/pkg/checkpoint"
	pb "github.com/lockstep-ml/lockstep/proto/lockstep/v1"
)

// errSuperseded is why a generation's context ends when the coordinator wants
// something else.
var errSuperseded = errors.New("superseded by a new order")

// agent turns orders into generations. It holds one job at most:
//
//	        Assignment             Assignment, same job, higher generation
//	free -------------> assigned ---+
//	 ^                   |   ^      |
//	 +----- Release -----+   +------+
//
// An assignment of another job takes the place of a release. A repeated order
// changes nothing. The state of the job stays in memory from one generation to the
// next, and is dropped when the worker becomes free.
type agent struct {
	world
	id       string
	orders   <-chan order
	prepare  func(ctx context.Context, a *pb.Assignment) (*task, error)
	newest   func(t *task) (*checkpoint.State, error) // nil if there is none
	save     func(t *task, s *checkpoint.State) (checkpoint.Entry, error)
	outbox   *outbox
	reporter *reporter
	audit    *audit
	log      *zap.Logger

	job *assigned // nil: free
}

// assigned is the job that the agent works at. The goroutine of its present
// generation owns task, replica and saver until ended is closed.
type assigned struct {
	id         string
	generation uint64
	cancel     context.CancelCauseFunc
	ended      chan struct{}

	preparing *preparation // nil: not begun, or over
	spoilt    bool         // the last generation failed of what is on this worker
	task      *task
	replica   *replica
	saver     *saver
}

// run obeys until ctx ends. It owns one goroutine while there is a job, and the
// saver of that job.
func (a *agent) run(ctx context.Context) error {
	defer a.release()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case o := <-a.orders:
			switch {
			case o.assignment != nil:
				a.assign(ctx, o.assignment)
			case a.job != nil && a.job.id == o.release.GetJobId() && o.release.Generation >= a.job.generation:
				a.log.Info("released", zap.String("job", a.job.id), zap.String("reason", o.release.Reason))
				a.release()
			}
		}
	}
}

// assign begins a generation, unless it is at it or past it.
func (a *agent) assign(ctx context.Context, want *pb.Assignment) {
	if a.job != nil && a.job.id == want.JobId && a.job.generation >= want.Generation {
		return
	}
	rank := slices.IndexFunc(want.Members, func(m *pb.Member) bool { return m.WorkerId == a.id })
	if rank < 0 {
		a.log.Error("assignment without this worker", zap.String("job", want.JobId), zap.Uint64("generation", want.Generation))
		return
	}
	if a.job != nil && a.job.id != want.JobId {
		a.release()
	}
	if a.job == nil {
		a.job = &assigned{id: want.JobId}
	} else {
		a.job.stop()
	}
	a.outbox.forget(want.JobId, factBroken, factFailed, factDone)
	j := a.job
	ctx, j.cancel = context.WithCancelCause(ctx)
	j.generation, j.ended = want.Generation, make(chan struct{})
	go func() {
		defer close(j.ended)
		a.take(ctx, j, want, rank)
	}()
}

// take works and reports why that ended. After a panic it drops what that left half
// done: last, as a write in progress must be waited for, and the others do not wait.
func (a *agent) take(ctx context.Context, j *assigned, want *pb.Assignment, rank int) {
	err := a.caught(ctx, j, want, rank)
	var panicked *rescue.Error
	if errors.As(err, &panicked) {
		defer a.drop(j)
		a.log.Error("panic in a job", zap.String("job", j.id), zap.Error(err), zap.ByteString("stack", panicked.Stack))
		err = fmt.Errorf("panic in job %s: %v", j.id, panicked.Value)
	}
	if ctx.Err() == nil {
		j.spoilt = errors.As(err, new(*localError))
		a.report(j, err)
	}
}

// caught is work that does not panic.
func (a *agent) caught(ctx context.Context, j *assigned, want *pb.Assignment, rank int) (err error) {
	defer rescue.Catch(&err)
	return a.work(ctx, j, want, rank)
}

// drop forgets all that there is of j.
func (a *agent) drop(j *assigned) {
	a.unload(j)
	j.replica = nil
	a.reporter.forget()
}

// work runs one generation of j.
func (a *agent) work(ctx context.Context, j *assigned, want *pb.Assignment, rank int) error {
	log := a.log.With(zap.String("job", j.id), zap.Uint64("generation", j.generation))
	if j.spoilt { // and repaired since: its data are read again
		a.unload(j)
	}
	if j.task == nil {
		t, err := a.ready(ctx, j, want)
		if err != nil {
			return err
		}
		j.task = t
		j.saver = newSaver(j.id, func(s *checkpoint.State) (checkpoint.Entry, error) { return a.save(t, s) }, a.outbox, log)
	}
	g := &generation{
		world: a.world, task: j.task, rank: rank, members: want.Members, assignment: want,
		saver: j.saver, audit: a.audit, reporter: a.reporter, outbox: a.outbox, log: log,
	}
	r, err := a.replicaFor(j, g.lanes(), log)
	if err != nil {
		return err
	}
	j.replica, g.replica = r, r
	return g.run(ctx)
}

// replicaFor returns a replica for the lanes of a generation, with the state
// that this worker has: that in memory, or else that of its newest checkpoint.
func (a *agent) replicaFor(j *assigned, lanes []int, log *zap.Logger) (*replica, error) {
	if j.replica != nil && slices.Equal(j.replica.lanes, lanes) && j.replica.held {
		return j.replica, nil
	}
	l, err := j.task.newLearner(lanes)
	if err != nil {
		return nil, fmt.Errorf("memory for lanes %v: %w", lanes, err)
	}
	r := &replica{lanes: lanes, learner: l}
	if j.replica != nil && j.replica.held {
		return r, r.adopt(j.replica)
	}
	state, err := a.newest(j.task)
	if err == nil && state != nil {
		err = r.restore(j.task, state)
	}
	if err != nil {
		// Without its checkpoint this worker is like a new one.
		log.Warn("no use of the checkpoints on disk", zap.Error(err))
	}
	return r, nil
}

// report tells the coordinator why a generation ended.
func (a *agent) report(j *assigned, err error) {
	log := a.log.With(zap.String("job", j.id), zap.Uint64("generation", j.generation), zap.Error(err))
	var broken *brokenError
	if errors.As(err, &broken) {
		log.Warn("ring broken", zap.String("suspect", broken.suspect))
		a.outbox.fact(j.id, factBroken, &pb.ConnectRequest{Message: &pb.ConnectRequest_RingBroken{RingBroken: &pb.RingBroken{
			JobId: j.id, Generation: j.generation, SuspectWorkerId: broken.suspect, Error: err.Error(),
		}}})
		return
	}
	var local *localError
	log.Error("job failed here")
	a.outbox.fact(j.id, factFailed, &pb.ConnectRequest{Message: &pb.ConnectRequest_JobFailed{JobFailed: &pb.JobFailed{
		JobId: j.id, Generation: j.generation, Error: err.Error(), WorkerOnly: errors.As(err, &local),
	}}})
}

// stop ends the present generation and waits for it.
func (j *assigned) stop() {
	if j.cancel != nil {
		j.cancel(errSuperseded)
		<-j.ended
	}
}

// release makes the worker free.
func (a *agent) release() {
	j := a.job
	if j == nil {
		return
	}
	j.stop()
	a.job = nil
	j.abandon()
	a.reporter.forget()
	a.outbox.forget(j.id, factBroken, factFailed, factDone)
	a.unload(j)
}

// unload closes what was made ready for j. Its state stays.
func (a *agent) unload(j *assigned) {
	if j.saver != nil {
		j.saver.close()
	}
	if j.task != nil {
		if err := j.task.close(); err != nil {
			a.log.Warn("closing the job's data", zap.String("job", j.id), zap.Error(err))
		}
	}
	j.saver, j.task, j.spoilt = nil, nil, false
}
