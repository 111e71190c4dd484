package coordinator

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/lockstep-ml/lockstep/pkg/cluster"
	pb "github.com/lockstep-ml/lockstep/proto/lockstep/v1"
)

// maxNote bounds one text of a worker, in bytes.
const maxNote = 64 << 10

// sessions implements the Sessions service.
type sessions struct {
	pb.UnimplementedSessionsServer
	c *Coordinator
}

// Connect keeps one session. The handler sends; a second goroutine receives. It
// ends when the handler has returned, and the coordinator waits for it.
func (s *sessions) Connect(stream pb.Sessions_ConnectServer) error {
	l := s.c.leading.Load()
	if l == nil {
		return s.c.notLeader(codes.FailedPrecondition, "coordinator "+s.c.conf.ID+" does not lead")
	}
	hellos := make(chan *pb.Hello, 1)
	entered := make(chan *session, 1)
	broke := make(chan error, 1)
	s.c.receivers.Add(1)
	go func() {
		defer s.c.receivers.Done()
		broke <- receive(l, stream, hellos, entered)
	}()
	hello, err := awaitHello(l, hellos, broke)
	if err != nil {
		return err
	}
	session, err := l.enter(stream.Context(), hello)
	if err != nil {
		s.c.log.Warn("worker refused", zap.String("worker", hello.WorkerId), zap.String("address", hello.Address), zap.Error(err))
		return err
	}
	entered <- session
	err = s.send(l, session, stream, broke)
	l.leave(session, err)
	return err
}

func awaitHello(l *leader, hellos <-chan *pb.Hello, broke <-chan error) (*pb.Hello, error) {
	late := time.NewTimer(helloTimeout)
	defer late.Stop()
	select {
	case hello := <-hellos:
		if hello.WorkerId == "" || hello.Address == "" || hello.Incarnation == "" {
			return nil, status.Error(codes.InvalidArgument, "Hello needs worker_id, address and incarnation")
		}
		return hello, nil
	case err := <-broke:
		return nil, err
	case <-late.C:
		return nil, status.Errorf(codes.DeadlineExceeded, "no Hello within %s", helloTimeout)
	case <-l.ctx.Done():
		return nil, l.c.notLeader(codes.FailedPrecondition, "the leader changed")
	}
}

// send passes orders on until the session is over, and an empty message every
// heartbeat, so that the worker notices soon if this node hangs.
func (s *sessions) send(l *leader, session *session, stream pb.Sessions_ConnectServer, broke <-chan error) error {
	beat := time.NewTicker(l.c.conf.HeartbeatInterval)
	defer beat.Stop()
	for {
		select {
		case m := <-session.out:
			if err := stream.Send(m); err != nil {
				return err
			}
		case <-beat.C:
			if err := stream.Send(&pb.ConnectResponse{}); err != nil {
				return err
			}
		case err := <-broke:
			return err
		case <-session.ctx.Done():
			return status.Error(codes.Aborted, context.Cause(session.ctx).Error())
		case <-l.ctx.Done():
			return s.c.notLeader(codes.FailedPrecondition, "the leader changed")
		}
	}
}

// receive takes the worker's messages until the stream ends.
func receive(l *leader, stream pb.Sessions_ConnectServer, hellos chan<- *pb.Hello, entered <-chan *session) error {
	first, err := stream.Recv()
	if err != nil {
		return err
	}
	if first.GetHello() == nil {
		return status.Error(codes.InvalidArgument, "the first message must be Hello")
	}
	hellos <- first.GetHello()
	var s *session
	select {
	case s = <-entered:
	case <-stream.Context().Done():
		return stream.Context().Err()
	}
	for {
		m, err := stream.Recv()
		if err != nil {
			return err
		}
		l.seen(s)
		if err := l.handle(s, m); err != nil {
			return err
		}
		l.seen(s)
	}
}

// seen notes that the worker spoke.
func (l *leader) seen(s *session) {
	l.mu.Lock()
	defer l.mu.Unlock()
	s.seen = time.Now()
}

// handle does what one message asks for. A refusal is logged: the worker learns of
// it by its next order. Only the loss of the leadership ends the session.
func (l *leader) handle(s *session, m *pb.ConnectRequest) error {
	if l.ctx.Err() != nil {
		return l.c.notLeader(codes.FailedPrecondition, "the leader changed")
	}
	worker := s.hello.WorkerId
	if p := m.GetProgress(); p != nil {
		l.report(worker, p)
		return nil
	}
	op, job := l.operation(worker, m)
	if op == nil {
		return nil
	}
	if before := l.pending(job); before != nil {
		if _, err := l.c.propose(before); errors.Is(err, errNotLeading) {
			return l.c.notLeader(codes.FailedPrecondition, err.Error())
		}
	}
	_, err := l.c.propose(op)
	switch {
	case errors.Is(err, errNotLeading):
		return l.c.notLeader(codes.FailedPrecondition, err.Error())
	case err != nil:
		l.log.Info("refused", zap.String("worker", worker), zap.String("report", fmt.Sprintf("%T", m.Message)), zap.Error(err))
	}
	if saved := m.GetCheckpointSaved(); saved != nil {
		l.mu.Lock()
		s.holdsLocked(job, fromCursor(saved.Cursor))
		l.mu.Unlock()
	}
	l.wake()
	return nil
}

// operation translates a worker's report; nil if there is nothing to commit.
func (l *leader) operation(worker string, m *pb.ConnectRequest) (op cluster.Op, job string) {
	switch m := m.Message.(type) {
	case *pb.ConnectRequest_CheckpointSaved:
		r := m.CheckpointSaved
		return &cluster.Saved{Job: r.JobId, Worker: worker, Cursor: fromCursor(r.Cursor), SHA256: clip(r.Sha256), Bytes: r.Bytes}, r.JobId
	case *pb.ConnectRequest_RingBroken:
		r := m.RingBroken
		return &cluster.Broken{Job: r.JobId, Generation: r.Generation, Blame: cluster.Blame{
			Worker: worker, Suspect: clip(r.SuspectWorkerId), Error: clip(r.Error),
		}}, r.JobId
	case *pb.ConnectRequest_JobDone:
		r := m.JobDone
		return &cluster.Done{Job: r.JobId, Generation: r.Generation, WeightsSHA: clip(r.WeightsSha256), History: fromHistory(r.History), Stopped: clip(r.Stopped)}, r.JobId
	case *pb.ConnectRequest_JobFailed:
		r := m.JobFailed
		return &cluster.Fail{Job: r.JobId, Generation: r.Generation, Worker: worker, Error: clip(r.Error), WorkerOnly: r.WorkerOnly}, r.JobId
	case *pb.ConnectRequest_Note:
		return &cluster.Note{Job: m.Note.JobId, Worker: worker, Message: clip(m.Note.Message)}, m.Note.JobId
	}
	return nil, ""
}

// clip bounds a text that a worker sent.
func clip(s string) string { return s[:min(len(s), maxNote)] }
