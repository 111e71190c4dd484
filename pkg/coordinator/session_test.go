package coordinator

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/lockstep-ml/lockstep/internal/build"
	pb "github.com/lockstep-ml/lockstep/proto/lockstep/v1"
)

func TestFollowerNamesTheLeader(t *testing.T) {
	g := newGroup(t, 3)
	leader := g.leader()
	stream, err := pb.NewSessionsClient(g.dial(g.follower())).Connect(g.ctx())
	if err != nil {
		t.Fatal(err)
	}
	_, err = stream.Recv()
	s := status.Convert(err)
	if s.Code() != codes.FailedPrecondition || len(s.Details()) != 1 {
		t.Fatalf("got %v", err)
	}
	if n, ok := s.Details()[0].(*pb.NotLeader); !ok || n.LeaderAddress != g.peers[leader] {
		t.Errorf("detail %v, the leader is at %s", s.Details(), g.peers[leader])
	}
}

func TestFirstMessageMustBeHello(t *testing.T) {
	g := newGroup(t, 1)
	for _, m := range []*pb.ConnectRequest{
		{Message: &pb.ConnectRequest_Heartbeat{}}, {}, {Message: &pb.ConnectRequest_Hello{Hello: &pb.Hello{WorkerId: "w"}}},
	} {
		stream, err := pb.NewSessionsClient(g.dial(g.leader())).Connect(g.ctx())
		if err != nil {
			t.Fatal(err)
		}
		if err := stream.Send(m); err != nil {
			t.Fatal(err)
		}
		if _, err := stream.Recv(); status.Code(err) != codes.InvalidArgument {
			t.Errorf("%v: got %v", m, err)
		}
	}
}

// members returns the members of an assignment with the number of their lanes.
func members(a *pb.Assignment) (ids []string, lanes int) {
	for _, m := range a.Members {
		ids = append(ids, m.WorkerId)
		lanes += len(m.Lanes)
	}
	return ids, lanes
}

func checkMembers(t *testing.T, a *pb.Assignment, generation uint64, want ...string) {
	t.Helper()
	ids, lanes := members(a)
	if a.Generation != generation || !slices.Equal(ids, want) || lanes != 4 {
		t.Errorf("generation %d of %v with %d lanes, want %d of %v with 4", a.Generation, ids, lanes, generation, want)
	}
}

// A worker joins, its neighbour dies, it goes on alone.
func TestMembersComeAndGo(t *testing.T) {
	g := newGroup(t, 1)
	id := g.submit("c1", "a")
	w1 := g.connect(&pb.Hello{WorkerId: "w1"})
	a := w1.assignment()
	checkMembers(t, a, 1, "w1")
	w1.progress(a, 0, 3)
	w2 := g.connect(&pb.Hello{WorkerId: "w2"})
	checkMembers(t, w1.assignment(), 2, "w1", "w2") // after a second
	b := w2.assignment()
	checkMembers(t, b, 2, "w1", "w2")
	if string(b.SpecYaml) != "a" || string(b.TrainManifest) != "{}" {
		t.Errorf("assignment lacks the job: %v", b)
	}
	w1.progress(b, 0, 5)
	w2.cancel()
	began := time.Now()
	checkMembers(t, w1.assignment(), 3, "w1")
	if took := time.Since(began); took > 2*time.Second {
		t.Errorf("the loss of a worker took %s", took)
	}
	if j := g.get("c1", id); j.Generation != 3 || j.Cursor.Step != 5 {
		t.Errorf("job %v", j)
	}
}

func TestNewIncarnationSupersedes(t *testing.T) {
	g := newGroup(t, 1)
	g.submit("c1", "a")
	old := g.connect(&pb.Hello{WorkerId: "w1"})
	checkMembers(t, old.assignment(), 1, "w1")
	old.mute.Store(true) // its machine is gone, without a word
	time.Sleep(400 * time.Millisecond)
	w := g.connect(&pb.Hello{WorkerId: "w1", Incarnation: "second"})
	checkMembers(t, w.assignment(), 2, "w1")
	for range old.orders { // ends when the coordinator ends the session
	}
	n, err := g.jobs("c1").Nodes(g.ctx(), &pb.NodesRequest{})
	if err != nil || len(n.Workers) != 1 || !n.Workers[0].Alive || n.Workers[0].JobId != "a-1" {
		t.Errorf("nodes %v, %v", n, err)
	}
}

// Two workers were given one id: the second is told so, the first is left in peace.
func TestSecondWorkerOfAnIDIsRefused(t *testing.T) {
	g := newGroup(t, 1)
	id := g.submit("c1", "a")
	w := g.connect(&pb.Hello{WorkerId: "w1"})
	checkMembers(t, w.assignment(), 1, "w1")
	stream, err := pb.NewSessionsClient(g.dial("c1")).Connect(g.ctx())
	if err != nil {
		t.Fatal(err)
	}
	hello := &pb.Hello{WorkerId: "w1", Address: "b:1", Incarnation: "other", Edition: build.Edition}
	if err := stream.Send(&pb.ConnectRequest{Message: &pb.ConnectRequest_Hello{Hello: hello}}); err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Recv(); status.Code(err) != codes.AlreadyExists || !strings.Contains(err.Error(), "--id") {
		t.Errorf("got %v", err)
	}
	if w.try(&pb.ConnectRequest{Message: &pb.ConnectRequest_Heartbeat{}}) != nil || g.get("c1", id).Generation != 1 {
		t.Error("the first worker was disturbed")
	}
}

