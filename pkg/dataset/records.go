package dataset

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/lockstep-ml/lockstep/pkg/shard"
)

// OpenRecords makes new records readable, to apply a model to them: the file is of the
// format of spec, which need not name it, and the records are coded as those that the
// input and the fit of fitted are of. Their targets need not be in the file and are not
// read. The path is relative to the working directory. The Set must be closed.
func OpenRecords(ctx context.Context, spec Spec, file string, fitted *shard.Manifest) (*Set, error) {
	if spec.Options == nil {
		return nil, &Error{Path: "data.format", Msg: "the spec has no format"}
	}
	x, err := spec.Options.inputs(fitted)
	if err != nil {
		return nil, err
	}
	m := &shard.Manifest{Version: shard.Version, Format: spec.Format, Split: shard.Test,
		Planes: []shard.Plane{x}, Input: fitted.Input, Fit: fitted.Fit}
	s := split{path: "records", unlabelled: true, files: Files{Path: file}}
	if spec.Format == idxFormat().Name {
		s.files = Files{Images: file}
	}
	t, err := spec.Options.load(ctx, &env{limit: memoryLimit}, s, m)
	if err != nil {
		return nil, err
	}
	if t.records == 0 {
		err = &Error{Path: s.path, File: file, Msg: "has no records"}
	} else if err = seal(ctx, s, t, m); err == nil {
		err = checkManifest(spec, m)
	}
	if err != nil {
		return nil, errors.Join(err, t.Close())
	}
	return &Set{m: m, t: t, checked: newChecks(m)}, nil
}

// sameInput compares the input of a manifest with what the options make of a record.
func sameInput(m *shard.Manifest, dims []int, tokens int) error {
	if slices.Equal(m.Input.Shape, dims) && m.Input.Tokens == tokens {
		return nil
	}
	text := func(dims []int, tokens int) string {
		if tokens == 0 {
			return "numbers of shape " + shape(dims)
		}
		return fmt.Sprintf("%d tokens of %d", product(dims), tokens)
	}
	return fmt.Errorf("the model was trained on records of %s, but the job makes %s of one; use the job that it was trained by",
		text(m.Input.Shape, m.Input.Tokens), text(dims, tokens))
}
