package nn

import (
	"fmt"
	"strings"
)

// Node is one thing that a job names from the Catalogue: a layer of the model,
// the loss, the optimiser, the schedule, the recipe or a metric.
type Node struct {
	// Kind is the name of a catalogue entry, say "dense".
	Kind string
	// Name lets other nodes refer to this one. It may be empty.
	Name string
	// From names the inputs of a layer; "input" is the record. Empty means the
	// layer before.
	From []string
	// Fields are the entry's fields that were given: int64, float64, bool,
	// string, or []any of these; a Node or []Node for fields that name others.
	Fields map[string]any
	// Path is where the node stands in the job, for errors: "model[3]", "loss".
	Path string
}

// Spec is what a job says about its network and how to train it.
type Spec struct {
	// Model is the network in order of computation.
	Model []Node
	// Recipe says what a step does with a batch; without a kind it is supervised.
	Recipe Node
	// Custom are kinds beside those of the Catalogue; a kind of the same name
	// takes the place of ours.
	Custom Kinds
	// Loss and Optimizer are required. A Schedule without a kind is constant.
	Loss, Optimizer, Schedule Node
	// Metrics are computed beside the loss.
	Metrics []Node
	// Groups are parameters that are trained otherwise than the rest.
	Groups []Group
	// EarlyStop says when training ends before its last epoch; its fields are
	// EarlyStopFields. nil: never.
	EarlyStop *Node
	// Tested means that Trainer.Evaluated is called after every epoch.
	Tested bool
	// Seed decides initial values and dropout masks.
	Seed uint64
	// Epochs and StepsPerEpoch say how long a schedule is.
	Epochs, StepsPerEpoch int
	// Steps is the number of updates if the last epoch is cut short; 0 means all
	// of every epoch.
	Steps int
	// Lanes is V: the number of slices of every batch, on all workers together.
	Lanes int
	// Exact sums gradients as integers, so that the result has the same bits for
	// any number of workers. Otherwise they are summed as float32.
	Exact bool
}

// total is the number of updates.
func (s *Spec) total() int {
	if s.Steps > 0 {
		return s.Steps
	}
	return s.Epochs * s.StepsPerEpoch
}

// Error is one thing that is wrong with a Spec.
type Error struct {
	// Path is where: a node's Path, then its field: "model[3].units".
	Path string
	// Msg is what is wrong and what was expected.
	Msg string
}

// Error joins path and message.
func (e Error) Error() string {
	if e.Path == "" {
		return e.Msg
	}
	return e.Path + ": " + e.Msg
}

// Errors is all that is wrong with a Spec, in the order of the job file.
type Errors []Error

// Error lists the errors, one a line.
func (e Errors) Error() string {
	lines := make([]string, len(e))
	for i, err := range e {
		lines[i] = err.Error()
	}
	return strings.Join(lines, "\n")
}

// Unwrap lets errors.As find a single Error.
func (e Errors) Unwrap() []error {
	errs := make([]error, len(e))
	for i, err := range e {
		errs[i] = err
	}
	return errs
}

func (e *Errors) addf(path, format string, args ...any) {
	*e = append(*e, Error{Path: path, Msg: fmt.Sprintf(format, args...)})
}

// Input describes the records of a data set as a network sees them.
type Input struct {
	// Shape is that of one record: (F), (C, H, W) or (T, F); for tokens (T).
	Shape []int
	// Tokens is the size of the vocabulary, 0 if the input is float32.
	Tokens int
	// Target is what is to be predicted.
	Target Target
}

// TargetKind says what a target consists of.
type TargetKind string

// The kinds of targets.
const (
	TargetNone  TargetKind = ""      // nothing
	TargetClass TargetKind = "class" // integers below Classes
	TargetValue TargetKind = "value" // float32 numbers
)

// Target describes what is to be predicted for one record.
type Target struct {
	Kind TargetKind
	// Classes is the number of classes of TargetClass.
	Classes int
	// Shape is that of one record's target: empty for one class or one number,
	// (T) for a class at each position, (F) for F numbers.
	Shape []int
	// Mixed says that training records are mixed of two: Batch.Shares.
	Mixed bool
	// Scale is what 1 in a number stands for in the units of the data; 0 counts as
	// 1. Metrics that are distances are given in those units.
	Scale float64
}

// unit is Scale, with its default.
func (t Target) unit() float64 {
	if t.Scale == 0 {
		return 1
	}
	return t.Scale
}

// Size is the number of target elements of a record.
func (t Target) Size() int {
	if t.Kind == TargetNone {
		return 0
	}
	return size(t.Shape)
}

// Batch is the micro-batches of some lanes at one step, merged.
type Batch struct {
	// Epoch and Step are the cursor of the batch.
	Epoch, Step int
	// Lanes are the lanes in the batch, ascending.
	Lanes []int
	// Rows has len(Lanes)+1 entries: the records of Lanes[i] are rows Rows[i]
	// up to Rows[i+1]. Rows[0] is 0. A lane may have no records.
	Rows []int
	// X is the input (rows, Shape...), Tokens takes its place if the input is
	// tokens.
	X      []float32
	Tokens []int32
	// Classes or Y is the target (rows, Target.Shape...).
	Classes []int32
	Y       []float32
	// Shares is given where every record is mixed of two: the share, 0 to 1, of
	// the one whose target is in Classes. Others, like Classes, has the targets of
	// what the rest is of. nil means that nothing is mixed.
	Shares []float32
	Others []int32
	// Weights is one weight a record; nil means 1 each.
	Weights []float32
	// Records are the record ids, for audits and for KeepFeatures; the network does
	// not read them.
	Records []int64
}

// Len is the number of records in the batch.
func (b *Batch) Len() int {
	if len(b.Rows) == 0 {
		return 0
	}
	return b.Rows[len(b.Rows)-1]
}

// size is the number of elements of a shape; 1 for the empty shape.
func size(shape []int) int {
	n := 1
	for _, d := range shape {
		n *= d
	}
	return n
}

// shapeString is (3, 28, 28).
func shapeString(shape []int) string {
	s := make([]string, len(shape))
	for i, d := range shape {
		s[i] = fmt.Sprint(d)
	}
	return "(" + strings.Join(s, ", ") + ")"
}
