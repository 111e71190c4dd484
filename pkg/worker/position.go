package worker

import (
	"cmp"
	"fmt"

	"github.com/lockstep-ml/lockstep/internal/build"
	pb "github.com/lockstep-ml/lockstep/proto/lockstep/v1"
)

// position is how far a training state is: a cursor, and within it the attempts
// of the step that were given up because a gradient overflowed its exponent.
// Such an attempt moves exponents, which are state, so it must count: of two
// states the one with the higher position is ahead, and equal positions mean
// equal bits. So the edition of the build that computed the state counts too, see
// lineage: a checkpoint may be older than this build.
type position struct {
	Epoch, Step, Attempt, Edition int
}

// lineage is the Edition of what this build computes from p. If p is of another
// edition, bits above those of the number tell where it was: two workers may have gone
// on from different checkpoints, and so have different states at one cursor.
func (p position) lineage() int {
	const bits = 16
	if p.Edition%(1<<bits) == build.Edition {
		return p.Edition
	}
	h := mix(mix(mix(uint64(p.Edition), uint64(p.Epoch)), uint64(p.Step)), uint64(p.Attempt))
	return int(1+h>>(64-bits+2))<<bits | build.Edition // less than 1<<31
}

func (p position) compare(q position) int {
	return cmp.Or(cmp.Compare(p.Epoch, q.Epoch), cmp.Compare(p.Step, q.Step), cmp.Compare(p.Attempt, q.Attempt),
		cmp.Compare(p.Edition, q.Edition))
}

func (p position) cursor() *pb.Cursor {
	return &pb.Cursor{Epoch: int32(p.Epoch), Step: int64(p.Step)}
}

func (p position) String() string {
	if p.Attempt == 0 {
		return fmt.Sprintf("epoch %d step %d", p.Epoch, p.Step)
	}
	return fmt.Sprintf("epoch %d step %d attempt %d", p.Epoch, p.Step, p.Attempt)
}

func positionOf(c *pb.Cursor) position {
	return position{Epoch: int(c.GetEpoch()), Step: int(c.GetStep())}
}

// span is how long a job is, in steps.
type span struct {
	Epochs        int
	StepsPerEpoch int
	Steps         int // of the whole job; the last epoch may be cut short
}

// stepsIn returns the number of steps of an epoch.
func (s span) stepsIn(epoch int) int {
	return max(min(s.StepsPerEpoch, s.Steps-epoch*s.StepsPerEpoch), 0)
}

// globalStep returns the steps done at p since the job began.
func (s span) globalStep(p position) int {
	return min(p.Epoch*s.StepsPerEpoch+p.Step, s.Steps)
}

// over says whether a job is done at p.
func (s span) over(p position) bool { return p.Epoch >= s.Epochs }
