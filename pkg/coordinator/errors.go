package coordinator

import (
	"context"
	"errors"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/lockstep-ml/lockstep/pkg/cluster"
	pb "github.com/lockstep-ml/lockstep/proto/lockstep/v1"
)

// errNotLeading means that this node does not lead, or ceased to while it worked:
// the caller must ask the leader. What it asked for may have been done.
var errNotLeading = errors.New("this coordinator does not lead")

// toStatus turns an error into a gRPC status.
func (c *Coordinator) toStatus(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, errNotLeading):
		return c.notLeader(codes.Unavailable, err.Error())
	case errors.Is(err, cluster.ErrNotFound):
		return status.Error(codes.NotFound, err.Error())
	case errors.Is(err, cluster.ErrPhase), errors.Is(err, cluster.ErrStale):
		return status.Error(codes.FailedPrecondition, err.Error())
	case errors.Is(err, cluster.ErrInvalid):
		return status.Error(codes.InvalidArgument, err.Error())
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return status.FromContextError(err).Err()
	}
	if _, ok := status.FromError(err); ok {
		return err
	}
	return status.Error(codes.Internal, err.Error())
}

// notLeader returns a status that names the leader.
func (c *Coordinator) notLeader(code codes.Code, message string) error {
	s := status.New(code, message)
	if with, err := s.WithDetails(&pb.NotLeader{LeaderAddress: c.leaderAddress()}); err == nil {
		s = with
	}
	return s.Err()
}
