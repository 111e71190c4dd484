package coordinator

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	pb "github.com/lockstep-ml/lockstep/proto/lockstep/v1"
)

func TestAnyNodeAnswers(t *testing.T) {
	g := newGroup(t, 3)
	g.leader()
	var want []string
	for _, at := range []string{"c1", "c2", "c3"} {
		want = append(want, g.submit(at, "job"))
	}
	if !slices.Equal(want, []string{"job-1", "job-2", "job-3"}) {
		t.Errorf("ids %v", want)
	}
	for _, at := range []string{"c1", "c2", "c3"} {
		r, err := g.jobs(at).List(g.ctx(), &pb.ListRequest{})
		if err != nil || len(r.Jobs) != 3 || r.Jobs[2].Id != "job-3" {
			t.Errorf("%s lists %v, %v", at, r, err)
		}
		n, err := g.jobs(at).Nodes(g.ctx(), &pb.NodesRequest{})
		if err != nil || len(n.Coordinators) != 3 {
			t.Fatalf("%s sees nodes %v, %v", at, n, err)
		}
		leaders := 0
		for _, c := range n.Coordinators {
			if c.Leader {
				leaders++
			}
			if !c.Alive {
				t.Errorf("%s: %s is not alive", at, c.Id)
			}
		}
		if leaders != 1 {
			t.Errorf("%s sees %d leaders", at, leaders)
		}
		if h, err := grpc_health_v1.NewHealthClient(g.dial(at)).Check(g.ctx(), &grpc_health_v1.HealthCheckRequest{}); err != nil || h.Status != grpc_health_v1.HealthCheckResponse_SERVING {
			t.Errorf("%s: health %v, %v", at, h, err)
		}
	}
}

func TestRefusalsHaveCodes(t *testing.T) {
	g := newGroup(t, 3)
	jobs := g.jobs(g.follower())
	_, err := jobs.Submit(g.ctx(), &pb.SubmitRequest{})
	if status.Code(err) != codes.InvalidArgument || !strings.Contains(err.Error(), "job.yaml:1:1: no name") {
		t.Errorf("bad job: %v", err)
	}
	if _, err := jobs.Get(g.ctx(), &pb.GetRequest{JobId: "x-1"}); status.Code(err) != codes.NotFound {
		t.Errorf("unknown job: %v", err)
	}
	if r, err := jobs.Submit(g.ctx(), &pb.SubmitRequest{JobYaml: []byte("a"), ValidateOnly: true}); err != nil || r.JobId != "" {
		t.Errorf("validate only: %v, %v", r, err)
	}
	id := g.submit("c1", "a")
	if _, err := jobs.Cancel(g.ctx(), &pb.CancelRequest{JobId: id}); err != nil {
		t.Errorf("cancel: %v", err)
	}
	if r, err := jobs.Resume(g.ctx(), &pb.ResumeRequest{JobId: id}); err != nil || r.Job.State != pb.JobState_JOB_STATE_QUEUED {
		t.Errorf("resume: %v, %v", r, err)
	}
	stream, err := jobs.Download(g.ctx(), &pb.DownloadRequest{JobId: id})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Recv(); status.Code(err) != codes.FailedPrecondition {
		t.Errorf("download of a queued job: %v", err)
	}
}

// The loss of the leader must be over in three seconds, for users and workers.
func TestLeaderIsReplaced(t *testing.T) {
	g := newGroup(t, 3)
	id := g.submit(g.leader(), "a")
	w := g.connect(&pb.Hello{WorkerId: "w1"})
	a := w.assignment()
	w.progress(a, 0, 7)
	old := g.leader()
	ask := g.follower()
	g.eventually("progress", func() bool { return g.get(ask, id).Cursor.Step == 7 })

	began := time.Now()
	g.crash(old)
	other := g.submit(ask, "b")
	if took := time.Since(began); took > 3*time.Second {
		t.Errorf("submit took %s", took)
	}
	if other != "b-2" {
		t.Errorf("id %s", other)
	}
	again := g.connect(&pb.Hello{WorkerId: "w1", Held: []*pb.Held{{JobId: id, Cursor: &pb.Cursor{Step: 7}}}})
	if b := again.assignment(); b.JobId != id || b.Generation != a.Generation {
		t.Errorf("the new leader assigns %v, not generation %d of %s", b, a.Generation, id)
	}
	again.progress(a, 1, 2)
	g.eventually("progress at the new leader", func() bool { return g.get(ask, id).Cursor.Epoch == 1 })
}

func TestRestartOfAll(t *testing.T) {
	g := newGroup(t, 3)
	id := g.submit(g.leader(), "a")
	w := g.connect(&pb.Hello{WorkerId: "w1"})
	a := w.assignment()
	w.progress(a, 1, 0)
	w.send(&pb.ConnectRequest{Message: &pb.ConnectRequest_CheckpointSaved{CheckpointSaved: &pb.CheckpointSaved{
		JobId: id, Cursor: &pb.Cursor{Epoch: 1}, Sha256: "f00", Bytes: 9,
	}}})
	g.eventually("checkpoint", func() bool { return len(g.get(g.leader(), id).Checkpoints) == 1 })
	want := g.get(g.leader(), id)
	w.cancel()
	for _, n := range []string{"c1", "c2", "c3"} {
		g.crash(n)
	}
	for _, n := range []string{"c1", "c2", "c3"} {
		g.start(n, nil)
	}
	got := g.get(g.leader(), id)
	if got.Cursor.Epoch != 1 || len(got.Checkpoints) != 1 || got.Checkpoints[0].Sha256 != "f00" || got.Generation != want.Generation {
		t.Errorf("before the restart %v, after %v", want, got)
	}
	// The worker comes back with nothing: the job must wait for its checkpoint.
	w = g.connect(&pb.Hello{WorkerId: "w1", Incarnation: "second"})
	g.eventually("waiting job", func() bool {
		j := g.get(g.leader(), id)
		return j.State == pb.JobState_JOB_STATE_WAITING && strings.Contains(j.Reason, "checkpoint at epoch 1 step 0")
	})
	w.cancel()
	w = g.connect(&pb.Hello{WorkerId: "w1", Incarnation: "third", Held: []*pb.Held{{JobId: id, Cursor: &pb.Cursor{Epoch: 1}}}})
	if b := w.assignment(); b.Generation != a.Generation+1 || b.Checkpoint.GetSha256() != "f00" {
		t.Errorf("assigned %v", b)
	}
}

