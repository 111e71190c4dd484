package coordinator

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"go.uber.org/zap"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/lockstep-ml/lockstep/internal/build"
	"github.com/lockstep-ml/lockstep/pkg/cluster"
	pb "github.com/lockstep-ml/lockstep/proto/lockstep/v1"
)

// queueLength bounds the orders that wait to be sent to one worker. A worker that
// takes none of so many is dropped: it never holds up the leader.
const queueLength = 256

// errSuperseded ends a session when its worker opens another.
var errSuperseded = errors.New("the worker opened another session")

// session is one worker as the leader sees it. It moves through
//
//	           enter                 leave (stream broke, silent, too slow)
//	(unknown) -------> connected -----------------------------------------> left
//	                       ^                                                 |
//	                       +------------------- enter -----------------------+
//
// The leader's lock guards all but out and ctx.
type session struct {
	hello     *pb.Hello
	out       chan *pb.ConnectResponse
	ctx       context.Context // ends when the session is left
	cancel    context.CancelCauseFunc
	connected bool
	seen      time.Time // its last message
	left      time.Time
	held      map[string]cluster.Cursor
	// told maps the jobs that the worker may be working on to the generation it
	// was told of, 0 if it came with the job.
	told map[string]uint64
}

// enter makes a session of a worker's Hello, in place of any it had. It refuses a
// worker that computes other bits, and a second process that goes by the id of one
// that still speaks.
func (l *leader) enter(ctx context.Context, hello *pb.Hello) (*session, error) {
	if hello.Edition != build.Edition {
		return nil, status.Errorf(codes.FailedPrecondition, "worker %s (version %s) computes edition %d of the bits, coordinator %s (version %s) edition %d: "+
			"install the same build on all machines of the cluster", hello.WorkerId, hello.Version, hello.Edition, l.c.conf.ID, build.Version(), build.Edition)
	}
	s := &session{
		hello: hello, out: make(chan *pb.ConnectResponse, queueLength),
		connected: true, seen: time.Now(),
		held: map[string]cluster.Cursor{}, told: map[string]uint64{},
	}
	s.ctx, s.cancel = context.WithCancelCause(ctx)
	for _, h := range hello.Held {
		s.held[h.JobId] = fromCursor(h.Cursor)
		s.told[h.JobId] = 0
	}
	s.out <- &pb.ConnectResponse{Message: &pb.ConnectResponse_Welcome{Welcome: &pb.Welcome{
		CoordinatorId: l.c.conf.ID, HeartbeatMs: l.c.conf.HeartbeatInterval.Milliseconds(),
	}}}
	l.mu.Lock()
	if old := l.sessions[hello.WorkerId]; old != nil && old.connected {
		if old.hello.Incarnation != hello.Incarnation && time.Since(old.seen) < 3*l.c.conf.HeartbeatInterval {
			l.mu.Unlock()
			return nil, status.Errorf(codes.AlreadyExists, "worker id %q is in use by the worker at %s: give every worker an --id of its own",
				hello.WorkerId, old.hello.Address)
		}
		old.leaveLocked(time.Now(), errSuperseded)
	}
	l.sessions[hello.WorkerId] = s
	l.mu.Unlock()
	l.log.Info("worker connected", zap.String("worker", hello.WorkerId), zap.String("address", hello.Address),
		zap.String("isa", hello.Isa), zap.Int32("threads", hello.Threads), zap.Int("held", len(hello.Held)))
	l.wake()
	return s, nil
}

// leave notes that the session's stream is over.
func (l *leader) leave(s *session, why error) {
	l.mu.Lock()
	was := s.connected
	s.leaveLocked(time.Now(), why)
	l.mu.Unlock()
	if was {
		l.log.Warn("worker disconnected", zap.String("worker", s.hello.WorkerId), zap.Error(why))
	}
	l.wake()
}

func (s *session) leaveLocked(at time.Time, why error) {
	if s.connected {
		s.connected, s.left = false, at
	}
	s.cancel(why)
}

// alive says whether the worker counts as alive.
func (s *session) alive(now time.Time, conf Config) bool {
	if s.connected {
		return now.Sub(s.seen) < conf.WorkerTTL
	}
	return now.Sub(s.left) < conf.ReconnectGrace
}

func (s *session) heldCopy() map[string]cluster.Cursor { return maps.Clone(s.held) }

// holdsLocked notes that the worker has a state at least as far as at.
func (s *session) holdsLocked(job string, at cluster.Cursor) {
	if known, ok := s.held[job]; !ok || at.Compare(known) > 0 {
		s.held[job] = at
	}
}

// sendLocked queues an order, or drops a worker that is too slow to take it.
func (s *session) sendLocked(m *pb.ConnectResponse) {
	select {
	case s.out <- m:
	default:
		s.leaveLocked(time.Now(), errors.New("too slow: its queue of orders is full"))
	}
}

// giveOrders tells every worker what changed for it.
func (l *leader) giveOrders() {
	jobs := l.c.fsm.jobs()
	member := map[string]*cluster.Job{} // worker -> the running job it is a member of
	byID := map[string]*cluster.Job{}
	for _, j := range jobs {
		byID[j.ID] = j
		for _, m := range j.Members {
			if j.Phase == cluster.Running {
				member[m.Worker] = j
			}
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for id, s := range l.sessions {
		if !s.connected {
			continue
		}
		want := member[id]
		if want != nil && want.Member(id).Incarnation != s.hello.Incarnation {
			want = nil // it restarted: the next generation is on its way
		}
		s.orderLocked(want, byID)
	}
}

// orderLocked brings what the worker was told in line with what is decided: want
// is the job that it is to work on, nil if none.
func (s *session) orderLocked(want *cluster.Job, jobs map[string]*cluster.Job) {
	for _, id := range slices.Sorted(maps.Keys(s.told)) {
		j := jobs[id]
		// A job that waits may need what the worker has; so may one whose next
		// generation is about to be decided.
		keeps := want == nil && j != nil && (j.Phase == cluster.Waiting || j.Phase == cluster.Queued || j.Phase == cluster.Running && j.Member(s.hello.WorkerId) != nil)
		if j != nil && j == want || keeps || len(s.out) > queueLength/2 {
			continue
		}
		delete(s.told, id)
		s.releaseLocked(id, j)
	}
	if want == nil {
		return
	}
	if generation, ok := s.told[want.ID]; !ok || generation != want.Generation {
		s.told[want.ID] = want.Generation
		s.sendLocked(&pb.ConnectResponse{Message: &pb.ConnectResponse_Assignment{Assignment: toAssignment(want)}})
	}
}

// releaseLocked takes the worker out of a job: what it keeps is on its disk.
func (s *session) releaseLocked(id string, j *cluster.Job) {
	release := &pb.Release{JobId: id, Reason: "no such job"}
	delete(s.held, id)
	if j != nil {
		release.Generation, release.Reason = j.Generation, "the job is "+string(j.Phase)
		if j.Phase == cluster.Running {
			release.Reason = "the job goes on without this worker"
		}
		for _, k := range j.Checkpoints {
			if slices.Contains(k.Workers, s.hello.WorkerId) {
				s.holdsLocked(id, k.Cursor)
			}
		}
	}
	s.sendLocked(&pb.ConnectResponse{Message: &pb.ConnectResponse_Release{Release: release}})
}
