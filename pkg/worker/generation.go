package worker

import (
	"context"
	"time"

	"go.uber.org/zap"

	pb "github.com/lockstep-ml/lockstep/proto/lockstep/v1"
)

// world is what a generation needs of the processes and the disk around it.
// Tests put a simulated one in its place.
type world interface {
	// connect joins the ring of an assignment. leave gives up the place in it;
	// neighbours that still wait are told.
	connect(ctx context.Context, a *pb.Assignment, rank int) (r ring, leave func(), err error)
	// fetch copies the encoded state of another worker.
	fetch(ctx context.Context, address string, want *pb.FetchStateRequest) ([]byte, error)
	// publish offers a state to those that fetch, until withdraw.
	publish(want *pb.FetchStateRequest, encode func() ([]byte, error)) (withdraw func())
}

// generation is one membership of this worker in the ring of a job. It goes
// through
//
//	join -> agree -> train -> finish -> (wait to be told)
//
// and may be stopped at any moment: the replica stays whole. Only the goroutine
// that runs the generation touches the replica.
type generation struct {
	world
	task       *task
	replica    *replica
	rank       int
	members    []*pb.Member
	assignment *pb.Assignment

	ring     ring
	saver    *saver
	audit    *audit
	reporter *reporter
	outbox   *outbox
	log      *zap.Logger

	epochBegan time.Time // when this worker began the epoch's first step; zero if it did not
}

// run trains until the job is done, the generation broke, or ctx ended. If the
// job is done it keeps its place in the ring until ctx ends, so that slower
// neighbours get what they still wait for.
func (g *generation) run(ctx context.Context) error {
	r, leave, err := g.connect(ctx, g.assignment, g.rank)
	if err != nil {
		return broken(g.members, err)
	}
	defer leave()
	g.ring = r
	if err := g.agree(ctx); err != nil {
		return err
	}
	g.reporter.begin(g.task, g.assignment.Generation, g.replica, g.rank == 0)
	defer g.reporter.end()
	if err := g.train(ctx); err != nil {
		return err
	}
	if err := g.finish(ctx); err != nil {
		return err
	}
	<-ctx.Done()
	return context.Cause(ctx)
}

// lanes returns the lanes of this rank.
func (g *generation) lanes() []int {
	own := g.members[g.rank].Lanes
	lanes := make([]int, len(own))
	for i, l := range own {
		lanes[i] = int(l)
	}
	return lanes
}

// finish makes the results safe on this worker's disk, waits until every rank has
// done so, and says that the job is done.
func (g *generation) finish(ctx context.Context) error {
	if err := g.checkpoint(ctx); err != nil {
		return err
	}
	if err := g.saver.wait(ctx); err != nil {
		return err
	}
	sha, err := g.task.saveModel(g.replica.learner)
	if err != nil {
		return local("%w; see to the disk of --data-dir", err)
	}
	if err := g.compareReplicas(ctx); err != nil {
		return err
	}
	g.log.Info("job done", zap.String("weights_sha256", sha))
	if g.rank != 0 {
		return nil
	}
	g.outbox.fact(g.task.job, factDone, &pb.ConnectRequest{Message: &pb.ConnectRequest_JobDone{JobDone: &pb.JobDone{
		JobId: g.task.job, Generation: g.assignment.Generation, WeightsSha256: sha,
		History: historyMessage(g.task.metrics, g.replica.history), Stopped: g.replica.stopped,
	}}})
	return nil
}
