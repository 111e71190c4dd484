package coordinator

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/raft"
	"google.golang.org/grpc"

	"github.com/lockstep-ml/lockstep/internal/secure"
	pb "github.com/lockstep-ml/lockstep/proto/lockstep/v1"
)

func TestStore(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "deep", "dir")
	s, err := openStore(dir, false)
	if err != nil {
		t.Fatal(err)
	}
	if first, err := s.FirstIndex(); first != 0 || err != nil {
		t.Errorf("first of none: %d, %v", first, err)
	}
	at := time.Unix(7, 8)
	entries := []*raft.Log{
		{Index: 5, Term: 2, Type: raft.LogCommand, Data: []byte("five"), Extensions: []byte("ext"), AppendedAt: at},
		{Index: 6, Term: 2, Type: raft.LogNoop}, {Index: 7, Term: 3, Data: []byte("seven")}, {Index: 300, Term: 3, Data: []byte("x")},
	}
	if err := errors.Join(s.StoreLogs(entries[:3]), s.StoreLog(entries[3]), s.SetUint64([]byte("term"), 9), s.Set([]byte("vote"), []byte("c1"))); err != nil {
		t.Fatal(err)
	}
	if err := s.close(); err != nil {
		t.Fatal(err)
	}
	if s, err = openStore(dir, false); err != nil {
		t.Fatal(err)
	}
	defer s.close()
	for _, want := range entries {
		var got raft.Log
		if err := s.GetLog(want.Index, &got); err != nil || !got.AppendedAt.Equal(want.AppendedAt) || got.Type != want.Type ||
			got.Term != want.Term || !bytes.Equal(got.Data, want.Data) || !bytes.Equal(got.Extensions, want.Extensions) {
			t.Errorf("entry %d: %+v, %v", want.Index, got, err)
		}
	}
	if err := s.DeleteRange(0, 6); err != nil {
		t.Fatal(err)
	}
	first, err1 := s.FirstIndex()
	last, err2 := s.LastIndex()
	if first != 7 || last != 300 || err1 != nil || err2 != nil {
		t.Errorf("after deletion %d..%d, %v, %v", first, last, err1, err2)
	}
	if err := s.GetLog(6, new(raft.Log)); !errors.Is(err, raft.ErrLogNotFound) {
		t.Errorf("deleted entry: %v", err)
	}
	if n, err := s.GetUint64([]byte("term")); n != 9 || err != nil {
		t.Errorf("term %d, %v", n, err)
	}
	if n, err := s.GetUint64([]byte("none")); n != 0 || err != nil {
		t.Errorf("variable that was never set: %d, %v", n, err)
	}
	if _, err := s.GetUint64([]byte("vote")); err == nil {
		t.Error("text was read as a number")
	}
	if _, err := openStore(dir, false); err == nil || !strings.Contains(err.Error(), "another coordinator") {
		t.Errorf("a second process opened the store: %v", err)
	}
}

