package client

import (
	"bytes"
	"context"
	"errors"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	"github.com/lockstep-ml/lockstep/internal/secure"
	pb "github.com/lockstep-ml/lockstep/proto/lockstep/v1"
)

// fake is a coordinator that answers as it is told. All fakes of a test share one
// script of failures.
type fake struct {
	pb.UnimplementedJobsServer
	script *script
}

// script is what happens to calls, in order; when it is used up calls succeed.
type script struct {
	mu       sync.Mutex // guards what follows
	failures []error
	requests []string // the request ids of Submit
	after    []int64  // AfterStep of Watch
	calls    int
}

func (s *script) next() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls++
	if len(s.failures) == 0 {
		return nil
	}
	err := s.failures[0]
	s.failures = s.failures[1:]
	return err
}

func away1() error { return status.Error(codes.Unavailable, "this coordinator does not lead") }

func (f *fake) Submit(_ context.Context, r *pb.SubmitRequest) (*pb.SubmitResponse, error) {
	f.script.mu.Lock()
	f.script.requests = append(f.script.requests, r.RequestId)
	f.script.mu.Unlock()
	return &pb.SubmitResponse{JobId: "a-1"}, f.script.next()
}

func (f *fake) Get(_ context.Context, r *pb.GetRequest) (*pb.GetResponse, error) {
	return &pb.GetResponse{Job: &pb.Job{Id: r.JobId}}, f.script.next()
}

// Watch sends the points after AfterStep up to 10, three at a time; each message
// may be the last.
func (f *fake) Watch(r *pb.WatchRequest, stream pb.Jobs_WatchServer) error {
	f.script.mu.Lock()
	f.script.after = append(f.script.after, r.AfterStep)
	f.script.mu.Unlock()
	for step := r.AfterStep + 1; step <= 10; step += 3 {
		m := &pb.WatchResponse{}
		for s := step; s < step+3 && s <= 10; s++ {
			m.Points = append(m.Points, &pb.StepPoint{GlobalStep: s})
		}
		if err := stream.Send(m); err != nil {
			return err
		}
		if err := f.script.next(); err != nil {
			return err
		}
	}
	return nil
}

func (f *fake) Logs(_ *pb.LogsRequest, stream pb.Jobs_LogsServer) error {
	for _, text := range []string{"one", "two", "three"} {
		if err := stream.Send(&pb.LogsResponse{Events: []*pb.Event{{Message: text}}}); err != nil {
			return err
		}
		if err := f.script.next(); err != nil {
			return err
		}
	}
	return nil
}

func (f *fake) Download(_ *pb.DownloadRequest, stream pb.Jobs_DownloadServer) error {
	if err := f.script.next(); err != nil {
		return err
	}
	if err := stream.Send(&pb.DownloadResponse{Data: []byte("mod"), TotalBytes: 5}); err != nil {
		return err
	}
	if err := f.script.next(); err != nil {
		return err
	}
	return stream.Send(&pb.DownloadResponse{Data: []byte("el")})
}

