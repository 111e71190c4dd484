package cluster

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// The operations that the leader decides on (see Plan).

// Start begins the next generation of a job.
type Start struct {
	Job string `json:"job"`
	// Generation must be the job's last plus one.
	Generation uint64 `json:"generation"`
	// Edition is that of the bits that the members compute; 0 if it was not noted.
	Edition uint32   `json:"edition,omitempty"`
	Members []Member `json:"members"`
	Reason  string   `json:"reason"`
	// Suspend lists workers to keep out until SuspendUntil.
	Suspend      []string  `json:"suspend,omitempty"`
	SuspendUntil time.Time `json:"suspend_until,omitzero"`
}

func (*Start) kind() string { return "start" }

func (o *Start) apply(s *State, c Command) (string, error) {
	id, err := s.change(o.Job, func(j *Job) error {
		if j.Phase.Ended() {
			return fmt.Errorf("it has %s: %w", j.Phase, ErrPhase)
		}
		if o.Generation != j.Generation+1 {
			return fmt.Errorf("start of generation %d after %d: %w", o.Generation, j.Generation, ErrStale)
		}
		if err := o.check(s, j); err != nil {
			return err
		}
		j.begin(c, o)
		return nil
	})
	if err == nil {
		s.unreserve(o)
	}
	return id, err
}

// check says whether the members can form a generation of j.
func (o *Start) check(s *State, j *Job) error {
	if n := len(o.Members); n < j.MinWorkers || n > j.most() {
		return fmt.Errorf("%d members, the job takes %d..%d: %w", n, j.MinWorkers, j.most(), ErrInvalid)
	}
	seen, owned := map[string]bool{}, make([]bool, j.Lanes)
	lanes := 0
	for _, m := range o.Members {
		if seen[m.Worker] || len(m.Lanes) == 0 {
			return fmt.Errorf("member %s twice or without lanes: %w", m.Worker, ErrInvalid)
		}
		seen[m.Worker] = true
		for _, l := range m.Lanes {
			if l < 0 || l >= j.Lanes || owned[l] {
				return fmt.Errorf("lane %d of member %s: outside 0..%d or owned twice: %w", l, m.Worker, j.Lanes-1, ErrInvalid)
			}
			owned[l] = true
			lanes++
		}
		if other := s.runs(m.Worker); other != nil && other.ID != j.ID {
			return fmt.Errorf("worker %s works on %s: %w", m.Worker, other.ID, ErrInvalid)
		}
	}
	if lanes != j.Lanes {
		return fmt.Errorf("%d of %d lanes have an owner: %w", lanes, j.Lanes, ErrInvalid)
	}
	return nil
}

// begin makes the generation of o the job's.
func (j *Job) begin(c Command, o *Start) {
	j.Phase, j.Reason = Running, o.Reason
	j.Generation, j.GenerationAt = o.Generation, c.At
	j.Members = slices.Clone(o.Members)
	j.Blames, j.BrokenAt = nil, time.Time{}
	j.Attempts++
	if j.StartedAt.IsZero() {
		j.StartedAt = c.At
	}
	suspended := maps.Clone(j.Suspended)
	maps.DeleteFunc(suspended, func(_ string, until time.Time) bool { return !c.At.Before(until) })
	for _, w := range o.Suspend {
		if suspended == nil {
			suspended = map[string]time.Time{}
		}
		suspended[w] = o.SuspendUntil
	}
	j.Suspended = suspended
	names := make([]string, len(o.Members))
	for i, m := range o.Members {
		names[i] = m.Worker
	}
	j.log(c.At, c.Node, "generation %d: %s: %s", o.Generation, strings.Join(names, " "), o.Reason)
	if j.Edition != 0 && o.Edition != j.Edition && len(j.Checkpoints) > 0 {
		j.log(c.At, c.Node, "edition %d of the bits goes on where edition %d was: the result is that of neither alone; submit the job again for one that can be repeated",
			o.Edition, j.Edition)
	}
	if o.Edition != j.Edition {
		j.Edition, j.EditionSince = o.Edition, o.Generation
	}
}

// runs returns the running job that worker is a member of, or nil.
func (s *State) runs(worker string) *Job {
	for _, j := range s.jobs {
		if j.Phase == Running && j.Member(worker) != nil {
			return j
		}
	}
	return nil
}

// unreserve takes the members of o from the other jobs that wait with them.
func (s *State) unreserve(o *Start) {
	taken := func(m Member) bool {
		return slices.ContainsFunc(o.Members, func(n Member) bool { return n.Worker == m.Worker })
	}
	for id, old := range s.jobs {
		if id == o.Job || old.Phase != Waiting || !slices.ContainsFunc(old.Members, taken) {
			continue
		}
		j := *old
		j.Members = slices.DeleteFunc(slices.Clone(old.Members), taken)
		s.jobs[id] = &j
	}
}

// Hold says why a job does not run now. A running job begins to wait; its members
// keep their state.
type Hold struct {
	Job string `json:"job"`
	// Generation must be the job's last.
	Generation uint64 `json:"generation"`
	Reason     string `json:"reason"`
}

func (*Hold) kind() string { return "hold" }

func (o *Hold) apply(s *State, c Command) (string, error) {
	return s.change(o.Job, func(j *Job) error {
		if j.Phase.Ended() {
			return fmt.Errorf("it has %s: %w", j.Phase, ErrPhase)
		}
		if o.Generation != j.Generation {
			return fmt.Errorf("hold of generation %d, it is at %d: %w", o.Generation, j.Generation, ErrStale)
		}
		if j.Phase == Running {
			j.Phase = Waiting
		}
		if j.Reason != o.Reason {
			j.Reason = o.Reason
			j.log(c.At, c.Node, "%s", o.Reason)
		}
		return nil
	})
}
