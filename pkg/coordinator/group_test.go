package coordinator

import (
	"context"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"github.com/lockstep-ml/lockstep/internal/build"
	"github.com/lockstep-ml/lockstep/pkg/cluster"
	pb "github.com/lockstep-ml/lockstep/proto/lockstep/v1"
)

// patient bounds every wait of the tests; it is far longer than any should take.
const patient = 30 * time.Second

// group is some coordinators in this process, over loopback.
type group struct {
	t     *testing.T
	peers map[string]string
	dirs  map[string]string
	nodes map[string]*node
}

type node struct {
	c    *Coordinator
	stop context.CancelFunc
	done chan error
}

// newGroup starts size coordinators and stops them at the end of the test, after
// which no goroutine may be left.
func newGroup(t *testing.T, size int) *group {
	t.Helper()
	ignore := goleak.IgnoreCurrent()
	g := &group{t: t, peers: map[string]string{}, dirs: map[string]string{}, nodes: map[string]*node{}}
	listeners := map[string]net.Listener{}
	for i := range size {
		id := fmt.Sprintf("c%d", i+1)
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		listeners[id], g.peers[id], g.dirs[id] = l, l.Addr().String(), filepath.Join(t.TempDir(), id)
	}
	for id, l := range listeners {
		g.start(id, l)
	}
	t.Cleanup(func() {
		for id := range g.nodes {
			g.stop(id)
		}
		goleak.VerifyNone(t, ignore, goleak.IgnoreAnyFunction("github.com/hashicorp/raft.(*saturationMetric).report"))
	})
	return g
}

// start starts a node; l may be nil if its port is free.
func (g *group) start(id string, l net.Listener) {
	g.t.Helper()
	if l == nil {
		var err error
		if l, err = net.Listen("tcp", g.peers[id]); err != nil {
			g.t.Fatal(err)
		}
	}
	log := zap.NewNop()
	if testing.Verbose() {
		log = zaptest.NewLogger(g.t, zaptest.Level(zap.InfoLevel))
	}
	c, err := open(Config{
		ID: id, Peers: g.peers, DataDir: g.dirs[id], Listener: l, Log: log,
		ElectionTimeout: 200 * time.Millisecond, HeartbeatInterval: 100 * time.Millisecond,
		WorkerTTL: time.Second, ReconnectGrace: 200 * time.Millisecond, noSync: true,
	})
	if err != nil {
		g.t.Fatal(err)
	}
	c.prepare = fakePrepare
	ctx, cancel := context.WithCancel(context.Background())
	n := &node{c: c, stop: cancel, done: make(chan error, 1)}
	go func() { n.done <- c.run(ctx) }()
	g.nodes[id] = n
}

// fakePrepare accepts any text as the name of a job.
func fakePrepare(_ context.Context, r *pb.SubmitRequest) (*cluster.Submit, error) {
	if len(r.JobYaml) == 0 {
		return nil, errors.New("job.yaml:1:1: no name")
	}
	return &cluster.Submit{
		Name: string(r.JobYaml), Spec: r.JobYaml, TrainManifest: []byte("{}"), Lanes: 4, MinWorkers: 1, MaxWorkers: 4,
		Epochs: 2, StepsPerEpoch: 10, Records: 40,
	}, nil
}

func (g *group) stop(id string) {
	g.t.Helper()
	n := g.nodes[id]
	delete(g.nodes, id)
	n.stop()
	select {
	case err := <-n.done:
		if err != nil {
			g.t.Errorf("%s stopped with %v", id, err)
		}
	case <-time.After(patient):
		g.t.Errorf("%s does not stop", id)
	}
}

// leader waits for a leader and returns its id.
func (g *group) leader() string {
	g.t.Helper()
	var id string
	g.eventually("a leader", func() bool {
		for name, n := range g.nodes {
			if n.c.leading.Load() != nil {
				id = name
				return true
			}
		}
		return false
	})
	return id
}

// follower returns the id of a node that follows the leader. A leader leads as soon as a majority answers it: the
// others may hear of it later.
func (g *group) follower() string {
	g.t.Helper()
	var follower string
	g.eventually("follower that knows its leader", func() bool {
		leader := g.leader()
		for id, n := range g.nodes {
			if id != leader && n.c.leaderAddress() == g.peers[leader] {
				follower = id
				return true
			}
		}
		return false
	})
	return follower
}

func (g *group) eventually(what string, ok func() bool) {
	g.t.Helper()
	for deadline := time.Now().Add(patient); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			g.t.Fatalf("no %s within %s", what, patient)
		}
	}
}

// dial connects to a node.
func (g *group) dial(id string) *grpc.ClientConn {
	g.t.Helper()
	conn, err := grpc.NewClient(g.peers[id], grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		g.t.Fatal(err)
	}
	g.t.Cleanup(func() { conn.Close() })
	return conn
}

func (g *group) jobs(id string) pb.JobsClient { return pb.NewJobsClient(g.dial(id)) }

func (g *group) submit(at, name string) string {
	g.t.Helper()
	r, err := g.jobs(at).Submit(g.ctx(), &pb.SubmitRequest{JobYaml: []byte(name)})
	if err != nil {
		g.t.Fatal(err)
	}
	return r.JobId
}

