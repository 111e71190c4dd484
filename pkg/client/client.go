// Package client is the Go SDK of a lockstep cluster; the command lockstep uses
// nothing else.
//
//	c, err := client.New(client.Config{Coordinators: []string{"10.0.0.1:7400", "10.0.0.2:7400"}})
//	…
//	defer c.Close()
//	answer, err := c.Submit(ctx, &pb.SubmitRequest{JobYaml: text, FileName: "job.yaml", DataRoot: "/data"})
//	…
//	err = c.Watch(ctx, id, func(r *pb.WatchResponse) error { … })
//
// # Failover
//
// Any coordinator answers; one that does not lead asks the leader. A call that
// fails because a coordinator is away is made again at the next one, until the
// context ends or Config.Patience has passed since anything last worked. That is
// safe for every call: Submit carries a request id, the others may be repeated.
// Streams are taken up where they broke.
package client

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/status"

	"github.com/lockstep-ml/lockstep/internal/secure"
	pb "github.com/lockstep-ml/lockstep/proto/lockstep/v1"
)

const (
	retryPause     = 100 * time.Millisecond
	connectTimeout = 2 * time.Second
	maxMessage     = 64 << 20 // bytes
)

// ErrUnreachable means that no coordinator answered for Config.Patience: check
// the addresses, and that a majority of the coordinators runs.
var ErrUnreachable = errors.New("no coordinator answers")

// Config says where the cluster is.
type Config struct {
	// Coordinators are addresses, host:port; one is enough, with several a call
	// survives the loss of any.
	Coordinators []string
	// Security is what the coordinators are to be trusted by.
	Security secure.Config
	// Patience is how long a call is tried again while no coordinator answers;
	// 10s if 0. It should be longer than an election, about a second.
	Patience time.Duration
}

// Client talks to one cluster. It is safe for concurrent use.
type Client struct {
	addresses []string
	conns     []*grpc.ClientConn // one for each address
	patience  time.Duration

	mu  sync.Mutex // guards use
	use int        // the connection that worked last
}

// New returns a client. It does not connect yet; the caller must Close it. An
// error means that conf is wrong.
func New(conf Config) (*Client, error) {
	if len(conf.Coordinators) == 0 {
		return nil, errors.New("no coordinator is given: name at least one address, host:port")
	}
	creds, err := secure.DialOption(conf.Security)
	if err != nil {
		return nil, err
	}
	c := &Client{addresses: conf.Coordinators, patience: conf.Patience}
	if c.patience == 0 {
		c.patience = 10 * time.Second
	}
	for _, a := range conf.Coordinators {
		conn, err := dial(a, creds)
		if err != nil {
			c.Close()
			return nil, fmt.Errorf("coordinator address %q: %w", a, err)
		}
		c.conns = append(c.conns, conn)
	}
	return c, nil
}

func dial(address string, creds grpc.DialOption) (*grpc.ClientConn, error) {
	if _, _, err := net.SplitHostPort(address); err != nil {
		return nil, fmt.Errorf("give host:port: %w", err)
	}
	return grpc.NewClient(address, creds,
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxMessage)),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: 10 * time.Second, Timeout: 3 * time.Second}),
		grpc.WithConnectParams(grpc.ConnectParams{
			MinConnectTimeout: connectTimeout,
			Backoff:           backoff.Config{BaseDelay: 50 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: 500 * time.Millisecond},
		}))
}

// Close ends all calls.
func (c *Client) Close() error {
	var errs []error
	for _, conn := range c.conns {
		errs = append(errs, conn.Close())
	}
	return errors.Join(errs...)
}

// Submit queues a job and returns its id, which is empty if r.ValidateOnly is set,
// and what the user should know of it. A job that is refused gives an Error with
// the code InvalidArgument. r.RequestId is filled in if it is empty.
func (c *Client) Submit(ctx context.Context, r *pb.SubmitRequest) (answer *pb.SubmitResponse, err error) {
	if r.RequestId == "" {
		r.RequestId = rand.Text()
	}
	err = c.call(ctx, func(ctx context.Context, jobs pb.JobsClient) error {
		answer, err = jobs.Submit(ctx, r)
		return err
	})
	return answer, err
}

// Jobs returns all jobs, oldest first.
func (c *Client) Jobs(ctx context.Context) (all []*pb.Job, err error) {
	err = c.call(ctx, func(ctx context.Context, jobs pb.JobsClient) error {
		answer, err := jobs.List(ctx, &pb.ListRequest{})
		all = answer.GetJobs()
		return err
	})
	return all, err
}

// Job returns one job; an Error with the code NotFound if there is none.
func (c *Client) Job(ctx context.Context, id string) (job *pb.Job, err error) {
	err = c.call(ctx, func(ctx context.Context, jobs pb.JobsClient) error {
		answer, err := jobs.Get(ctx, &pb.GetRequest{JobId: id})
		job = answer.GetJob()
		return err
	})
	return job, err
}

// Cancel ends a job and returns it.
func (c *Client) Cancel(ctx context.Context, id string) (job *pb.Job, err error) {
	err = c.call(ctx, func(ctx context.Context, jobs pb.JobsClient) error {
		answer, err := jobs.Cancel(ctx, &pb.CancelRequest{JobId: id})
		job = answer.GetJob()
		return err
	})
	return job, err
}

// Resume queues a cancelled or failed job again and returns it. For a job that
// waits for a checkpoint, it gives up the checkpoints that only absent workers have.
func (c *Client) Resume(ctx context.Context, id string) (job *pb.Job, err error) {
	err = c.call(ctx, func(ctx context.Context, jobs pb.JobsClient) error {
		answer, err := jobs.Resume(ctx, &pb.ResumeRequest{JobId: id})
		job = answer.GetJob()
		return err
	})
	return job, err
}

// Nodes lists the coordinators and workers.
func (c *Client) Nodes(ctx context.Context) (nodes *pb.NodesResponse, err error) {
	err = c.call(ctx, func(ctx context.Context, jobs pb.JobsClient) error {
		nodes, err = jobs.Nodes(ctx, &pb.NodesRequest{})
		return err
	})
	return nodes, err
}

// Error is a coordinator's refusal, in words for a person.
type Error struct {
	// Code says what kind of refusal it is: InvalidArgument for a bad job,
	// NotFound, FailedPrecondition for what is not possible now, and so on.
	Code    codes.Code
	Message string
}

func (e *Error) Error() string { return e.Message }

// plain returns err without the wrapping of gRPC; a caller's own error as it is.
func plain(err error) error {
	var own stop
	if err == nil || errors.As(err, &own) {
		return err
	}
	if s, ok := status.FromError(err); ok {
		return &Error{s.Code(), s.Message()}
	}
	return err
}

// away says whether the error means that a coordinator is gone or does not lead,
// so that another may answer.
func away(err error) bool {
	var own stop
	return !errors.As(err, &own) && status.Code(err) == codes.Unavailable
}
