package worker

import (
	"errors"
	"fmt"
	"strings"

	"github.com/lockstep-ml/lockstep/pkg/allreduce"
	pb "github.com/lockstep-ml/lockstep/proto/lockstep/v1"
)

// A generation ends by one of three faults, or because the coordinator wants
// another. An error that is none of the types below is the job's: it can not
// succeed anywhere. So is a panic, see agent.take.

// brokenError means that this rank could not work with the others. The state is
// intact: wait for the next generation.
type brokenError struct {
	suspect string // worker id; empty if unknown
	err     error
}

func (e *brokenError) Error() string { return e.err.Error() }
func (e *brokenError) Unwrap() error { return e.err }

// localError means that the cause lies with this worker alone: the job may go
// on without it.
type localError struct{ err error }

func (e *localError) Error() string { return e.err.Error() }
func (e *localError) Unwrap() error { return e.err }

// broken wraps an error of a ring; the neighbour it names is the suspect, unless
// that one left in good order.
func broken(members []*pb.Member, err error) error {
	if err == nil {
		return nil
	}
	var known *brokenError
	if errors.As(err, &known) {
		return err
	}
	suspect := ""
	var neighbour *allreduce.NeighbourError
	if errors.As(err, &neighbour) && !errors.Is(err, allreduce.ErrLeft) {
		suspect, _, _ = strings.Cut(neighbour.WorkerID, " ")
		if !isMember(members, suspect) {
			suspect = ""
		}
	}
	return &brokenError{suspect: suspect, err: err}
}

func isMember(members []*pb.Member, id string) bool {
	for _, m := range members {
		if m.WorkerId == id {
			return true
		}
	}
	return false
}

// local wraps an error of this worker's disk or of its copy of the data.
func local(format string, args ...any) error {
	return &localError{err: fmt.Errorf(format, args...)}
}
