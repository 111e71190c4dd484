package cluster

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// The operations that workers report.

// current refuses a report that is not about the job's present generation.
func (j *Job) current(generation uint64) error {
	if !j.Phase.Holds() || generation != j.Generation {
		return fmt.Errorf("report of generation %d, the job is %s at %d: %w", generation, j.Phase, j.Generation, ErrStale)
	}
	return nil
}

// Progress says how far a generation is.
type Progress struct {
	Job        string `json:"job"`
	Generation uint64 `json:"generation"`
	Cursor     Cursor `json:"cursor"`
	// History holds all epochs finished so far.
	History []EpochResult `json:"history,omitempty"`
}

func (*Progress) kind() string { return "progress" }

func (o *Progress) apply(s *State, _ Command) (string, error) {
	return s.change(o.Job, func(j *Job) error {
		if err := j.current(o.Generation); err != nil {
			return err
		}
		j.advance(o.Cursor)
		j.extend(o.History)
		return nil
	})
}

// advance notes the cursor of a report.
func (j *Job) advance(to Cursor) {
	if to != j.Reached {
		j.Attempts = 0
	}
	j.Reached = to
	if to.Compare(j.Cursor) > 0 {
		j.Cursor = to
	}
}

// extend replaces the history by one that is at least as long.
func (j *Job) extend(history []EpochResult) {
	if len(history) > len(j.History) {
		j.History = history
	}
}

// Saved says that a worker has a checkpoint on its disk.
type Saved struct {
	Job    string `json:"job"`
	Worker string `json:"worker"`
	Cursor Cursor `json:"cursor"`
	SHA256 string `json:"sha256"`
	Bytes  int64  `json:"bytes"`
}

func (*Saved) kind() string { return "saved" }

func (o *Saved) apply(s *State, c Command) (string, error) {
	return s.change(o.Job, func(j *Job) error {
		if o.Worker == "" || o.SHA256 == "" {
			return fmt.Errorf("checkpoint without worker or checksum: %w", ErrInvalid)
		}
		points := slices.Clone(j.Checkpoints)
		i, found := slices.BinarySearchFunc(points, o.Cursor, func(k Checkpoint, at Cursor) int { return k.Cursor.Compare(at) })
		switch {
		case !found && i == 0 && len(points) == MaxCheckpoints:
			return nil // older than all that are kept
		case !found:
			points = slices.Insert(points, i, o.checkpoint(j))
		case points[i].SHA256 != o.SHA256 && points[i].Since != j.EditionSince:
			points[i] = o.checkpoint(j)
		case points[i].SHA256 != o.SHA256:
			j.log(c.At, c.Node, "the checkpoint of worker %s at %s has sha256 %s, others have %s: a machine computes or stores wrongly",
				o.Worker, o.Cursor, o.SHA256, points[i].SHA256)
			return nil
		case slices.Contains(points[i].Workers, o.Worker):
			return nil
		}
		k := &points[i]
		k.Workers = append(slices.Clone(k.Workers), o.Worker)
		if !k.Complete && k.heldByAll(j.Members) {
			k.Complete = true
			j.append(Event{At: c.At, Node: c.Node, Routine: true,
				Message: fmt.Sprintf("checkpoint at %s registered, sha256 %.12s, %d bytes", k.Cursor, k.SHA256, k.Bytes)})
		}
		j.Checkpoints = trim(points)
		return nil
	})
}

// checkpoint is the one that o says to be on the worker's disk, without workers.
func (o *Saved) checkpoint(j *Job) Checkpoint {
	return Checkpoint{Cursor: o.Cursor, SHA256: o.SHA256, Bytes: o.Bytes, Since: j.EditionSince}
}

// trim drops the oldest checkpoints beyond MaxCheckpoints, but never the newest complete one.
func trim(points []Checkpoint) []Checkpoint {
	for len(points) > MaxCheckpoints {
		drop := 0
		if points[0].Complete && !slices.ContainsFunc(points[1:], func(k Checkpoint) bool { return k.Complete }) {
			drop = 1
		}
		points = slices.Delete(points, drop, drop+1)
	}
	return points
}

func (k *Checkpoint) heldBy(workers []string) bool {
	return slices.ContainsFunc(k.Workers, func(w string) bool { return slices.Contains(workers, w) })
}

