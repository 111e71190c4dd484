package coordinator

import (
	"context"
	"slices"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/lockstep-ml/lockstep/pkg/cluster"
	pb "github.com/lockstep-ml/lockstep/proto/lockstep/v1"
)

const (
	// watchEvery is the least time between two messages of a stream; what happens
	// between is sent together. A watcher holds no queue: it looks when it is ready.
	watchEvery = 100 * time.Millisecond
	// pointsAMessage bounds the points of one message.
	pointsAMessage = 2000
)

// pace waits until something changed (and at least watchEvery), or says why there
// is nothing more to wait for.
func (l *leader) pace(ctx context.Context, changed <-chan struct{}) error {
	if err := pause(ctx, watchEvery); err != nil {
		return status.FromContextError(err).Err()
	}
	select {
	case <-changed:
		return nil
	case <-ctx.Done():
		return status.FromContextError(ctx.Err()).Err()
	case <-l.ctx.Done():
		return l.c.notLeader(codes.Unavailable, "the leader changed")
	}
}

// Watch sends the job and its points until it has ended.
func (s *jobs) Watch(r *pb.WatchRequest, stream pb.Jobs_WatchServer) error {
	l, err := s.leader()
	if err != nil {
		return err
	}
	var before *pb.Job
	step := r.AfterStep
	for {
		changed := s.c.fsm.changed.next()
		job, state, err := l.job(r.JobId)
		if err != nil {
			return err
		}
		points := l.pointsAfter(r.JobId, step)
		for chunk := range slices.Chunk(points, pointsAMessage) {
			step = chunk[len(chunk)-1].GlobalStep
			m := &pb.WatchResponse{Points: chunk}
			if !proto.Equal(job, before) {
				m.Job, before = job, job
			}
			if err := stream.Send(m); err != nil {
				return err
			}
		}
		if !proto.Equal(job, before) {
			before = job
			if err := stream.Send(&pb.WatchResponse{Job: job}); err != nil {
				return err
			}
		}
		if state.Phase.Ended() {
			return nil
		}
		if err := l.pace(stream.Context(), changed); err != nil {
			return err
		}
	}
}

func (l *leader) pointsAfter(job string, step int64) []*pb.StepPoint {
	l.mu.Lock()
	defer l.mu.Unlock()
	if p := l.live[job]; p != nil {
		return p.points.after(step)
	}
	return nil
}

// Logs sends a job's events, and new ones until it has ended if asked to follow.
func (s *jobs) Logs(r *pb.LogsRequest, stream pb.Jobs_LogsServer) error {
	l, err := s.leader()
	if err != nil {
		return err
	}
	var sent int64
	for {
		changed := s.c.fsm.changed.next()
		j, err := s.c.fsm.job(r.JobId)
		if err != nil {
			return s.c.toStatus(err)
		}
		if events := fresh(j, sent); len(events) > 0 {
			if err := stream.Send(&pb.LogsResponse{Events: toEvents(events)}); err != nil {
				return err
			}
		}
		sent = j.Logged
		if !r.Follow || j.Phase.Ended() {
			return nil
		}
		if err := l.pace(stream.Context(), changed); err != nil {
			return err
		}
	}
}

// fresh returns the events of j after the first sent ones, as far as they are kept.
func fresh(j *cluster.Job, sent int64) []cluster.Event {
	n := min(int64(len(j.Events)), max(0, j.Logged-sent))
	return j.Events[int64(len(j.Events))-n:]
}