func TestDamagedLogEntry(t *testing.T) {
	good := encodeLog(&raft.Log{Index: 1, Data: []byte("data"), Extensions: []byte("ext")})
	huge := bytes.Clone(good)
	huge[18] = 0xff
	for name, bad := range map[string][]byte{"empty": nil, "short": good[:20], "version": append([]byte{9}, good[1:]...), "length": huge} {
		if err := decodeLog(1, bad, new(raft.Log)); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestValidateReportsAll(t *testing.T) {
	err := Config{Peers: map[string]string{"c2": "nowhere"}, Listen: ":7", WorkerTTL: time.Second}.Validate()
	if err == nil {
		t.Fatal("accepted")
	}
	for _, want := range []string{"--id is missing", "--data-dir is missing", "--advertise \":7\"", "--peers c2=nowhere", "three heartbeats"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("no %q in:\n%v", want, err)
		}
	}
	long := strings.Repeat("c", maxName)
	group := map[string]string{long: "127.0.0.1:7400", "c2": "127.0.0.1:7401"}
	if err := (Config{ID: long, Listen: "127.0.0.1:7400", Peers: group, DataDir: "d"}).Validate(); err == nil || !strings.Contains(err.Error(), "at most 255") {
		t.Errorf("an id that is too long for the others: %v", err)
	}
	if err := (Config{ID: "c1", Listen: "127.0.0.1:7400", DataDir: "d"}).Validate(); err != nil {
		t.Errorf("a single node: %v", err)
	}
}

func TestPointsAreBounded(t *testing.T) {
	var p points
	const n = 10*maxPoints + 7
	for i := range int64(n) {
		p.add(&pb.StepPoint{GlobalStep: i + 1})
		p.add(&pb.StepPoint{GlobalStep: i + 1}) // done again: dropped
	}
	if len(p.kept) > maxPoints || len(p.kept) < maxPoints/2-1 {
		t.Errorf("%d points are kept", len(p.kept))
	}
	all := p.after(0)
	for i := 1; i < len(all)-1; i++ {
		if all[i].GlobalStep-all[i-1].GlobalStep != p.stride {
			t.Fatalf("uneven at %d: %d, %d", i, all[i-1].GlobalStep, all[i].GlobalStep)
		}
	}
	if last := all[len(all)-1].GlobalStep; last != n {
		t.Errorf("the newest point is %d", last)
	}
	if rest := p.after(n - 1); len(rest) != 1 {
		t.Errorf("after all but one: %d points", len(rest))
	}
	if rest := p.after(n); len(rest) != 0 {
		t.Errorf("after the last: %d points", len(rest))
	}
}

func TestHistoryIsConverted(t *testing.T) {
	loss := 0.5
	in := []*pb.EpochResult{{Epoch: 1, TrainLoss: 2, TestLoss: &loss, TrainMetrics: map[string]float64{"a": 3}, TestMetrics: map[string]float64{"a": 4}, Seconds: 5, GlobalStep: 6, Kept: true}, {}}
	if diff := cmp.Diff(in, toHistory(fromHistory(in)), cmp.Comparer(func(a, b *pb.EpochResult) bool { return a.String() == b.String() })); diff != "" {
		t.Error(diff)
	}
}

// The port is shared under TLS too, and lets in nobody without a certificate.
func TestGroupUnderTLS(t *testing.T) {
	dir := t.TempDir()
	now := time.Now()
	if err := errors.Join(secure.GenerateCA(dir, now), secure.Issue(dir, "c1", []string{"127.0.0.1"}, now)); err != nil {
		t.Fatal(err)
	}
	security := secure.Files(dir, "c1")
	peers, listeners := map[string]string{}, map[string]net.Listener{}
	for _, id := range []string{"c1", "c2", "c3"} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		peers[id], listeners[id] = l.Addr().String(), l
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 3)
	for id, l := range listeners {
		conf := Config{ID: id, Peers: peers, DataDir: filepath.Join(dir, id), Listener: l, Security: security, ElectionTimeout: 200 * time.Millisecond, noSync: true}
		go func() { done <- Run(ctx, conf) }()
	}
	defer func() {
		cancel()
		for range 3 {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
	}()
	creds, err := secure.DialOption(security)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := grpc.NewClient(peers["c1"], creds)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	ask, stop := context.WithTimeout(ctx, patient)
	defer stop()
	if _, err := pb.NewJobsClient(conn).List(ask, &pb.ListRequest{}, grpc.WaitForReady(true)); err != nil {
		t.Errorf("list over TLS: %v", err)
	}
	for name, conf := range map[string]*tls.Config{"plain": nil, "no certificate": {InsecureSkipVerify: true}} {
		if err := speak(peers["c2"], conf); err == nil {
			t.Errorf("%s: was let in", name)
		}
	}
}

// speak opens a connection as a stranger and reports whether anything answers.
func speak(address string, conf *tls.Config) error {
	conn, err := net.Dial("tcp", address)
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(patient)); err != nil {
		return err
	}
	if conf != nil {
		conn = tls.Client(conn, conf)
	}
	if _, err := io.WriteString(conn, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00"); err != nil {
		return err
	}
	answer := make([]byte, 9) // a SETTINGS frame
	if _, err := io.ReadFull(conn, answer); err != nil {
		return err
	}
	if answer[3] != 4 {
		return errors.New("not HTTP/2")
	}
	return nil
}

// Several requests under way to one follower can block each other for ever when
// the follower has a newer term, and the end of Raft with them.
func TestReplicationIsOneByOne(t *testing.T) {
	g := newGroup(t, 1)
	if p, err := g.nodes["c1"].c.trans.AppendEntriesPipeline("c1", "127.0.0.1:1"); !errors.Is(err, raft.ErrPipelineReplicationNotSupported) {
		t.Errorf("%v, %v", p, err)
	}
}
