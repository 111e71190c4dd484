package worker

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/status"

	pb "github.com/lockstep-ml/lockstep/proto/lockstep/v1"
)

const (
	backoffMin = 50 * time.Millisecond
	backoffMax = time.Second

	// progressInterval is how often rank 0 says how far it is.
	progressInterval = 500 * time.Millisecond

	// silentBeats is how many heartbeats a coordinator may miss, and silenceMin
	// the least that is waited for them: less than it takes the coordinators to
	// count their workers as lost.
	silentBeats = 4
	silenceMin  = 2 * time.Second

	// maxMessage bounds an assignment: the job file and two manifests.
	maxMessage = 64 << 20

	// keepaliveTime is the least that gRPC lets a client ask.
	keepaliveTime    = 10 * time.Second
	keepaliveTimeout = 3 * time.Second
)

// order is one thing the coordinator wants: exactly one field is set.
type order struct {
	assignment *pb.Assignment
	release    *pb.Release
}

// session keeps the worker connected to the leading coordinator, whichever that
// is. It moves through
//
//	         address answers           Welcome
//	seeking ----------------> greeting --------> open
//	   ^                         |                |
//	   +---- refused, no leader, timeout, stream broken
//
// It ends if a coordinator refuses the worker as it is: one of another edition.
//
// A refusal that names the leader is followed at once, though not twice in a row;
// otherwise the next of the configured addresses is tried after a pause that
// doubles up to a second. A coordinator that is there but says nothing, not even
// that it is alive, is given up after silentBeats of its heartbeats.
type session struct {
	coordinators []string
	dial         []grpc.DialOption
	timeout      time.Duration // for an address to answer with Welcome
	hello        func() *pb.Hello
	progress     func(again bool) *pb.Progress // nil if there is nothing to say
	outbox       *outbox
	orders       chan<- order
	log          *zap.Logger
}

// run keeps a session until ctx ends or a coordinator refuses this worker for good.
func (s *session) run(ctx context.Context) error {
	var hint string
	told := map[string]string{} // address -> why there is no session, as logged
	pause := backoffMin
	for i := 0; ; i++ {
		address, hinted := s.coordinators[i%len(s.coordinators)], hint != ""
		if hinted {
			address, hint = hint, ""
		}
		welcomed, err := s.attempt(ctx, address)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if !welcomed && final(err) {
			return fmt.Errorf("coordinator at %s: %s", address, status.Convert(err).Message())
		}
		leader := leaderOf(err)
		switch {
		case welcomed:
			pause = backoffMin
			clear(told)
			s.log.Warn("session ended", zap.String("coordinator", address), zap.Error(err))
		case leader == "" && told[address] != err.Error():
			told[address] = err.Error()
			s.log.Warn("no session; trying on", zap.String("coordinator", address), zap.Error(err))
		}
		if leader != "" && leader != address && !hinted {
			hint = leader
			continue
		}
		if err := sleep(ctx, pause/2+rand.N(pause/2)); err != nil {
			return err
		}
		pause = min(2*pause, backoffMax)
	}
}

