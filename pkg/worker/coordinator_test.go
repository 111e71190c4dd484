package worker

import (
	"context"
	"errors"
	"net"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	pb "github.com/lockstep-ml/lockstep/proto/lockstep/v1"
)

// fakeCoordinator speaks the coordinator's side of sessions, on loopback. What a
// session does with the stream after the welcome is the test's.
type fakeCoordinator struct {
	pb.UnimplementedSessionsServer
	address string
	server  *grpc.Server

	mu       sync.Mutex // guards what follows
	leader   string     // address to refer to; empty: this one leads
	refusal  error      // answer to Hello; nil: welcome
	sessions int
	serve    func(n int, hello *pb.Hello, stream pb.Sessions_ConnectServer) error
}

func startCoordinator(t *testing.T, serve func(n int, hello *pb.Hello, stream pb.Sessions_ConnectServer) error) *fakeCoordinator {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f := &fakeCoordinator{address: listener.Addr().String(), server: grpc.NewServer(), serve: serve}
	pb.RegisterSessionsServer(f.server, f)
	served := make(chan error, 1)
	go func() { served <- f.server.Serve(listener) }()
	t.Cleanup(func() {
		f.server.Stop()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	return f
}

func (f *fakeCoordinator) Connect(stream pb.Sessions_ConnectServer) error {
	f.mu.Lock()
	n, leader, refusal := f.sessions, f.leader, f.refusal
	f.sessions++
	f.mu.Unlock()
	if leader != "" {
		s, err := status.New(codes.FailedPrecondition, "not the leader").WithDetails(&pb.NotLeader{LeaderAddress: leader})
		return errors.Join(err, s.Err())
	}
	first, err := stream.Recv()
	if err != nil {
		return err
	}
	if refusal != nil {
		return refusal
	}
	if err := stream.Send(&pb.ConnectResponse{Message: &pb.ConnectResponse_Welcome{Welcome: &pb.Welcome{CoordinatorId: "c", HeartbeatMs: 20}}}); err != nil {
		return err
	}
	return f.serve(n, first.GetHello(), stream)
}

func (f *fakeCoordinator) count() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.sessions
}

// plain are the options to dial without TLS.
func plain() []grpc.DialOption {
	return []grpc.DialOption{grpc.WithTransportCredentials(insecure.NewCredentials())}
}

// within fails the test if nothing comes from c in time.
func within[T any](t *testing.T, what string, c <-chan T) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(30 * time.Second):
		t.Fatalf("%s: nothing for 30 s", what)
		panic("unreachable")
	}
}

// background runs f until the test ends.
func background(t *testing.T, f func(ctx context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- f(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := within(t, "end of the background", done); err != nil && !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
}
