package job

import (
	"github.com/lockstep-ml/lockstep/pkg/dataset"
	"github.com/lockstep-ml/lockstep/pkg/nn"
)

// Spec is a job file that was read without a problem. docs/job-spec.md says
// what each field does.
type Spec struct {
	// Name is a short word; job ids and file names begin with it.
	Name string
	// Seed decides initial values, dropout masks, augmentation and the order of records.
	Seed uint64
	// Priority orders queued jobs: the higher goes first. Usually 0.
	Priority int
	// Data says where the records come from.
	Data dataset.Spec
	// Augment says how training records are varied, in this order.
	Augment []nn.Node
	// Net is the network and its training, all but the lengths of a schedule.
	Net nn.Spec
	// Start says which weights training begins with.
	Start Start
	// Epochs is the number of passes over the data; 0 if only Steps bounds the job.
	Epochs int
	// Steps is the number of optimiser updates after which the job ends, in the
	// middle of an epoch if need be; 0 if only Epochs bounds it.
	Steps int
	// GlobalBatch is the number of records of a step, at least Lanes.
	GlobalBatch int
	// Lanes is the number of fixed slices of a global batch; more workers than
	// lanes are of no use.
	Lanes int
	// Exact is true for arithmetic: exact.
	Exact bool
	// Workers bounds the number of workers, 1 <= Min <= Max <= Lanes.
	Workers Workers
	// Checkpoint says when the state is saved.
	Checkpoint Checkpoint

	source *source
}

// Workers bounds how many workers a job is given: it waits for Min and uses up
// to Max.
type Workers struct {
	Min, Max int
	// Records is the most records that a worker computes at once, and so bounds
	// its memory; 0 is all of its lanes. It is at least a lane's share of the
	// global batch and does not change the result.
	Records int
	// Features is how many MiB of what frozen layers make of records a worker keeps.
	// It does not change the result.
	Features int
}

// Rows is how many records a worker with some lanes of at most perLane records
// each computes at once.
func (w Workers) Rows(perLane, lanes int) int {
	if w.Records == 0 {
		return perLane * lanes
	}
	return min(perLane*lanes, max(w.Records, perLane))
}

// Checkpoint says when the training state is saved, besides at the end.
type Checkpoint struct {
	// Every is the number of steps from one checkpoint to the next; 0 means at
	// the end of every epoch.
	Every int
	// Keep is how many checkpoints a worker keeps, the newest ones.
	Keep int
}

// Length returns how many steps and epochs the job has when an epoch has
// stepsPerEpoch steps, at least 1. The last epoch may be cut short by Steps.
func (s *Spec) Length(stepsPerEpoch int) (steps, epochs int) {
	stepsPerEpoch = max(stepsPerEpoch, 1)
	steps = s.Epochs * stepsPerEpoch
	if s.Steps > 0 && (steps == 0 || s.Steps < steps) {
		steps = s.Steps
	}
	return steps, (steps + stepsPerEpoch - 1) / stepsPerEpoch
}

// Network returns what nn.NewPlan needs for a data set whose epoch has
// stepsPerEpoch steps.
func (s *Spec) Network(stepsPerEpoch int) nn.Spec {
	net := s.Net
	net.Steps, net.Epochs = s.Length(stepsPerEpoch)
	net.StepsPerEpoch = stepsPerEpoch
	net.Tested = !s.Data.Test.IsZero()
	return net
}

// Canonical returns the job as YAML with all overrides applied. Decode reads
// the same Spec from it, and its Canonical form is itself.
func (s *Spec) Canonical() []byte { return render(s.source.root) }
