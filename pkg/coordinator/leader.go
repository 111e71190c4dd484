package coordinator

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/hashicorp/raft"
	"go.uber.org/zap"

	"github.com/lockstep-ml/lockstep/internal/build"
	"github.com/lockstep-ml/lockstep/pkg/cluster"
)

const (
	planEvery  = 100 * time.Millisecond
	planRounds = 4 // of deciding and applying before the loop looks at other things
	flushEvery = 2 * time.Second
	rememberOf = time.Hour // how long a worker that is gone stays in the list of nodes
)

// leader is what a node has while it leads: the sessions, and the live view of
// the jobs that is not replicated.
type leader struct {
	c     *Coordinator
	log   *zap.Logger
	since time.Time
	ctx   context.Context // ends with the leadership
	end   context.CancelFunc
	done  chan struct{} // closed when the loop has ended
	kick  chan struct{} // has room for one: something changed

	mu       sync.Mutex // guards what follows
	settled  bool       // see cluster.View
	sessions map[string]*session
	live     map[string]*live
}

// follow takes up and lays down leadership as Raft says, until ctx ends.
func (c *Coordinator) follow(ctx context.Context) {
	var l *leader
	lay := func() {
		if l != nil {
			c.leading.Store(nil)
			l.end()
			<-l.done
			l = nil
			c.log.Info("leadership ended")
		}
	}
	defer lay()
	for {
		select {
		case <-ctx.Done():
			return
		case leads := <-c.raft.LeaderCh():
			lay()
			if !leads {
				continue
			}
			if !c.catchUp(ctx) {
				continue
			}
			l = newLeader(ctx, c)
			c.leading.Store(l)
			c.log.Info("leadership begins", zap.Int("jobs", len(c.fsm.jobs())))
		}
	}
}

// catchUp waits until what former leaders committed is applied: before that this
// one must not speak. It reports false if the node does not lead any more.
func (c *Coordinator) catchUp(ctx context.Context) bool {
	for {
		err := c.raft.Barrier(barrierTimeout).Error()
		if err == nil {
			return true
		}
		c.log.Warn("elected, but could not catch up", zap.Error(err))
		if c.raft.State() != raft.Leader || pause(ctx, pollEvery) != nil {
			return false
		}
	}
}

// newLeader starts the loop, which ends with ctx.
func newLeader(ctx context.Context, c *Coordinator) *leader {
	l := &leader{
		c: c, log: c.log, since: time.Now(),
		done: make(chan struct{}), kick: make(chan struct{}, 1),
		sessions: map[string]*session{}, live: map[string]*live{},
	}
	l.ctx, l.end = context.WithCancel(ctx)
	go func() {
		defer close(l.done)
		l.loop()
	}()
	return l
}

// wake has the loop run soon.
func (l *leader) wake() {
	select {
	case l.kick <- struct{}{}:
	default:
	}
}

// loop plans and gives orders until the leadership ends.
func (l *leader) loop() {
	tick := time.NewTicker(planEvery)
	defer tick.Stop()
	for {
		select {
		case <-l.ctx.Done():
			return
		case <-tick.C:
		case <-l.kick:
		}
		if err := l.turn(); err != nil && l.ctx.Err() == nil {
			l.log.Warn("a decision was not committed", zap.Error(err))
		}
	}
}

// turn is one run of the loop.
func (l *leader) turn() error {
	l.expire(time.Now())
	for range planRounds {
		decisions := l.c.fsm.plan(l.view(time.Now()))
		for _, d := range decisions {
			_, err := l.c.propose(d.Op)
			l.log.Info("decided", zap.Stringer("decision", d), zap.Error(err))
			if errors.Is(err, errNotLeading) {
				return err
			}
		}
		if len(decisions) == 0 {
			break
		}
	}
	l.giveOrders()
	l.forget()
	return l.flush(time.Now())
}

// view describes the live workers to cluster.Plan.
func (l *leader) view(now time.Time) cluster.View {
	jobs := l.c.fsm.jobs()
	l.mu.Lock()
	defer l.mu.Unlock()
	v := cluster.View{Now: now, Edition: build.Edition}
	for id, s := range l.sessions {
		if s.alive(now, l.c.conf) {
			v.Workers = append(v.Workers, cluster.Worker{
				ID: id, Address: s.hello.Address, Incarnation: s.hello.Incarnation,
				Connected: s.connected, Held: s.heldCopy(),
			})
		}
	}
	l.settled = l.settled || now.Sub(l.since) >= l.c.conf.WorkerTTL || l.completeLocked(jobs)
	v.Settled = l.settled
	return v
}

// completeLocked says whether every member of a running generation has a session.
func (l *leader) completeLocked(jobs []*cluster.Job) bool {
	for _, j := range jobs {
		for _, m := range j.Members {
			if s := l.sessions[m.Worker]; j.Phase.Holds() && (s == nil || !s.connected) {
				return false
			}
		}
	}
	return true
}

// expire drops the sessions that have been silent for too long, and forgets
// workers that are long gone.
func (l *leader) expire(now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for id, s := range l.sessions {
		switch {
		case s.connected && now.Sub(s.seen) >= l.c.conf.WorkerTTL:
			l.log.Warn("worker is silent", zap.String("worker", id), zap.Duration("for", now.Sub(s.seen)))
			s.leaveLocked(s.seen, fmt.Errorf("silent for %s", l.c.conf.WorkerTTL))
		case !s.connected && now.Sub(s.left) >= rememberOf:
			delete(l.sessions, id)
		}
	}
}

// flush commits the progress that is due, and gives up generations that report nothing.
func (l *leader) flush(now time.Time) error {
	for _, j := range l.c.fsm.jobs() {
		op := l.due(j, now)
		if op == nil {
			continue
		}
		if _, err := l.c.propose(op); errors.Is(err, errNotLeading) {
			return err
		}
	}
	return nil
}

// due returns the command about a job's progress that is to be committed now, or nil.
func (l *leader) due(j *cluster.Job, now time.Time) cluster.Op {
	l.mu.Lock()
	defer l.mu.Unlock()
	p := l.live[j.ID]
	if j.Phase != cluster.Running {
		return nil
	}
	if p == nil || p.generation != j.Generation {
		p = l.liveLocked(j)
	}
	late := len(p.history) > len(j.History) || now.Sub(p.flushed) >= flushEvery
	if p.dirty && late {
		return p.takeLocked(j, now)
	}
	limit := l.c.conf.StallTimeout << min(max(j.Attempts-1, 0), 10)
	if now.Sub(p.reported) >= limit && len(j.Blames) == 0 {
		p.reported = now
		return &cluster.Broken{Job: j.ID, Generation: j.Generation, Blame: cluster.Blame{
			Error: fmt.Sprintf("no progress reported for %s", limit),
		}}
	}
	return nil
}