// cluster starts fakes and returns a client of them. The first address of the
// client has nobody behind it.
func cluster(t *testing.T, failures ...error) (*Client, *script) {
	t.Helper()
	s := &script{failures: failures}
	dead, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addresses := []string{dead.Addr().String()}
	if err := dead.Close(); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		addresses = append(addresses, serve(t, s))
	}
	c, err := New(Config{Coordinators: addresses, Patience: 5 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c, s
}

func serve(t *testing.T, s *script) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer()
	pb.RegisterJobsServer(server, &fake{script: s})
	grpc_health_v1.RegisterHealthServer(server, health.NewServer())
	done := make(chan error, 1)
	go func() { done <- server.Serve(l) }()
	t.Cleanup(func() {
		server.Stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return l.Addr().String()
}

func testContext(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func TestSubmitIsRepeatedWithOneRequestID(t *testing.T) {
	c, s := cluster(t, away1(), away1())
	answer, err := c.Submit(testContext(t), &pb.SubmitRequest{})
	if err != nil || answer.GetJobId() != "a-1" {
		t.Fatalf("got %v, %v", answer, err)
	}
	if len(s.requests) != 3 || s.requests[0] == "" || s.requests[0] != s.requests[2] {
		t.Errorf("request ids %q", s.requests)
	}
}

func TestRefusalsAreNotRepeated(t *testing.T) {
	c, s := cluster(t, status.Error(codes.InvalidArgument, "job.yaml:1:1: no name"))
	_, err := c.Submit(testContext(t), &pb.SubmitRequest{})
	var refusal *Error
	if !errors.As(err, &refusal) || refusal.Code != codes.InvalidArgument || err.Error() != "job.yaml:1:1: no name" {
		t.Errorf("got %v", err)
	}
	if s.calls != 1 {
		t.Errorf("%d calls", s.calls)
	}
}

func TestPatienceEnds(t *testing.T) {
	c, err := New(Config{Coordinators: []string{"127.0.0.1:1"}, Patience: 200 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Job(testContext(t), "a-1"); !errors.Is(err, ErrUnreachable) || !strings.Contains(err.Error(), "127.0.0.1:1") {
		t.Errorf("got %v", err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	if _, err := c.Job(ctx, "a-1"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("with a deadline: %v", err)
	}
}

// A submit reads the data of the job, which may take long: when the coordinator
// that was at it dies, the patience begins, it is not over.
func TestPatienceOutlastsLongCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &Client{addresses: []string{"c1:1"}, conns: make([]*grpc.ClientConn, 1), patience: 10 * time.Second}
		calls := 0
		err := c.call(t.Context(), func(context.Context, pb.JobsClient) error {
			if calls++; calls == 1 {
				time.Sleep(time.Minute)
			}
			if calls < 5 {
				return away1()
			}
			return nil
		})
		if err != nil || calls != 5 {
			t.Errorf("%d calls, %v", calls, err)
		}
	})
}

func TestWatchGoesOnWhereItBroke(t *testing.T) {
	c, s := cluster(t, nil, away1(), away1())
	var steps []int64
	err := c.Watch(testContext(t), "a-1", func(m *pb.WatchResponse) error {
		for _, p := range m.Points {
			steps = append(steps, p.GlobalStep)
		}
		return nil
	})
	if err != nil || !slices.Equal(steps, []int64{1, 2, 3, 4, 5, 6, 7, 8, 9, 10}) {
		t.Errorf("steps %v, %v", steps, err)
	}
	if !slices.Equal(s.after, []int64{0, 6, 9}) {
		t.Errorf("asked for what is after %v", s.after)
	}
}

func TestWatchReturnsTheCallersError(t *testing.T) {
	c, _ := cluster(t)
	own := status.Error(codes.Unavailable, "the caller's own")
	if err := c.Watch(testContext(t), "a-1", func(*pb.WatchResponse) error { return own }); !errors.Is(err, own) {
		t.Errorf("got %v", err)
	}
}

func TestLogsAreToldOnce(t *testing.T) {
	c, _ := cluster(t, nil, away1(), nil, nil, nil)
	var got []string
	err := c.Logs(testContext(t), "a-1", true, func(e *pb.Event) error {
		got = append(got, e.Message)
		return nil
	})
	if err != nil || !slices.Equal(got, []string{"one", "two", "three"}) {
		t.Errorf("got %q, %v", got, err)
	}
}

func TestDownload(t *testing.T) {
	c, _ := cluster(t, away1())
	var b bytes.Buffer
	if err := c.Download(testContext(t), "a-1", &b); err != nil || b.String() != "model" {
		t.Errorf("got %q, %v", &b, err)
	}
	c, _ = cluster(t, nil, away1())
	b.Reset()
	if err := c.Download(testContext(t), "a-1", &b); err == nil || !strings.Contains(err.Error(), "after 3 of 5 bytes") {
		t.Errorf("a broken download gave %q, %v", &b, err)
	}
}

func TestHealth(t *testing.T) {
	if err := Health(testContext(t), serve(t, &script{}), secure.Config{}); err != nil {
		t.Error(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if err := Health(ctx, "127.0.0.1:1", secure.Config{}); err == nil {
		t.Error("nobody is healthy")
	}
}

func TestConfigIsChecked(t *testing.T) {
	for _, conf := range []Config{{}, {Coordinators: []string{"nowhere"}}, {Coordinators: []string{"a:1"}, Security: secure.Config{CA: "x"}}} {
		if c, err := New(conf); err == nil {
			c.Close()
			t.Errorf("%+v was accepted", conf)
		}
	}
}