// attempt holds one session with the coordinator at address, for as long as it
// lasts. It reports whether it was welcomed. It owns one goroutine, which reads,
// and waits for it.
func (s *session) attempt(ctx context.Context, address string) (welcomed bool, err error) {
	conn, err := grpc.NewClient(address, append([]grpc.DialOption{
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: keepaliveTime, Timeout: keepaliveTimeout}),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxMessage)),
	}, s.dial...)...)
	if err != nil {
		return false, fmt.Errorf("coordinator address %q: %w", address, err)
	}
	defer conn.Close()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	late := time.AfterFunc(s.timeout, func() { cancel(fmt.Errorf("no welcome within %s", s.timeout)) })
	defer late.Stop()

	stream, err := pb.NewSessionsClient(conn).Connect(ctx)
	if err != nil {
		return false, explain(ctx, err)
	}
	// An error of Send is io.EOF; the stream's own error comes from Recv.
	_ = stream.Send(&pb.ConnectRequest{Message: &pb.ConnectRequest_Hello{Hello: s.hello()}})
	first, err := stream.Recv()
	if err != nil {
		return false, explain(ctx, err)
	}
	welcome := first.GetWelcome()
	if welcome == nil {
		return false, errors.New("the coordinator's first message is not a welcome: is its version another?")
	}
	late.Stop()
	s.log.Info("session open", zap.String("coordinator", welcome.CoordinatorId), zap.String("address", address))

	heartbeat := time.Duration(welcome.HeartbeatMs) * time.Millisecond
	silence := max(silentBeats*heartbeat, silenceMin)
	received := make(chan error, 1)
	go func() {
		quiet := time.AfterFunc(silence, func() { cancel(fmt.Errorf("the coordinator said nothing for %s", silence)) })
		defer quiet.Stop()
		err := s.receive(ctx, stream, func(listening bool) {
			if quiet.Stop(); listening {
				quiet.Reset(silence)
			}
		})
		cancel(err)
		received <- err
	}()
	s.send(ctx, stream, heartbeat)
	cancel(errors.New("the stream takes no more messages"))
	return true, <-received
}

// receive passes orders on until the stream ends, and says when it listens.
func (s *session) receive(ctx context.Context, stream pb.Sessions_ConnectClient, listen func(bool)) error {
	for {
		listen(true)
		m, err := stream.Recv()
		listen(false)
		if err != nil {
			return explain(ctx, err)
		}
		o := order{assignment: m.GetAssignment(), release: m.GetRelease()}
		if o.assignment == nil && o.release == nil {
			continue
		}
		select {
		case s.orders <- o:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// send says what there is to say until ctx ends or the stream breaks.
func (s *session) send(ctx context.Context, stream pb.Sessions_ConnectClient, heartbeat time.Duration) {
	if heartbeat <= 0 {
		heartbeat = backoffMax / 2
	}
	beat, report := time.NewTicker(heartbeat), time.NewTicker(progressInterval)
	defer beat.Stop()
	defer report.Stop()
	s.outbox.begin()
	again := true
	for {
		var m *pb.ConnectRequest
		select {
		case <-ctx.Done():
			return
		case <-s.outbox.wake:
			if !s.drain(stream, again) {
				return
			}
			again = false
			continue
		case <-beat.C:
			m = &pb.ConnectRequest{Message: &pb.ConnectRequest_Heartbeat{Heartbeat: &pb.Heartbeat{}}}
		case <-report.C:
			p := s.progress(false)
			if p == nil {
				continue
			}
			m = &pb.ConnectRequest{Message: &pb.ConnectRequest_Progress{Progress: p}}
		}
		if stream.Send(m) != nil {
			return
		}
	}
}

// drain empties the outbox into the stream, progress first: what is said of a
// job's end must not overtake how it got there.
func (s *session) drain(stream pb.Sessions_ConnectClient, again bool) bool {
	if p := s.progress(again); p != nil {
		m := &pb.ConnectRequest{Message: &pb.ConnectRequest_Progress{Progress: p}}
		if stream.Send(m) != nil {
			return false
		}
	}
	for m := s.outbox.next(); m != nil; m = s.outbox.next() {
		if stream.Send(m) != nil {
			return false
		}
	}
	return true
}

// leaderOf returns the address that a refusal names, or "".
func leaderOf(err error) string {
	for _, d := range status.Convert(err).Details() {
		if n, ok := d.(*pb.NotLeader); ok {
			return n.LeaderAddress
		}
	}
	return ""
}

// final says whether err refuses this worker for good.
func final(err error) bool {
	s := status.Convert(err)
	return s.Code() == codes.FailedPrecondition && len(s.Details()) == 0 // not NotLeader
}

// explain says why a stream ended: the cause of ctx if that ended first.
func explain(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	return err
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
