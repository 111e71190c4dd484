package worker

import (
	"context"

	"github.com/lockstep-ml/lockstep/pkg/nn"
)

// learner is the part of nn.Trainer that a generation drives.
type learner interface {
	// Init sets the parameters from the job's seed.
	Init()
	// Gradient computes the local lanes' gradients and calls ready(i) once
	// bucket i is final, for 0, 1, 2, … It changes nothing of State.
	Gradient(b *nn.Batch, ready func(bucket int)) error
	// Buckets and Stats are what must be summed over the ranks before Commit.
	Buckets() []nn.Bucket
	Stats() []int32
	// Commit ends the step, or asks for Gradient again (Outcome.Repeat).
	Commit() (nn.Outcome, error)

	// An evaluation is ResetEval, Evaluate for each batch, a sum of EvalStats
	// over the ranks, EvalResult.
	ResetEval()
	Evaluate(b *nn.Batch) error
	EvalStats() []int32
	EvalResult() (loss float64, metrics []float64, err error)
	// Evaluated takes note of the result, in State, and says what follows from it.
	Evaluated(loss float64, metrics []float64) nn.Verdict

	// State is views of all that makes up the training state; SetState copies
	// such views, or refuses them and changes nothing. ParamTensors are what a
	// model file holds.
	State() []nn.Tensor
	SetState(from []nn.Tensor) error
	ParamTensors() []nn.Tensor
}

// batches gives the merged micro-batches of some lanes, step by step. A batch is
// valid until the next call.
type batches interface {
	Next(ctx context.Context) (*nn.Batch, error)
	Close()
}

// task is a job made ready to be trained on this worker: what is the same for
// every generation.
type task struct {
	job    string
	digest string // of the job file and the data; states of another are refused
	span   span

	metrics []string // names, in the order of all metric values

	checkpointEvery int // steps; 0: at the end of every epoch
	checkpointKeep  int
	digestEvery     int // steps between comparisons of the replicas

	// newLearner makes the learner of a set of lanes; its state is undefined.
	newLearner func(lanes []int) (learner, error)
	// train opens the batches from a position on, across epochs.
	train func(ctx context.Context, lanes []int, from position) (batches, error)
	// test opens the batches of one evaluation; nil if the job has no test data.
	test      func(ctx context.Context, lanes []int) (batches, error)
	testSteps int
	// saveModel writes the model file and returns its SHA-256, hex.
	saveModel func(l learner) (string, error)
	// close frees what the task holds.
	close func() error
}