// A worker whose build computes other bits is refused for good, and told what to
// do; also one that is too old to say.
func TestWorkerOfAnotherEditionIsRefused(t *testing.T) {
	g := newGroup(t, 1)
	g.submit("c1", "a")
	for _, edition := range []uint32{0, build.Edition + 1} {
		stream, err := pb.NewSessionsClient(g.dial(g.leader())).Connect(g.ctx())
		if err != nil {
			t.Fatal(err)
		}
		hello := &pb.Hello{WorkerId: "w1", Address: "a:1", Incarnation: "i", Version: "v7", Edition: edition}
		if err := stream.Send(&pb.ConnectRequest{Message: &pb.ConnectRequest_Hello{Hello: hello}}); err != nil {
			t.Fatal(err)
		}
		_, err = stream.Recv()
		s := status.Convert(err)
		want := fmt.Sprintf("worker w1 (version v7) computes edition %d of the bits, coordinator c1 (version %s) edition %d: install the same build",
			edition, build.Version(), build.Edition)
		if s.Code() != codes.FailedPrecondition || len(s.Details()) != 0 || !strings.HasPrefix(s.Message(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
	w := g.connect(&pb.Hello{WorkerId: "w2"})
	checkMembers(t, w.assignment(), 1, "w2")
	if j, err := g.nodes["c1"].c.fsm.job("a-1"); err != nil || j.Edition != build.Edition {
		t.Errorf("the job's edition is not noted: %+v, %v", j, err)
	}
}

// A stream that breaks for a moment costs no generation; the assignment is told again.
func TestReconnectWithinGrace(t *testing.T) {
	g := newGroup(t, 1)
	g.submit("c1", "a")
	w := g.connect(&pb.Hello{WorkerId: "w1"})
	checkMembers(t, w.assignment(), 1, "w1")
	w.cancel()
	w = g.connect(&pb.Hello{WorkerId: "w1", Held: []*pb.Held{{JobId: "a-1", Cursor: &pb.Cursor{}}}})
	checkMembers(t, w.assignment(), 1, "w1")
}

func TestSilentWorkerIsLost(t *testing.T) {
	g := newGroup(t, 1)
	id := g.submit("c1", "a")
	w := g.connect(&pb.Hello{WorkerId: "w1"})
	w.assignment()
	w.mute.Store(true)
	for range w.orders { // says nothing: the coordinator ends the session
	}
	g.eventually("waiting job", func() bool { return g.get("c1", id).State == pb.JobState_JOB_STATE_WAITING })
}

func TestBrokenRingGetsANewGeneration(t *testing.T) {
	g := newGroup(t, 1)
	w1, w2 := g.connect(&pb.Hello{WorkerId: "w1"}), g.connect(&pb.Hello{WorkerId: "w2"})
	g.submit("c1", "a")
	a := w1.assignment()
	checkMembers(t, a, 1, "w1", "w2")
	w2.assignment()
	w1.progress(a, 0, 3)
	broken := &pb.ConnectRequest{Message: &pb.ConnectRequest_RingBroken{RingBroken: &pb.RingBroken{
		JobId: a.JobId, Generation: 1, SuspectWorkerId: "w2", Error: "timeout in round 3",
	}}}
	w1.send(broken)
	checkMembers(t, w1.assignment(), 2, "w1", "w2")
	checkMembers(t, w2.assignment(), 2, "w1", "w2")
	w1.send(broken) // about a generation that is over: no effect
	w1.send(&pb.ConnectRequest{Message: &pb.ConnectRequest_JobFailed{JobFailed: &pb.JobFailed{
		JobId: a.JobId, Generation: 2, Error: "the loss is not finite",
	}}})
	for _, w := range []*worker{w1, w2} {
		if r := w.release(); r.JobId != a.JobId {
			t.Errorf("released from %v", r)
		}
	}
	if j := g.get("c1", a.JobId); j.State != pb.JobState_JOB_STATE_FAILED || j.Error != "worker w1: the loss is not finite" || j.Generation != 2 {
		t.Errorf("job %v", j)
	}
}

func TestCancelReleases(t *testing.T) {
	g := newGroup(t, 1)
	id := g.submit("c1", "a")
	w := g.connect(&pb.Hello{WorkerId: "w1", Held: []*pb.Held{{JobId: "gone-9"}}})
	if r := w.release(); r.JobId != "gone-9" {
		t.Errorf("a job that does not exist was not released: %v", r)
	}
	w.assignment()
	if _, err := g.jobs("c1").Cancel(g.ctx(), &pb.CancelRequest{JobId: id}); err != nil {
		t.Fatal(err)
	}
	if r := w.release(); r.JobId != id || r.Reason != "the job is cancelled" {
		t.Errorf("release %v", r)
	}
}

// A worker that takes no orders is dropped; the leader is not held up.
func TestSlowWorkerIsDropped(t *testing.T) {
	g := newGroup(t, 1)
	g.leader()
	l := g.nodes["c1"].c.leading.Load()
	s, err := l.enter(g.ctx(), &pb.Hello{WorkerId: "w1", Address: "a:1", Incarnation: "i", Edition: build.Edition})
	if err != nil {
		t.Fatal(err)
	}
	l.mu.Lock()
	for range queueLength + 1 {
		s.sendLocked(&pb.ConnectResponse{})
	}
	connected := s.connected
	l.mu.Unlock()
	if connected || s.ctx.Err() == nil {
		t.Error("the session goes on")
	}
}