func TestGracefulStopHandsOver(t *testing.T) {
	g := newGroup(t, 3)
	old := g.leader()
	ask := g.follower()
	g.submit(ask, "a")
	g.stop(old)
	began := time.Now()
	g.submit(ask, "b")
	if took := time.Since(began); took > 2*time.Second {
		t.Errorf("submit took %s after a graceful stop", took)
	}
}

func TestWatchAndLogs(t *testing.T) {
	g := newGroup(t, 3)
	id := g.submit(g.leader(), "a")
	w := g.connect(&pb.Hello{WorkerId: "w1"})
	a := w.assignment()
	at := g.follower()
	watch, err := g.jobs(at).Watch(g.ctx(), &pb.WatchRequest{JobId: id, AfterStep: 2})
	if err != nil {
		t.Fatal(err)
	}
	for step := range int64(6) {
		w.progress(a, 0, step)
	}
	w.send(&pb.ConnectRequest{Message: &pb.ConnectRequest_Note{Note: &pb.Note{JobId: id, Message: "hello from the worker"}}})
	w.send(&pb.ConnectRequest{Message: &pb.ConnectRequest_JobDone{JobDone: &pb.JobDone{
		JobId: id, Generation: a.Generation, WeightsSha256: "beef", History: []*pb.EpochResult{{Epoch: 0}, {Epoch: 1}},
	}}})
	var steps []int64
	var last *pb.Job
	for {
		m, err := watch.Recv()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range m.Points {
			steps = append(steps, p.GlobalStep)
		}
		if m.Job != nil {
			last = m.Job
		}
	}
	if !slices.Equal(steps, []int64{3, 4, 5}) {
		t.Errorf("steps %v, want those after 2", steps)
	}
	if last.GetState() != pb.JobState_JOB_STATE_SUCCEEDED || last.WeightsSha256 != "beef" || len(last.History) != 2 {
		t.Errorf("the last job is %v", last)
	}
	if r := w.release(); r.JobId != id {
		t.Errorf("release %v", r)
	}
	logs, err := g.jobs(at).Logs(g.ctx(), &pb.LogsRequest{JobId: id, Follow: true})
	if err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	for {
		m, err := logs.Recv()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range m.Events {
			fmt.Fprintf(&text, "%s: %s\n", e.Node, e.Message)
		}
	}
	for _, want := range []string{"submitted: 40 records", "generation 1: w1", "w1: hello from the worker", "succeeded: weights sha256 beef"} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("no %q in the log:\n%s", want, &text)
		}
	}
}

// A node that was away while the log was cut gets the state as a snapshot.
func TestSnapshotReachesANodeThatWasAway(t *testing.T) {
	g := newGroup(t, 3)
	away := g.follower()
	g.crash(away)
	for range 5 {
		g.submit(g.leader(), "a")
	}
	leader := g.nodes[g.leader()].c
	conf := leader.raft.ReloadableConfig()
	conf.TrailingLogs = 1
	if err := leader.raft.ReloadConfig(conf); err != nil {
		t.Fatal(err)
	}
	if err := leader.raft.Snapshot().Error(); err != nil {
		t.Fatal(err)
	}
	g.start(away, nil)
	// Raft counts a snapshot a moment after the state is restored from it; were
	// the node to catch up without one, it never would.
	g.eventually("snapshot at "+away, func() bool {
		return len(g.nodes[away].c.fsm.jobs()) == 5 && g.nodes[away].c.raft.Stats()["last_snapshot_index"] != "0"
	})
	g.crash(away)
	g.start(away, nil)
	g.eventually("restored state at "+away, func() bool { return len(g.nodes[away].c.fsm.jobs()) == 5 })
}

// What failed to open leaves nothing open: a second try can succeed.
func TestOpenFailsCleanly(t *testing.T) {
	g := newGroup(t, 1)
	dir := t.TempDir()
	conf := Config{ID: "c1", Listen: g.peers["c1"], DataDir: dir}
	if err := Run(g.ctx(), conf); err == nil || !strings.Contains(err.Error(), "address already in use") {
		t.Errorf("port in use: %v", err)
	}
	s, err := openStore(dir, true)
	if err != nil {
		t.Fatalf("the store is still open: %v", err)
	}
	if err := s.close(); err != nil {
		t.Error(err)
	}
	conf.Listen = "0.0.0.0:0"
	conf.Advertise = "127.0.0.1:1"
	if err := Run(g.ctx(), conf); err == nil || !strings.Contains(err.Error(), "without TLS") {
		t.Errorf("open to all without TLS: %v", err)
	}
}
