package worker

import (
	"context"
	"fmt"

	"go.uber.org/zap"

	pb "github.com/lockstep-ml/lockstep/proto/lockstep/v1"
)

// agreeWords is what each rank says when a generation begins: 1 if it has a
// state, then the epoch, the step, the attempt and the edition of it.
const agreeWords = 5

// agree brings all ranks to the same state: that of the rank that is furthest
// ahead, the lowest of them if there are several. Every rank learns what each has
// from one sum over the ring, in which it fills only its own words, so that all
// come to the same decision without a leader. Those behind copy; the comparison of
// all replicas that follows is also the barrier: nobody steps, and so changes
// what is being copied, before all are done.
//
// A rank that is ahead got there by the same sums that the others missed, so
// nothing is decided here that was not computed by all.
func (g *generation) agree(ctx context.Context) error {
	best, source, err := g.furthest(ctx)
	if err != nil {
		return err
	}
	floor := positionOf(g.assignment.GetCheckpoint().GetCursor())
	switch {
	case source < 0 && floor != position{}:
		return &brokenError{err: fmt.Errorf("no member holds a state of job %s; its checkpoint at %s is held by %v: start one of those workers",
			g.task.job, floor, g.assignment.Checkpoint.WorkerIds)}
	case source >= 0 && best.compare(floor) < 0:
		return &brokenError{err: fmt.Errorf("the members of job %s got as far as %s, but its checkpoint at %s is held by %v: start one of those workers",
			g.task.job, best, floor, g.assignment.Checkpoint.WorkerIds)}
	case source < 0:
		g.replica.start()
	case source == g.rank:
		withdraw := g.publish(g.wanted(best), func() ([]byte, error) { return g.replica.encode(g.task) })
		defer withdraw()
	case !g.replica.held || g.replica.at != best:
		if err := g.copyFrom(ctx, source, best); err != nil {
			return err
		}
	}
	if err := g.compareReplicas(ctx); err != nil {
		return err
	}
	g.log.Info("generation begins", zap.Stringer("at", g.replica.at), zap.Int("rank", g.rank), zap.Int("size", len(g.members)))
	return nil
}

// furthest returns the highest position that a rank has, and the lowest rank that
// has it; -1 if none has any.
func (g *generation) furthest(ctx context.Context) (best position, source int, err error) {
	words := make([]int32, agreeWords*len(g.members))
	if r := g.replica; r.held {
		copy(words[agreeWords*g.rank:], []int32{1, int32(r.at.Epoch), int32(r.at.Step), int32(r.at.Attempt), int32(r.at.Edition)})
	}
	if err := g.ring.SumInt32(ctx, words); err != nil {
		return best, -1, broken(g.members, fmt.Errorf("agreement on the position: %w", err))
	}
	source = -1
	for rank := range g.members {
		w := words[agreeWords*rank:]
		at := position{Epoch: int(w[1]), Step: int(w[2]), Attempt: int(w[3]), Edition: int(w[4])}
		if w[0] == 1 && (source < 0 || at.compare(best) > 0) {
			best, source = at, rank
		}
	}
	return best, source, nil
}

func (g *generation) wanted(at position) *pb.FetchStateRequest {
	return &pb.FetchStateRequest{JobId: g.task.job, Generation: g.assignment.Generation, Cursor: at.cursor()}
}

// copyFrom replaces the replica by that of another rank.
func (g *generation) copyFrom(ctx context.Context, source int, at position) error {
	who := g.members[source]
	data, err := g.fetch(ctx, who.Address, g.wanted(at))
	if err != nil {
		return &brokenError{suspect: who.WorkerId, err: fmt.Errorf("copy of the state at %s from worker %s (%s): %w", at, who.WorkerId, who.Address, err)}
	}
	if err := g.replica.decode(g.task, data); err != nil {
		return &brokenError{suspect: who.WorkerId, err: fmt.Errorf("state from worker %s (%s): %w", who.WorkerId, who.Address, err)}
	}
	if g.replica.at != at {
		return &brokenError{suspect: who.WorkerId, err: fmt.Errorf("state from worker %s (%s) is of %s, want %s", who.WorkerId, who.Address, g.replica.at, at)}
	}
	g.log.Info("state copied", zap.String("from", who.WorkerId), zap.Stringer("at", at), zap.Int("bytes", len(data)))
	return nil
}
