package worker

import (
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	pb "github.com/lockstep-ml/lockstep/proto/lockstep/v1"
)

func newSession(coordinators []string, out *outbox, orders chan order) *session {
	return &session{
		coordinators: coordinators, dial: plain(), timeout: 5 * time.Second,
		hello:    func() *pb.Hello { return &pb.Hello{WorkerId: "w1"} },
		progress: func(again bool) *pb.Progress { return nil },
		outbox:   out, orders: orders, log: zap.NewNop(),
	}
}

func TestSessionFollowsTheLeader(t *testing.T) {
	orders := make(chan order)
	lead := startCoordinator(t, func(_ int, hello *pb.Hello, stream pb.Sessions_ConnectServer) error {
		if hello.GetWorkerId() != "w1" {
			return status.Errorf(codes.InvalidArgument, "hello %v", hello)
		}
		if err := stream.Send(&pb.ConnectResponse{Message: &pb.ConnectResponse_Release{Release: &pb.Release{JobId: "j"}}}); err != nil {
			return err
		}
		<-stream.Context().Done()
		return nil
	})
	follow := startCoordinator(t, nil)
	follow.leader = lead.address
	background(t, newSession([]string{follow.address}, newOutbox(), orders).run)
	if got := within(t, "order", orders); got.release.GetJobId() != "j" {
		t.Errorf("order %v, want the release of j", got)
	}
	if n := follow.count(); n != 1 {
		t.Errorf("the follower was asked %d times, want once", n)
	}
}

// Two coordinators that name each other must not be called in a circle.
func TestSessionDoesNotSpin(t *testing.T) {
	a, b := startCoordinator(t, nil), startCoordinator(t, nil)
	a.leader, b.leader = b.address, a.address
	background(t, newSession([]string{a.address, b.address}, newOutbox(), nil).run)
	time.Sleep(200 * time.Millisecond)
	// Pauses are 25 ms at least and double.
	if n := a.count() + b.count(); n > 20 || n < 2 {
		t.Errorf("%d calls within 200 ms", n)
	}
}

// Why there is no session is logged, once for each reason.
func TestSessionSaysWhyThereIsNone(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := l.Addr().String()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	s := newSession([]string{nobody}, newOutbox(), nil)
	core, logged := observer.New(zap.InfoLevel)
	s.log = zap.New(core)
	background(t, s.run)
	time.Sleep(200 * time.Millisecond) // pauses are 25 ms at least and double
	all := logged.FilterMessage("no session; trying on").All()
	if len(all) != 1 || !strings.Contains(fmt.Sprint(all[0].ContextMap()), "refused") || logged.Len() != 1 {
		t.Errorf("logged %v, want the reason once", logged.All())
	}
}

// A worker that is refused as it is says why and ends.
func TestSessionEndsIfRefused(t *testing.T) {
	f := startCoordinator(t, nil)
	f.refusal = status.Error(codes.FailedPrecondition, "worker w1 computes edition 2 of the bits")
	done := make(chan error, 1)
	go func() { done <- newSession([]string{f.address}, newOutbox(), nil).run(t.Context()) }()
	err := within(t, "end of the session", done)
	if want := "coordinator at " + f.address + ": worker w1 computes edition 2 of the bits"; err == nil || err.Error() != want || f.count() != 1 {
		t.Errorf("%v after %d calls, want %s after one", err, f.count(), want)
	}
}

// What may pass is waited for: an id in use, an election.
func TestSessionOutlivesOtherRefusals(t *testing.T) {
	for _, refusal := range []error{status.Error(codes.AlreadyExists, "in use"), status.Error(codes.Unavailable, "no leader")} {
		f := startCoordinator(t, nil)
		f.refusal = refusal
		background(t, newSession([]string{f.address}, newOutbox(), nil).run)
		for began := time.Now(); f.count() < 2; time.Sleep(5 * time.Millisecond) {
			if time.Since(began) > 30*time.Second {
				t.Fatalf("%v: called once", refusal)
			}
		}
	}
}

// Facts are said again in the next session, notes are not, and heartbeats come.
func TestSessionSaysFactsAgain(t *testing.T) {
	heard := make(chan []string)
	f := startCoordinator(t, func(n int, _ *pb.Hello, stream pb.Sessions_ConnectServer) error {
		var said []string
		for {
			m, err := stream.Recv()
			if err != nil {
				return err
			}
			switch m := m.Message.(type) {
			case *pb.ConnectRequest_Note:
				said = append(said, "note "+m.Note.Message)
			case *pb.ConnectRequest_JobDone:
				said = append(said, "done "+m.JobDone.JobId)
			case *pb.ConnectRequest_Heartbeat:
				select {
				case heard <- said:
				case <-stream.Context().Done():
				}
				return errors.New("the coordinator falls")
			}
		}
	})
	out := newOutbox()
	out.note(note("j", "hello"))
	out.fact("j", factDone, doneFact("old"))
	out.fact("j", factDone, doneFact("j"))
	background(t, newSession([]string{f.address}, out, nil).run)
	if diff := cmp.Diff([]string{"note hello", "done j"}, within(t, "first session", heard)); diff != "" {
		t.Errorf("first session (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"done j"}, within(t, "second session", heard)); diff != "" {
		t.Errorf("second session (-want +got):\n%s", diff)
	}
}

func doneFact(job string) *pb.ConnectRequest {
	return &pb.ConnectRequest{Message: &pb.ConnectRequest_JobDone{JobDone: &pb.JobDone{JobId: job}}}
}

// A coordinator that accepts but never welcomes is given up.
func TestSessionNeedsAWelcome(t *testing.T) {
	s := newSession(nil, newOutbox(), nil)
	s.timeout = 50 * time.Millisecond
	silent := startCoordinator(t, nil)
	s.hello = func() *pb.Hello {
		time.Sleep(2 * s.timeout) // the coordinator waits for it, so it can not answer
		return &pb.Hello{}
	}
	welcomed, err := s.attempt(t.Context(), silent.address)
	if welcomed || err == nil || !strings.Contains(err.Error(), "no welcome within 50ms") {
		t.Errorf("welcomed %v, error %v; want none and the timeout", welcomed, err)
	}
}

func TestOutboxIsBounded(t *testing.T) {
	out := newOutbox()
	out.fact("j", factSaved, doneFact("saved"))
	for range outboxNotes + 10 {
		out.note(note("j", "x"))
	}
	if n := len(out.entries); n != outboxNotes+1 {
		t.Errorf("%d entries, want %d notes and the fact", n, outboxNotes)
	}
	out.begin()
	if got := out.next(); got.GetJobDone().GetJobId() != "saved" {
		t.Errorf("first out: %v, want the fact, which came first", got)
	}
	out.fact("j", factDone, doneFact("done"))
	out.forget("j", factDone)
	out.forget("other")
	for range outboxNotes {
		if got := out.next(); got.GetNote() == nil {
			t.Fatalf("next: %v, want a note", got)
		}
	}
	if got := out.next(); got != nil {
		t.Errorf("left over: %v", got)
	}
	out.begin()
	if got := out.next(); got.GetJobDone().GetJobId() != "saved" {
		t.Errorf("in the next session: %v, want the fact again", got)
	}
	out.forget("j")
	out.begin()
	if got := out.next(); got != nil || out.notes != 0 {
		t.Errorf("after forgetting: %v, %d notes", got, out.notes)
	}
}
