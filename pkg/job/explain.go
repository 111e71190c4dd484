package job

import (
	"errors"

	"github.com/lockstep-ml/lockstep/pkg/dataset"
	"github.com/lockstep-ml/lockstep/pkg/nn"
)

// source is what a Spec was read from: it gives errors found later, say in
// the shapes of the data, their line and column.
type source struct {
	file string
	text []byte
	root *node
}

// FieldError is an error that knows which field of the job file it is about.
type FieldError interface {
	error
	// FieldPath returns the path of the field, "data.train.images", and the
	// message without it.
	FieldPath() (path, message string)
}

// Explain gives the errors in err that name a field (nn.Error and whatever
// implements FieldError) their line, column and source text; the result is then
// Problems. It returns err itself if there is none, and nil for nil.
func (s *Spec) Explain(err error) error {
	ps := newProblems(s.source.file, s.source.text)
	if err == nil || !explain(err, s.source.root, ps) {
		return err
	}
	return ps.err()
}

// CheckInput checks that the augmentations and the network fit the records: every
// shape, and the loss to the target. stepsPerEpoch is the number of steps that an epoch of the
// data has. It returns the plan, or Problems.
func (s *Spec) CheckInput(in nn.Input, stepsPerEpoch int) (*nn.Plan, error) {
	mixed, err := dataset.CheckAugment(s.Augment, in)
	in.Target.Mixed = mixed
	plan, misfit := nn.NewPlan(s.Network(stepsPerEpoch), in)
	if err := errors.Join(err, misfit); err != nil {
		return nil, s.Explain(err)
	}
	return plan, nil
}

// explain adds every error in the tree of err that names a field to ps, and
// those beside them without a place. It reports whether any did.
func explain(err error, root *node, ps *problems) bool {
	switch e := err.(type) {
	case nn.Error:
		ps.add(root.locate(e.Path), "%s", e.Error())
		return true
	case FieldError:
		path, message := e.FieldPath()
		ps.add(root.locate(path), "%s: %s", path, message)
		return true
	case interface{ Unwrap() error }:
		return explain(e.Unwrap(), root, ps)
	case interface{ Unwrap() []error }:
		found := false
		var others []error
		for _, inner := range e.Unwrap() {
			if explain(inner, root, ps) {
				found = true
			} else {
				others = append(others, inner)
			}
		}
		for i := 0; found && i < len(others); i++ {
			ps.add(root.at, "%v", others[i])
		}
		return found
	}
	return false
}
