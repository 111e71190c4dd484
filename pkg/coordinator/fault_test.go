package coordinator

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/raft"
	"go.uber.org/zap"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/lockstep-ml/lockstep/internal/build"
	"github.com/lockstep-ml/lockstep/pkg/cluster"
	"github.com/lockstep-ml/lockstep/pkg/job"
	pb "github.com/lockstep-ml/lockstep/proto/lockstep/v1"
)

// The data directory of one group does not become that of another unnoticed.
func TestDataDirectoryOfAnotherGroup(t *testing.T) {
	g := newGroup(t, 1)
	g.leader()
	g.stop("c1")
	for _, peers := range []map[string]string{
		{"c1": "127.0.0.1:1", "c2": "127.0.0.1:2", "c3": "127.0.0.1:3"}, {"c2": "127.0.0.1:2"},
	} {
		conf := Config{ID: "c2", Listen: "127.0.0.1:0", Peers: peers, DataDir: g.dirs["c1"], noSync: true}
		err := Run(g.ctx(), conf)
		if err == nil || !strings.Contains(err.Error(), "belongs to the coordinators c1, --peers") {
			t.Errorf("%v: %v", peers, err)
		}
	}
	g.start("c1", nil)
	g.leader()
}

// A node does not take the log of another group, one of whose nodes had its port
// before; both sides say why.
func TestRaftOfAnotherGroup(t *testing.T) {
	g := newGroup(t, 1)
	at := raft.ServerAddress(g.peers["c1"])
	for _, caller := range []streams{
		{id: "c2", advertise: "127.0.0.1:1"}, {id: "c1", advertise: "127.0.0.1:1"}, {id: "c2", advertise: g.peers["c1"]}, {},
	} {
		_, err := caller.Dial(at, patient)
		if err == nil || !strings.Contains(err.Error(), "it refuses "+peerName(caller.id, caller.advertise)+": not among --peers") {
			t.Errorf("coordinator %s at %s: %v", caller.id, caller.advertise, err)
		}
	}
	conn, err := (&streams{id: "c1", advertise: g.peers["c1"]}).Dial(at, patient)
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
}

// A node of a build that computes other bits takes no part, for its leader would send
// all workers away; both sides say why.
func TestRaftOfAnotherEdition(t *testing.T) {
	g := newGroup(t, 1)
	for name, want := range map[string]byte{
		"c1=" + g.peers["c1"]: raftEdition, // older than editions
		fmt.Sprintf("c1=%s edition %d", g.peers["c1"], build.Edition+1): raftEdition,
		fmt.Sprintf("c1=%s edition %d", g.peers["c1"], build.Edition):   raftMagic,
		fmt.Sprintf("c1=%s0 edition %d", g.peers["c1"], build.Edition):  raftStranger,
	} {
		conn, err := net.Dial("tcp", g.peers["c1"])
		if err != nil {
			t.Fatal(err)
		}
		conn.SetDeadline(time.Now().Add(patient))
		if _, err := conn.Write(append([]byte{raftMagic, byte(len(name))}, name...)); err != nil {
			t.Fatal(err)
		}
		var answer [1]byte
		if _, err := conn.Read(answer[:]); err != nil || answer[0] != want {
			t.Errorf("%s: answer %q, %v; want %q", name, answer, err, want)
		}
		conn.Close()
	}
	ours, theirs := net.Pipe()
	go func() {
		theirs.Read(make([]byte, 1+1+len(peerName("c1", "a:1"))))
		theirs.Write([]byte{raftEdition})
	}()
	if err := (&streams{id: "c1", advertise: "a:1"}).introduce(ours); err == nil || !strings.Contains(err.Error(), "its own edition is another") {
		t.Errorf("the caller says %v", err)
	}
}

// A caller that does not finish its name is not waited for.
func TestRaftCallerStops(t *testing.T) {
	g := newGroup(t, 1)
	for _, said := range []string{"R", "R\x09c1=1"} {
		conn, err := net.Dial("tcp", g.peers["c1"])
		if err != nil {
			t.Fatal(err)
		}
		if _, err := conn.Write([]byte(said)); err != nil {
			t.Fatal(err)
		}
		if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
			t.Fatal(err)
		}
		conn.SetReadDeadline(time.Now().Add(patient))
		if _, err := conn.Read(make([]byte, 1)); err != io.EOF {
			t.Errorf("after %q: %v", said, err)
		}
		conn.Close()
	}
}

// A leader that hangs is not waited for when another is known.
func TestForwardedCallEndsWithTheLeadership(t *testing.T) {
	g := newGroup(t, 1)
	g.leader()
	c := g.nodes["c1"].c
	began := time.Now()
	err := c.whileLeads(g.ctx(), "127.0.0.1:1", func(ctx context.Context) error {
		<-ctx.Done()
		return ctx.Err()
	})
	if status.Code(err) != codes.Unavailable || time.Since(began) > 2*time.Second {
		t.Errorf("got %v after %s", err, time.Since(began))
	}
	failed := errors.New("failed")
	if err := c.whileLeads(g.ctx(), g.peers["c1"], func(context.Context) error { return failed }); err != failed {
		t.Errorf("got %v", err)
	}
}

