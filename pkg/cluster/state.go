package cluster

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// Bounds of what a job keeps.
const (
	MaxEvents      = 200
	MaxCheckpoints = 5
	// MaxEnded is how many jobs that have ended are kept; the oldest go first.
	MaxEnded   = 1000
	maxBlames  = 64
	maxMessage = 4096 // bytes of one event or error
)

// Refusals. They are answers of the state machine, not failures: the state is
// unchanged and every replica refuses alike.
var (
	// ErrNotFound means that no job has this id: look at the list of jobs.
	ErrNotFound = errors.New("no such job")
	// ErrStale means that the report is about a generation that is over: drop it.
	ErrStale = errors.New("generation is over")
	// ErrPhase means that the job's phase does not allow the operation: tell the user.
	ErrPhase = errors.New("not possible now")
	// ErrInvalid means that the operation contradicts the state or itself: plan anew.
	ErrInvalid = errors.New("invalid operation")
)

// Job is one training job. A *Job that State returned never changes: Apply
// replaces it by a changed copy, so readers need no lock and compare pointers to
// learn of changes.
type Job struct {
	ID       string `json:"id"`
	Name     string `json:"name"`
	Number   uint64 `json:"number"` // its place in the order of submission
	Priority int    `json:"priority"`
	// RequestID is the submitter's name for the request: it queues one job however often it is sent.
	RequestID string `json:"request_id,omitempty"`

	// What was asked for; fixed at Submit.

	Spec          []byte `json:"spec"` // canonical YAML
	DataRoot      string `json:"data_root"`
	TrainManifest []byte `json:"train_manifest"`
	TestManifest  []byte `json:"test_manifest,omitempty"`
	Lanes         int    `json:"lanes"`
	MinWorkers    int    `json:"min_workers"`
	MaxWorkers    int    `json:"max_workers"`
	Epochs        int    `json:"epochs"`
	StepsPerEpoch int64  `json:"steps_per_epoch"`
	Records       int64  `json:"records"`
	Parameters    int64  `json:"parameters"`

	// How it stands.

	Phase  Phase  `json:"phase"`
	Reason string `json:"reason"` // why it is in this phase, for a person
	// Generation is the last one started; 0 before the first.
	Generation   uint64    `json:"generation"`
	GenerationAt time.Time `json:"generation_at,omitzero"`
	// Edition is that of the bits that it computes; 0 if it was not noted. EditionSince
	// is the generation that began with it.
	Edition      uint32 `json:"edition,omitempty"`
	EditionSince uint64 `json:"edition_since,omitempty"`
	// Members are those of the last generation. They are reserved for the job
	// while Phase.Holds; afterwards they are the ones that have the model.
	Members []Member `json:"members,omitempty"`
	// Blames are the reports that the present generation broke.
	Blames   []Blame   `json:"blames,omitempty"`
	BrokenAt time.Time `json:"broken_at,omitzero"`
	// Attempts counts the generations started since the job last got further.
	Attempts int `json:"attempts,omitempty"`
	// Suspended workers are kept out until the time given.
	Suspended map[string]time.Time `json:"suspended,omitempty"`
	// Excluded workers are kept out in the incarnation given: their disk or their data are bad.
	Excluded map[string]string `json:"excluded,omitempty"`

	Cursor      Cursor        `json:"cursor"`  // the highest reported
	Reached     Cursor        `json:"reached"` // the last reported
	History     []EpochResult `json:"history,omitempty"`
	Checkpoints []Checkpoint  `json:"checkpoints,omitempty"` // by cursor, ascending
	WeightsSHA  string        `json:"weights_sha256,omitempty"`
	Error       string        `json:"error,omitempty"`
	Events      []Event       `json:"events,omitempty"` // the last ones, oldest first
	Logged      int64         `json:"logged"`           // events ever, those dropped included

	SubmittedAt time.Time `json:"submitted_at"`
	StartedAt   time.Time `json:"started_at,omitzero"`
	EndedAt     time.Time `json:"ended_at,omitzero"`
}

