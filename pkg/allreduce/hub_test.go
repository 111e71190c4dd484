package allreduce_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/lockstep-ml/lockstep/pkg/allreduce"
	lockstepv1 "github.com/lockstep-ml/lockstep/proto/lockstep/v1"
)

var plain = insecure.NewCredentials()

// sumAll sums n ones over rings of conns and returns the errors by rank.
func sumAll(t *testing.T, conns []*allreduce.Conn, n int, opts allreduce.Options) []error {
	t.Helper()
	rs := make([]*allreduce.Ring, len(conns))
	for i, c := range conns {
		r, err := c.Ring(opts)
		if err != nil {
			t.Fatal(err)
		}
		rs[i] = r
	}
	return all(rs, func(r *allreduce.Ring) error { return r.SumInt32(t.Context(), make([]int32, n)) })
}

// names reports whether err is about the worker.
func names(err error, worker string) bool {
	var n *allreduce.NeighbourError
	return errors.As(err, &n) && n.WorkerID == worker
}

// TestGenerationsReplaceEachOther: a new generation of the same processes ends
// the old one, and its ring works.
func TestGenerationsReplaceEachOther(t *testing.T) {
	peers := newPeers(t, 3, allreduce.HubOptions{Linger: time.Second}, plain)
	old := connect(t, peers, 1, plain)
	next := connect(t, peers, 2, plain)
	for _, err := range sumAll(t, old, 10, allreduce.Options{}) {
		if !errors.Is(err, allreduce.ErrStale) {
			t.Errorf("a sum of the old generation: %v, want ErrStale", err)
		}
	}
	closeConns(t, old)
	if err := errors.Join(sumAll(t, next, 10, allreduce.Options{})...); err != nil {
		t.Errorf("a sum of the new generation: %v", err)
	}
	closeConns(t, next)
	if _, err := peers[0].hub.Connect(t.Context(), membership(peers, 2, 0), dial(plain)); !errors.Is(err, allreduce.ErrStale) {
		t.Errorf("a second Connect of generation 2: %v, want ErrStale", err)
	}
}

// TestNeighbourOfAnotherGeneration: old ones are refused at once, early ones
// wait for their generation to begin, but not for ever.
func TestNeighbourOfAnotherGeneration(t *testing.T) {
	peers := newPeers(t, 2, allreduce.HubOptions{ConnectTimeout: 300 * time.Millisecond, Linger: time.Second}, plain)
	conns := connect(t, peers, 5, plain)
	defer closeConns(t, conns)
	for _, c := range []struct {
		generation, rank, size string
		code                   codes.Code
		want                   string
	}{
		{"4", "1", "2", codes.FailedPrecondition, "generation 4 is over, 5 is held here"},
		{"6", "1", "2", codes.FailedPrecondition, "generation 6 did not begin here within 300ms"},
		{"5", "0", "2", codes.InvalidArgument, "not its right neighbour"},
		{"5", "1", "3", codes.InvalidArgument, "not its right neighbour"},
		{"5", "1", "2", codes.AlreadyExists, "has its left neighbour already"},
		{"x", "1", "2", codes.InvalidArgument, "metadata lockstep-generation"},
		{"", "-1", "99999999999", codes.InvalidArgument, "want one value"},
	} {
		err := callRing(t, peers[0].address, metadata.Pairs("lockstep-job", "digits-1",
			"lockstep-generation", c.generation, "lockstep-rank", c.rank, "lockstep-size", c.size))
		if status.Code(err) != c.code || !strings.Contains(err.Error(), c.want) {
			t.Errorf("generation %q rank %s of %s: %v, want %v %q", c.generation, c.rank, c.size, err, c.code, c.want)
		}
	}
	if err := errors.Join(sumAll(t, conns, 10, allreduce.Options{})...); err != nil {
		t.Errorf("the ring that was intruded upon: %v", err)
	}
}

// callRing opens a ring stream by hand and returns how it ends.
func callRing(t *testing.T, address string, md metadata.MD) error {
	t.Helper()
	cc, err := grpc.NewClient(address, dial(plain)...)
	if err != nil {
		t.Fatal(err)
	}
	defer cc.Close()
	s, err := lockstepv1.NewPeerClient(cc).Ring(metadata.NewOutgoingContext(within(t, 10*time.Second), md))
	if err != nil {
		t.Fatal(err)
	}
	_, err = s.Recv()
	return err
}