func (k *Checkpoint) heldByAll(members []Member) bool {
	return len(members) > 0 && !slices.ContainsFunc(members, func(m Member) bool { return !slices.Contains(k.Workers, m.Worker) })
}

// Broken says that a ring of the present generation broke.
type Broken struct {
	Job        string `json:"job"`
	Generation uint64 `json:"generation"`
	Blame      Blame  `json:"blame"`
}

func (*Broken) kind() string { return "broken" }

func (o *Broken) apply(s *State, c Command) (string, error) {
	return s.change(o.Job, func(j *Job) error {
		if err := j.current(o.Generation); err != nil {
			return err
		}
		if len(j.Blames) >= maxBlames || slices.ContainsFunc(j.Blames, func(b Blame) bool {
			return b.Worker == o.Blame.Worker && b.Suspect == o.Blame.Suspect
		}) {
			return nil
		}
		if j.BrokenAt.IsZero() {
			j.BrokenAt = c.At
		}
		j.Blames = append(slices.Clone(j.Blames), o.Blame)
		text := "the ring broke"
		if o.Blame.Suspect != "" {
			text += " at " + o.Blame.Suspect
		}
		j.log(c.At, cmp.Or(o.Blame.Worker, c.Node), "%s: %s", text, o.Blame.Error)
		return nil
	})
}

// Done says that the job's last epoch is done, or that it stopped before.
type Done struct {
	Job        string        `json:"job"`
	Generation uint64        `json:"generation"`
	WeightsSHA string        `json:"weights_sha256"`
	History    []EpochResult `json:"history,omitempty"`
	// Stopped says why the job ended before its last epoch; empty if it did not.
	Stopped string `json:"stopped,omitempty"`
}

func (*Done) kind() string { return "done" }

func (o *Done) apply(s *State, c Command) (string, error) {
	return s.change(o.Job, func(j *Job) error {
		if j.Phase == Succeeded && o.Generation == j.Generation {
			return nil // said twice
		}
		if err := j.current(o.Generation); err != nil {
			return err
		}
		if o.WeightsSHA == "" {
			return fmt.Errorf("done without the checksum of the weights: %w", ErrInvalid)
		}
		j.advance(Cursor{Epoch: int32(j.Epochs)})
		j.extend(o.History)
		j.WeightsSHA = o.WeightsSHA
		if o.Stopped != "" {
			j.end(c, Succeeded, o.Stopped)
			j.log(c.At, c.Node, "%s", o.Stopped)
		} else {
			j.end(c, Succeeded, "succeeded")
		}
		j.log(c.At, c.Node, "succeeded: weights sha256 %s", o.WeightsSHA)
		return nil
	})
}

// Fail says that a job can not go on, or not with this worker.
type Fail struct {
	Job        string `json:"job"`
	Generation uint64 `json:"generation"`
	Worker     string `json:"worker"`
	Error      string `json:"error"`
	// WorkerOnly keeps the job alive and the worker, in its present incarnation, out of it.
	WorkerOnly bool `json:"worker_only,omitempty"`
}

func (*Fail) kind() string { return "fail" }

func (o *Fail) apply(s *State, c Command) (string, error) {
	return s.change(o.Job, func(j *Job) error {
		if err := j.current(o.Generation); err != nil {
			return err
		}
		text := strings.ToValidUTF8(o.Error[:min(len(o.Error), maxMessage)], "")
		if !o.WorkerOnly {
			j.Error = fmt.Sprintf("worker %s: %s", o.Worker, text)
			j.end(c, Failed, "failed: "+j.Error)
			j.log(c.At, o.Worker, "failed: %s", text)
			return nil
		}
		m := j.Member(o.Worker)
		if m == nil {
			return fmt.Errorf("worker %s is no member: %w", o.Worker, ErrInvalid)
		}
		excluded := maps.Clone(j.Excluded)
		if excluded == nil {
			excluded = map[string]string{}
		}
		excluded[o.Worker] = m.Incarnation
		j.Excluded = excluded
		j.log(c.At, o.Worker, "kept out of the job until it is restarted or the job resumed: %s", text)
		return nil
	})
}