func (g *group) get(at, id string) *pb.Job {
	g.t.Helper()
	r, err := g.jobs(at).Get(g.ctx(), &pb.GetRequest{JobId: id})
	if err != nil {
		g.t.Fatal(err)
	}
	return r.Job
}

func (g *group) ctx() context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), patient)
	g.t.Cleanup(cancel)
	return ctx
}

// worker is a fake worker with one session. It sends heartbeats unless it is mute.
type worker struct {
	t      *testing.T
	id     string
	orders chan *pb.ConnectResponse // closed when the stream ends
	cancel context.CancelFunc
	mute   atomic.Bool
	beats  atomic.Int32 // empty messages received

	mu     sync.Mutex // guards the stream's sending side
	stream pb.Sessions_ConnectClient
}

// connect opens a session at the leader.
func (g *group) connect(hello *pb.Hello) *worker {
	g.t.Helper()
	if hello.Incarnation == "" {
		hello.Incarnation = "first"
	}
	hello.Address, hello.Edition = "127.0.0.1:1", build.Edition
	ctx, cancel := context.WithCancel(g.ctx())
	stream, first := g.hello(ctx, hello)
	for first == nil { // its former process is not yet known to be gone
		time.Sleep(20 * time.Millisecond)
		stream, first = g.hello(ctx, hello)
	}
	if first.GetWelcome().GetHeartbeatMs() != 100 {
		g.t.Fatalf("no welcome but %v", first)
	}
	w := &worker{t: g.t, id: hello.WorkerId, stream: stream, orders: make(chan *pb.ConnectResponse, 100), cancel: cancel}
	go func() {
		defer close(w.orders)
		for {
			m, err := stream.Recv()
			if err != nil {
				return
			}
			if m.Message == nil {
				w.beats.Add(1)
				continue
			}
			w.orders <- m
		}
	}()
	go func() {
		for ctx.Err() == nil {
			if !w.mute.Load() {
				w.try(&pb.ConnectRequest{Message: &pb.ConnectRequest_Heartbeat{}})
			}
			time.Sleep(50 * time.Millisecond)
		}
	}()
	return w
}

// hello opens a stream and returns the answer to a Hello; nil if the worker's id is in use.
func (g *group) hello(ctx context.Context, hello *pb.Hello) (pb.Sessions_ConnectClient, *pb.ConnectResponse) {
	g.t.Helper()
	stream, err := pb.NewSessionsClient(g.dial(g.leader())).Connect(ctx)
	if err == nil {
		err = stream.Send(&pb.ConnectRequest{Message: &pb.ConnectRequest_Hello{Hello: hello}})
	}
	if err != nil {
		g.t.Fatal(err)
	}
	first, err := stream.Recv()
	if err != nil && status.Code(err) != codes.AlreadyExists {
		g.t.Fatal(err)
	}
	return stream, first
}

func (w *worker) send(m *pb.ConnectRequest) {
	w.t.Helper()
	if err := w.try(m); err != nil {
		w.t.Fatalf("%s: %v", w.id, err)
	}
}

func (w *worker) try(m *pb.ConnectRequest) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.stream.Send(m)
}

// next returns the next order.
func (w *worker) next() *pb.ConnectResponse {
	w.t.Helper()
	select {
	case m, ok := <-w.orders:
		if !ok {
			w.t.Fatalf("%s: the session ended", w.id)
		}
		return m
	case <-time.After(patient):
		w.t.Fatalf("%s: no order within %s", w.id, patient)
		return nil
	}
}

// assignment returns the next order, which must be an assignment.
func (w *worker) assignment() *pb.Assignment {
	w.t.Helper()
	m := w.next()
	if m.GetAssignment() == nil {
		w.t.Fatalf("%s: not an assignment: %v", w.id, m)
	}
	return m.GetAssignment()
}

// release returns the next order, which must be a release.
func (w *worker) release() *pb.Release {
	w.t.Helper()
	m := w.next()
	if m.GetRelease() == nil {
		w.t.Fatalf("%s: not a release: %v", w.id, m)
	}
	return m.GetRelease()
}

func (w *worker) progress(a *pb.Assignment, epoch int32, step int64) {
	w.t.Helper()
	global := int64(epoch)*10 + step
	w.send(&pb.ConnectRequest{Message: &pb.ConnectRequest_Progress{Progress: &pb.Progress{
		JobId: a.JobId, Generation: a.Generation, Cursor: &pb.Cursor{Epoch: epoch, Step: step}, RecordsPerSecond: 5,
		Points: []*pb.StepPoint{{GlobalStep: global, Loss: 1 / float64(global+1)}},
	}}})
}

// crash ends a node as kill -9 would: without a word to anyone, and without
// writing anything more.
func (g *group) crash(id string) {
	g.t.Helper()
	n := g.nodes[id]
	n.c.server.Stop()
	if err := n.c.raft.Shutdown().Error(); err != nil {
		g.t.Fatal(err)
	}
	// A node that still took itself for the leader would ask a Raft that has ended to hand on, which may not answer.
	g.eventually("end of the leadership", func() bool { return n.c.leading.Load() == nil })
	g.stop(id)
}
