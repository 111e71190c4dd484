package allreduce

import (
	"errors"
	"fmt"
	"strconv"

	"google.golang.org/grpc/metadata"
)

// Member is one worker of a ring.
type Member struct {
	ID      string // names the worker in errors
	Address string // host:port of its gRPC server
}

// Membership is one generation of a job as one of its ranks sees it.
type Membership struct {
	Job        string
	Generation uint64
	Rank       int      // own position in Members
	Members    []Member // by rank
}

// Validate reports all that is wrong.
func (m Membership) Validate() error {
	var errs []error
	if m.Job == "" {
		errs = append(errs, errors.New("Job is empty"))
	}
	if m.Rank < 0 || m.Rank >= len(m.Members) {
		errs = append(errs, fmt.Errorf("Rank %d: must be at least 0 and below the %d members", m.Rank, len(m.Members)))
	}
	for i, w := range m.Members {
		if len(m.Members) > 1 && w.Address == "" {
			errs = append(errs, fmt.Errorf("Members[%d] (%s): Address is empty", i, w.ID))
		}
	}
	return errors.Join(errs...)
}

func (m Membership) left() Member  { return m.Members[m.leftRank()] }
func (m Membership) leftRank() int { return mod(m.Rank-1, len(m.Members)) }
func (m Membership) right() Member { return m.Members[mod(m.Rank+1, len(m.Members))] }

// names returns the worker ids by rank.
func (m Membership) names() []string {
	ids := make([]string, len(m.Members))
	for i, w := range m.Members {
		ids[i] = w.ID
	}
	return ids
}

// Request metadata of Peer.Ring.
const (
	keyJob        = "lockstep-job"
	keyGeneration = "lockstep-generation"
	keyRank       = "lockstep-rank"
	keySize       = "lockstep-size"
)

// caller is who a left neighbour says it is.
type caller struct {
	job        string
	generation uint64
	rank, size int
}

func (m Membership) metadata() metadata.MD {
	return metadata.Pairs(
		keyJob, m.Job,
		keyGeneration, strconv.FormatUint(m.Generation, 10),
		keyRank, strconv.Itoa(m.Rank),
		keySize, strconv.Itoa(len(m.Members)),
	)
}

// parseCaller reads the request metadata of a left neighbour.
func parseCaller(md metadata.MD) (caller, error) {
	var errs []error
	one := func(key string) string {
		v := md.Get(key)
		if len(v) != 1 || v[0] == "" {
			errs = append(errs, fmt.Errorf("metadata %s: want one value, got %d", key, len(v)))
			return "0"
		}
		return v[0]
	}
	number := func(key string) uint64 {
		n, err := strconv.ParseUint(one(key), 10, 64)
		if err != nil {
			errs = append(errs, fmt.Errorf("metadata %s: %w", key, err))
		}
		return n
	}
	small := func(key string) int {
		n := number(key)
		if n > 1<<20 {
			errs = append(errs, fmt.Errorf("metadata %s: %d is too large", key, n))
			return 0
		}
		return int(n)
	}
	c := caller{job: one(keyJob), generation: number(keyGeneration), rank: small(keyRank), size: small(keySize)}
	return c, errors.Join(errs...)
}
