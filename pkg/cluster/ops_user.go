package cluster

import (
	"fmt"
	"time"
)

// The operations that users ask for.

// Submit queues a job that was checked. A request id that some job already bears
// is answered with that job.
type Submit struct {
	RequestID     string `json:"request_id,omitempty"`
	Name          string `json:"name"`
	Priority      int    `json:"priority"`
	Spec          []byte `json:"spec"`
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
	// Notes are lines for the job's log: what was found when the job was checked.
	Notes []string `json:"notes,omitempty"`
}

func (*Submit) kind() string { return "submit" }

func (o *Submit) check() error {
	switch {
	case o.Name == "":
		return fmt.Errorf("a job needs a name: %w", ErrInvalid)
	case o.MinWorkers < 1 || o.MaxWorkers < o.MinWorkers || o.Lanes < o.MinWorkers:
		return fmt.Errorf("workers %d..%d with %d lanes: need 1 <= min <= max and min <= lanes: %w",
			o.MinWorkers, o.MaxWorkers, o.Lanes, ErrInvalid)
	}
	return nil
}

func (o *Submit) apply(s *State, c Command) (string, error) {
	if err := o.check(); err != nil {
		return "", err
	}
	for _, j := range s.jobs {
		if o.RequestID != "" && j.RequestID == o.RequestID {
			return j.ID, nil
		}
	}
	s.last++
	s.retire()
	j := &Job{
		ID: fmt.Sprintf("%s-%d", o.Name, s.last), Name: o.Name, Number: s.last,
		Priority: o.Priority, RequestID: o.RequestID,
		Spec: o.Spec, DataRoot: o.DataRoot, TrainManifest: o.TrainManifest, TestManifest: o.TestManifest,
		Lanes: o.Lanes, MinWorkers: o.MinWorkers, MaxWorkers: o.MaxWorkers,
		Epochs: o.Epochs, StepsPerEpoch: o.StepsPerEpoch, Records: o.Records, Parameters: o.Parameters,
		Phase: Queued, Reason: "queued", SubmittedAt: c.At,
	}
	j.log(c.At, c.Node, "submitted: %d records, %d steps an epoch, %d epochs, %d parameters",
		j.Records, j.StepsPerEpoch, j.Epochs, j.Parameters)
	for _, note := range o.Notes {
		j.log(c.At, c.Node, "%s", note)
	}
	s.jobs[j.ID] = j
	return j.ID, nil
}

// retire drops the oldest of the jobs that have ended if there are more than MaxEnded.
func (s *State) retire() {
	var oldest *Job
	ended := 0
	for _, j := range s.jobs {
		if !j.Phase.Ended() {
			continue
		}
		ended++
		if oldest == nil || j.Number < oldest.Number {
			oldest = j
		}
	}
	if ended > MaxEnded {
		delete(s.jobs, oldest.ID)
	}
}

// Cancel ends a job that has not ended. To cancel a cancelled job again is no error.
type Cancel struct {
	Job string `json:"job"`
}

func (*Cancel) kind() string { return "cancel" }

func (o *Cancel) apply(s *State, c Command) (string, error) {
	return s.change(o.Job, func(j *Job) error {
		if j.Phase == Cancelled {
			return nil
		}
		if j.Phase.Ended() {
			return fmt.Errorf("it has %s already: %w", j.Phase, ErrPhase)
		}
		j.end(c, Cancelled, "cancelled by the user")
		j.log(c.At, c.Node, "cancelled at %s", j.Cursor)
		return nil
	})
}

// Resume queues a cancelled or failed job again. A job that is queued or waits
// forgets the workers it was to do without. If it could run but for its
// checkpoint, it also forgets the checkpoints that only absent workers have
// (Present lists the others), so that a lost disk does not hold it for ever. To
// resume a job that is running is no error.
type Resume struct {
	Job string `json:"job"`
	// Present lists the workers that are alive.
	Present []string `json:"present,omitempty"`
}

func (*Resume) kind() string { return "resume" }

func (o *Resume) apply(s *State, c Command) (string, error) {
	return s.change(o.Job, func(j *Job) error {
		switch j.Phase {
		case Succeeded:
			return fmt.Errorf("it has succeeded: there is nothing to resume: %w", ErrPhase)
		case Running:
			return nil
		case Queued, Waiting:
			j.forget(c, o.Present)
		default:
			j.Phase, j.Reason, j.Error = Queued, "queued: resumed", ""
			j.EndedAt = time.Time{}
			j.log(c.At, c.Node, "resumed")
		}
		j.Attempts, j.Suspended, j.Excluded = 0, nil, nil
		return nil
	})
}

// forget drops the checkpoints that no worker of present has, unless the job
// needs more workers anyway: then theirs may be among those that are to come.
func (j *Job) forget(c Command, present []string) {
	if len(present) < j.MinWorkers {
		return
	}
	var kept []Checkpoint
	for _, k := range j.Checkpoints {
		if k.heldBy(present) {
			kept = append(kept, k)
			continue
		}
		j.log(c.At, c.Node, "checkpoint at %s given up: its workers %v are absent", k.Cursor, k.Workers)
	}
	j.Checkpoints = kept
}

// Note adds a line to a job's log.
type Note struct {
	Job     string `json:"job"`
	Worker  string `json:"worker"`
	Message string `json:"message"`
}

func (*Note) kind() string { return "note" }

func (o *Note) apply(s *State, c Command) (string, error) {
	return s.change(o.Job, func(j *Job) error {
		j.log(c.At, o.Worker, "%s", o.Message)
		return nil
	})
}