// TestNeighboursComeInAnyOrder: a rank that comes late is waited for on both
// sides, even if its server is not there yet when it is dialled.
func TestNeighboursComeInAnyOrder(t *testing.T) {
	peers := newPeers(t, 3, allreduce.HubOptions{}, plain)
	conns := make([]*allreduce.Conn, len(peers))
	var g errgroup.Group
	for i, p := range peers {
		g.Go(func() (err error) {
			time.Sleep(time.Duration(i) * 40 * time.Millisecond)
			conns[i], err = p.hub.Connect(t.Context(), membership(peers, 1, i), dial(plain))
			return err
		})
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(sumAll(t, conns, 10, allreduce.Options{})...); err != nil {
		t.Error(err)
	}
	closeConns(t, conns)
}

// TestSlowNeighbourIsWaitedFor: one that is there but still reads its data has
// more time than one that can not be reached.
func TestSlowNeighbourIsWaitedFor(t *testing.T) {
	opts := allreduce.HubOptions{ConnectTimeout: 200 * time.Millisecond, BeginTimeout: 20 * time.Second, Linger: time.Second}
	peers := newPeers(t, 2, opts, plain)
	conns := make([]*allreduce.Conn, 2)
	var g errgroup.Group
	for i := range conns {
		g.Go(func() (err error) {
			time.Sleep(time.Duration(i) * 500 * time.Millisecond)
			conns[i], err = peers[i].hub.Connect(t.Context(), membership(peers, 1, i), dial(plain))
			return err
		})
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	closeConns(t, conns)
	peers[1].server.Stop()
	began := time.Now()
	if _, err := peers[0].hub.Connect(t.Context(), membership(peers, 2, 0), dial(plain)); !names(err, "w1") || time.Since(began) > 10*time.Second {
		t.Errorf("a neighbour without a process: %v after %s", err, time.Since(began))
	}
}

func TestConnectNamesWhoIsMissing(t *testing.T) {
	opts := allreduce.HubOptions{ConnectTimeout: 200 * time.Millisecond}
	peers := newPeers(t, 3, opts, plain)
	errs := make([]error, 2)
	var g errgroup.Group
	for i := range errs { // rank 2 does not come
		g.Go(func() error {
			_, errs[i] = peers[i].hub.Connect(t.Context(), membership(peers, 1, i), dial(plain))
			return nil
		})
	}
	_ = g.Wait()
	if !names(errs[0], "w2") {
		t.Errorf("rank 0: %v, want w2 named, who did not call", errs[0])
	}
	if !names(errs[1], "w2") || !strings.Contains(errs[1].Error(), peers[2].address) {
		t.Errorf("rank 1: %v, want w2 and its address named, who did not answer", errs[1])
	}
	peers[2].server.Stop()
	m := membership(peers, 2, 1)
	if _, err := peers[1].hub.Connect(t.Context(), m, dial(plain)); !names(err, "w2") || !strings.Contains(err.Error(), "refused") {
		t.Errorf("a neighbour without a process: %v, want w2 named and connection refused", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := peers[1].hub.Connect(ctx, membership(peers, 3, 1), dial(plain)); !errors.Is(err, context.Canceled) {
		t.Errorf("a cancelled Connect: %v", err)
	}
}

func TestConnectRefusesBadMembership(t *testing.T) {
	hub := allreduce.NewHub(allreduce.HubOptions{})
	for _, m := range []allreduce.Membership{
		{},
		{Job: "j", Rank: 1, Members: []allreduce.Member{{ID: "a"}}},
		{Job: "j", Rank: 0, Members: []allreduce.Member{{ID: "a", Address: "x:1"}, {ID: "b"}}},
	} {
		if c, err := hub.Connect(t.Context(), m, nil); err == nil {
			t.Errorf("%+v is accepted: %v", m, c)
		}
	}
	c, err := hub.Connect(t.Context(), allreduce.Membership{Job: "j", Generation: 1, Members: []allreduce.Member{{ID: "a"}}}, nil)
	if err != nil {
		t.Fatalf("a ring of one: %v", err)
	}
	if err := errors.Join(sumAll(t, []*allreduce.Conn{c}, 10, allreduce.Options{})...); err != nil {
		t.Error(err)
	}
	closeConns(t, []*allreduce.Conn{c})
}

// TestCloseKeepsWhatWasSent: a rank that has its sum and closes does not spoil
// the sum of a slower one.
func TestCloseKeepsWhatWasSent(t *testing.T) {
	peers := newPeers(t, 3, allreduce.HubOptions{}, plain)
	for generation := range uint64(5) {
		conns := connect(t, peers, generation+1, plain)
		var g errgroup.Group
		for _, c := range conns {
			g.Go(func() error {
				r, err := c.Ring(allreduce.Options{})
				if err != nil {
					return err
				}
				return errors.Join(r.SumInt32(t.Context(), make([]int32, 1<<18)), c.Close())
			})
		}
		if err := g.Wait(); err != nil {
			t.Fatalf("generation %d: %v", generation+1, err)
		}
	}
}

// TestLeavingIsNotDying: the neighbours of a rank that gives up hear that it
// left, so that nobody takes it for dead.
func TestLeavingIsNotDying(t *testing.T) {
	peers := newPeers(t, 3, allreduce.HubOptions{Linger: time.Second}, plain)
	conns := connect(t, peers, 1, plain)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if r, err := conns[0].Ring(allreduce.Options{}); err != nil {
		t.Fatal(err)
	} else if err := r.SumInt32(ctx, make([]int32, 1<<20)); !errors.Is(err, context.Canceled) {
		t.Fatalf("a cancelled sum: %v", err)
	}
	errs := sumUntilError(t, conns[1:], allreduce.Options{})
	for i, err := range errs {
		if !errors.Is(err, allreduce.ErrLeft) {
			t.Errorf("rank %d: %v, want ErrLeft", i+1, err)
		}
	}
	closeConns(t, conns)
}

// impostor takes the ring stream of its left neighbour, and nothing else.
type impostor struct {
	lockstepv1.UnimplementedPeerServer
}

func (impostor) Ring(s grpc.BidiStreamingServer[lockstepv1.Frame, lockstepv1.Frame]) error {
	if err := s.SendHeader(metadata.Pairs("lockstep-accepted", "1")); err != nil {
		return err
	}
	<-s.Context().Done()
	return nil
}

// TestGarbageOnTheStream: bytes that are no frame break the ring with an error
// that says so and names who sent them.
func TestGarbageOnTheStream(t *testing.T) {
	peers := newPeers(t, 1, allreduce.HubOptions{Linger: 50 * time.Millisecond}, plain)
	peers = append(peers, serve(t, impostor{}, plain))
	g := make(chan error, 1)
	go func() { g <- sendEmptyFrame(t, peers[0].address) }()
	c, err := peers[0].hub.Connect(t.Context(), membership(peers, 1, 0), dial(plain))
	if err == nil { // the garbage may also have come before Connect was done
		err = errors.Join(sumAll(t, []*allreduce.Conn{c}, 10, allreduce.Options{})...)
		defer closeConns(t, []*allreduce.Conn{c})
	}
	if !errors.Is(err, allreduce.ErrFrame) || !names(err, "w1") || !strings.Contains(err.Error(), "0 bytes is shorter than its header") {
		t.Errorf("the sum: %v, want ErrFrame naming w1", err)
	}
	if err := <-g; status.Code(err) != codes.Aborted {
		t.Errorf("the sender of garbage got %v, want Aborted", err)
	}
}

// sendEmptyFrame takes the place of the left neighbour of rank 0 of 2, and sends
// an empty protobuf message, which is a frame without a header.
func sendEmptyFrame(t *testing.T, address string) error {
	cc, err := grpc.NewClient(address, dial(plain)...)
	if err != nil {
		return err
	}
	defer cc.Close()
	md := metadata.Pairs("lockstep-job", "digits-1", "lockstep-generation", "1", "lockstep-rank", "1", "lockstep-size", "2")
	s, err := lockstepv1.NewPeerClient(cc).Ring(metadata.NewOutgoingContext(within(t, 10*time.Second), md))
	if err != nil {
		return err
	}
	if err := s.Send(&lockstepv1.Frame{}); err != nil {
		return err
	}
	_, err = s.Recv()
	return err
}

// TestCloseGivesMemoryBack: what nobody took of a broken ring does not stay in
// memory for as long as the hub remembers the job.
func TestCloseGivesMemoryBack(t *testing.T) {
	peers := newPeers(t, 2, allreduce.HubOptions{Linger: time.Second}, plain)
	conns := connect(t, peers, 1, plain)
	h := allreduce.Header{Generation: 1, Kind: allreduce.Int32, Elements: 1, Bytes: 4}
	for range 3 {
		if err := conns[0].Send(t.Context(), time.Second, h, make([]byte, 4)); err != nil {
			t.Fatal(err)
		}
	}
	if s, err := conns[1].Recv(t.Context(), 5*time.Second); err != nil {
		t.Fatal(err)
	} else {
		s.Free()
	}
	closeConns(t, conns)
	if s, err := conns[1].Recv(t.Context(), time.Second); err == nil {
		t.Errorf("a closed connection still holds %v", s.Header)
	}
}
