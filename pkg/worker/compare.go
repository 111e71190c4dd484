package worker

import (
	"context"
	"fmt"
	"strings"

	pb "github.com/lockstep-ml/lockstep/proto/lockstep/v1"
)

// compareReplicas makes every rank tell the digest of its state to all others
// and returns nil if they are the same. If they are not, a machine computes,
// stores or transfers wrongly. The ranks that differ from the majority are at
// fault: they leave the job, and the others go on without them. Without a
// majority the job fails, since nobody knows who is right.
//
// Because it sums over the ring it is also a barrier.
func (g *generation) compareReplicas(ctx context.Context) error {
	if len(g.members) == 1 {
		return nil
	}
	digest, err := g.replica.digest()
	if err != nil {
		return err
	}
	words := make([]int32, 2*len(g.members))
	words[2*g.rank], words[2*g.rank+1] = int32(digest>>32), int32(digest)
	if err := g.ring.SumInt32(ctx, words); err != nil {
		return broken(g.members, fmt.Errorf("comparison of the replicas at %s: %w", g.replica.at, err))
	}
	digests := make([]uint64, len(g.members))
	for rank := range digests {
		digests[rank] = uint64(uint32(words[2*rank]))<<32 | uint64(uint32(words[2*rank+1]))
	}
	return g.judge(digests)
}

// judge decides what this rank does about the digests of all.
func (g *generation) judge(digests []uint64) error {
	right, most := majority(digests)
	if most == len(digests) {
		return nil
	}
	if 2*most <= len(digests) {
		return fmt.Errorf("silent data corruption: at %s the replicas of %s differ and none has the majority; "+
			"check these machines' memory, then resume the job from its checkpoint", g.replica.at, names(g.members))
	}
	var odd []*pb.Member
	for rank, d := range digests {
		if d != right {
			odd = append(odd, g.members[rank])
		}
	}
	err := fmt.Errorf("silent data corruption: at %s the replica of %s differs from the %d others; check that machine's memory",
		g.replica.at, names(odd), most)
	if digests[g.rank] != right {
		g.replica.held = false
		return &localError{err: err}
	}
	return &brokenError{suspect: odd[0].WorkerId, err: err}
}

// majority returns the most frequent digest and how often it is there.
func majority(digests []uint64) (value uint64, count int) {
	counts := make(map[uint64]int, 1)
	for _, d := range digests {
		counts[d]++
		if counts[d] > count {
			value, count = d, counts[d]
		}
	}
	return value, count
}

func names(members []*pb.Member) string {
	out := make([]string, len(members))
	for i, m := range members {
		out[i] = fmt.Sprintf("worker %s (%s)", m.WorkerId, m.Address)
	}
	return strings.Join(out, ", ")
}