// Member returns the member that worker id is, or nil.
func (j *Job) Member(id string) *Member {
	if i := slices.IndexFunc(j.Members, func(m Member) bool { return m.Worker == id }); i >= 0 {
		return &j.Members[i]
	}
	return nil
}

// Floor returns the newest complete checkpoint: no generation may start below
// it. It is nil if there is none.
func (j *Job) Floor() *Checkpoint {
	for i := len(j.Checkpoints) - 1; i >= 0; i-- {
		if j.Checkpoints[i].Complete {
			return &j.Checkpoints[i]
		}
	}
	return nil
}

// most returns the largest number of workers that the job can use.
func (j *Job) most() int { return min(j.MaxWorkers, j.Lanes) }

// State is the replicated state. It is not safe for use by several goroutines
// while one of them calls Apply.
type State struct {
	jobs map[string]*Job
	last uint64 // Number of the job submitted last
}

// NewState returns the state before the first command.
func NewState() *State { return &State{jobs: map[string]*Job{}} }

// Job returns the job with this id, or ErrNotFound.
func (s *State) Job(id string) (*Job, error) {
	if j, ok := s.jobs[id]; ok {
		return j, nil
	}
	return nil, fmt.Errorf("job %q: %w", id, ErrNotFound)
}

// Jobs returns all jobs, oldest first.
func (s *State) Jobs() []*Job {
	return slices.SortedFunc(maps.Values(s.jobs), func(a, b *Job) int { return cmp.Compare(a.Number, b.Number) })
}

// queue returns the jobs in the order in which they are served: by priority,
// the highest first, then by age.
func (s *State) queue() []*Job {
	return slices.SortedFunc(maps.Values(s.jobs), func(a, b *Job) int {
		return cmp.Or(cmp.Compare(b.Priority, a.Priority), cmp.Compare(a.Number, b.Number))
	})
}

// Apply makes the change that c asks for, or refuses it and changes nothing. It
// returns the id of the job concerned; a refusal is one of the package's errors,
// wrapped. It never panics, whatever c says.
func (s *State) Apply(c Command) (string, error) {
	if c.Op == nil {
		return "", fmt.Errorf("empty command: %w", ErrInvalid)
	}
	return c.Op.apply(s, c)
}

// change applies f to a copy of the job and keeps the copy if f agrees.
func (s *State) change(id string, f func(*Job) error) (string, error) {
	old, err := s.Job(id)
	if err != nil {
		return "", err
	}
	j := *old
	if err := f(&j); err != nil {
		return id, fmt.Errorf("job %s: %w", id, err)
	}
	s.jobs[id] = &j
	return id, nil
}

// log appends an event.
func (j *Job) log(at time.Time, node, format string, args ...any) {
	j.append(Event{At: at, Node: node, Message: fmt.Sprintf(format, args...)})
}

// append appends an event. If there are too many, the oldest routine one goes,
// else the oldest: a long job keeps the story of its faults. Old slices stay as
// they were.
func (j *Job) append(e Event) {
	if len(e.Message) > maxMessage {
		e.Message = strings.ToValidUTF8(e.Message[:maxMessage], "") + "…"
	}
	events := append(make([]Event, 0, len(j.Events)+1), j.Events...)
	if len(events) >= MaxEvents {
		drop := max(0, slices.IndexFunc(events, func(e Event) bool { return e.Routine }))
		events = slices.Delete(events, drop, drop+1)
	}
	j.Logged++
	j.Events = append(events, e)
}

// end moves the job to a phase in which it does nothing more.
func (j *Job) end(c Command, p Phase, reason string) {
	j.Phase, j.Reason, j.EndedAt = p, reason, c.At
	j.Blames, j.BrokenAt, j.Suspended = nil, time.Time{}, nil
}