// A full disk is named, and Raft waits for it instead of panicking.
func TestStoreThatCanNotWrite(t *testing.T) {
	s, err := openStore(t.TempDir(), true)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.db.Close(); err != nil {
		t.Fatal(err)
	}
	if err := s.SetUint64([]byte("term"), 1); err == nil || s.failure() == nil {
		t.Errorf("got %v, remembered %v", err, s.failure())
	}
	c := &Coordinator{conf: Config{ID: "c1", DataDir: "/data"}, store: s}
	if m := c.leaderless(); !strings.Contains(m, "free space in /data") {
		t.Errorf("users are told: %s", m)
	}
	s.waits.Store(true)
	set := make(chan error, 1)
	go func() { set <- s.SetUint64([]byte("term"), 1) }()
	select {
	case err := <-set:
		t.Errorf("did not wait: %v", err)
	case <-time.After(3 * writeAgain):
	}
	s.stop()
	if err := <-set; err != nil {
		t.Error(err)
	}
	if err := s.Set([]byte("vote"), nil); !errors.Is(err, errStopping) {
		t.Errorf("after stop: %v", err)
	}
}

// busy is a listener that fails at first, as one does when files run out.
type busy struct {
	net.Listener
	failures int
}

func (b *busy) Accept() (net.Conn, error) {
	if b.failures > 0 {
		b.failures--
		return nil, errors.New("too many open files")
	}
	return b.Listener.Accept()
}

func TestAcceptGoesOn(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	m := newMux(&busy{l, 2}, nil, nil, zap.NewNop())
	served := make(chan error, 1)
	go func() { served <- m.serve() }()
	conn, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.Write([]byte("PRI")); err != nil {
		t.Fatal(err)
	}
	got, err := m.grpc.Accept()
	if err != nil {
		t.Fatal(err)
	}
	got.Close()
	m.close()
	if err := <-served; err != nil {
		t.Error(err)
	}
}

// Points of jobs that ended are kept for a while only.
func TestLiveIsForgotten(t *testing.T) {
	f := newFSM()
	l := &leader{c: &Coordinator{fsm: f}, live: map[string]*live{"gone-1": {}}}
	for range maxPast + 3 {
		id, err := f.state.Apply(cluster.Command{Op: &cluster.Submit{Name: "a", Lanes: 1, MinWorkers: 1, MaxWorkers: 1}})
		if err != nil {
			t.Fatal(err)
		}
		l.live[id] = &live{}
		if id == "a-1" {
			continue
		}
		if _, err := f.state.Apply(cluster.Command{Op: &cluster.Cancel{Job: id}}); err != nil {
			t.Fatal(err)
		}
	}
	l.forget()
	if n := len(l.live); n != maxPast+1 || l.live["a-1"] == nil || l.live["a-3"] != nil || l.live["a-4"] == nil || l.live["gone-1"] != nil {
		t.Errorf("%d kept", n)
	}
}

func TestPrepareRefusesRelativeRoots(t *testing.T) {
	r := digitsRequest(t)
	r.DataRoot = "examples/digits"
	if _, err := prepare(context.Background(), job.Reader{}, r); err == nil || !strings.Contains(err.Error(), "absolute") {
		t.Errorf("got %v", err)
	}
	r.DataRoot = ""
	if _, err := prepare(context.Background(), job.Reader{}, r); err == nil || !strings.Contains(err.Error(), "no such file: /data/train") {
		t.Errorf("got %v", err)
	}
	if _, err := prepare(context.Background(), job.Reader{}, &pb.SubmitRequest{}); err == nil || !strings.HasPrefix(err.Error(), "job.yaml:1:1") {
		t.Errorf("got %v", err)
	}
}

// A worker hears from its coordinator even if there is nothing to order.
func TestCoordinatorShowsThatItIsAlive(t *testing.T) {
	g := newGroup(t, 1)
	w := g.connect(&pb.Hello{WorkerId: "w1"})
	g.eventually("heartbeats", func() bool { return w.beats.Load() >= 3 })
}

func TestDamagedStoreIsRefused(t *testing.T) {
	dir := t.TempDir()
	s, err := openStore(dir, true)
	if err != nil {
		t.Fatal(err)
	}
	for i := range uint64(500) {
		if err := s.StoreLog(&raft.Log{Index: i + 1, Data: make([]byte, 500)}); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.close(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "raft.db")
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	holed := bytes.Clone(good)
	clear(holed[8192 : len(holed)/2])
	for name, bad := range map[string][]byte{"cut off": good[:len(good)/4], "overwritten": holed, "foreign": []byte("hello")} {
		t.Run(name, func(t *testing.T) {
			if err := os.WriteFile(path, bad, 0o600); err != nil {
				t.Fatal(err)
			}
			s, err := openStore(dir, true)
			if err == nil {
				s.close()
				t.Fatal("opened")
			}
			if !strings.Contains(err.Error(), "damaged") && !strings.Contains(err.Error(), "invalid database") {
				t.Error(err)
			}
		})
	}
}

// A log that a newer program wrote is refused at the start, not by a panic later.
func TestLogOfANewerProgram(t *testing.T) {
	g := newGroup(t, 1)
	g.submit("c1", "a")
	g.stop("c1")
	s, err := openStore(g.dirs["c1"], true)
	if err != nil {
		t.Fatal(err)
	}
	last, err := s.LastIndex()
	if err := errors.Join(err, s.StoreLog(&raft.Log{Index: last + 1, Term: 9, Data: []byte(`{"v":1,"kind":"start","op":{"hue":3}}`)}), s.close()); err != nil {
		t.Fatal(err)
	}
	err = Run(g.ctx(), Config{ID: "c1", Peers: g.peers, Listen: g.peers["c1"], DataDir: g.dirs["c1"]})
	for _, want := range []string{g.dirs["c1"], "newer version", "start that version", `"hue"`} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q in it", err, want)
		}
	}
}
