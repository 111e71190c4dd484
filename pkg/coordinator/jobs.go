package coordinator

import (
	"context"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/lockstep-ml/lockstep/pkg/cluster"
	pb "github.com/lockstep-ml/lockstep/proto/lockstep/v1"
)

// jobs implements the Jobs service. Its handlers run on the leader only: the
// interceptors of forward.go see to that.
type jobs struct {
	pb.UnimplementedJobsServer
	c *Coordinator
}

// leader returns the leader's part of this node after a majority has confirmed
// it, so that what is read next is not older than any answer given before.
func (s *jobs) leader() (*leader, error) {
	l := s.c.leading.Load()
	if l == nil {
		return nil, s.c.notLeader(codes.Unavailable, "coordinator "+s.c.conf.ID+" does not lead")
	}
	if err := s.c.raft.VerifyLeader().Error(); err != nil {
		return nil, s.c.notLeader(codes.Unavailable, err.Error())
	}
	return l, nil
}

// job returns a job as users see it now.
func (l *leader) job(id string) (*pb.Job, *cluster.Job, error) {
	j, err := l.c.fsm.job(id)
	if err != nil {
		return nil, nil, l.c.toStatus(err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return toJob(j, l.live[id]), j, nil
}

// Submit checks the job and its data, and queues it.
func (s *jobs) Submit(ctx context.Context, r *pb.SubmitRequest) (*pb.SubmitResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, s.c.conf.SubmitTimeout)
	defer cancel()
	op, err := s.c.prepare(ctx, r)
	if err != nil {
		if ctx.Err() != nil {
			return nil, s.c.toStatus(ctx.Err())
		}
		return nil, status.Error(codes.InvalidArgument, err.Error())
	}
	if r.ValidateOnly {
		return &pb.SubmitResponse{Notes: op.Notes}, nil
	}
	op.RequestID = r.RequestId
	id, err := s.c.propose(op)
	if err != nil {
		return nil, s.c.toStatus(err)
	}
	s.wake()
	return &pb.SubmitResponse{JobId: id, Notes: op.Notes}, nil
}

// wake has the leader look at what changed.
func (s *jobs) wake() {
	if l := s.c.leading.Load(); l != nil {
		l.wake()
	}
}

// List returns all jobs, oldest first.
func (s *jobs) List(context.Context, *pb.ListRequest) (*pb.ListResponse, error) {
	l, err := s.leader()
	if err != nil {
		return nil, err
	}
	out := &pb.ListResponse{}
	all := s.c.fsm.jobs()
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, j := range all {
		out.Jobs = append(out.Jobs, toJob(j, l.live[j.ID]))
	}
	return out, nil
}

// Get returns one job.
func (s *jobs) Get(_ context.Context, r *pb.GetRequest) (*pb.GetResponse, error) {
	job, err := s.get(r.JobId)
	return &pb.GetResponse{Job: job}, err
}

func (s *jobs) get(id string) (*pb.Job, error) {
	l, err := s.leader()
	if err != nil {
		return nil, err
	}
	job, _, err := l.job(id)
	return job, err
}

// Cancel ends a job.
func (s *jobs) Cancel(_ context.Context, r *pb.CancelRequest) (*pb.CancelResponse, error) {
	if _, err := s.c.propose(&cluster.Cancel{Job: r.JobId}); err != nil {
		return nil, s.c.toStatus(err)
	}
	s.wake()
	job, err := s.get(r.JobId)
	return &pb.CancelResponse{Job: job}, err
}

// Resume queues a job again.
func (s *jobs) Resume(ctx context.Context, r *pb.ResumeRequest) (*pb.ResumeResponse, error) {
	l, err := s.leader()
	if err != nil {
		return nil, err
	}
	v := l.view(time.Now())
	for ; !v.Settled; v = l.view(time.Now()) { // soon: see WorkerTTL
		if err := pause(ctx, pollEvery); err != nil {
			return nil, s.c.toStatus(err)
		}
	}
	op := &cluster.Resume{Job: r.JobId}
	for _, w := range v.Workers {
		op.Present = append(op.Present, w.ID)
	}
	if _, err := s.c.propose(op); err != nil {
		return nil, s.c.toStatus(err)
	}
	s.wake()
	job, err := s.get(r.JobId)
	return &pb.ResumeResponse{Job: job}, err
}
