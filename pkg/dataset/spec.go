package dataset

import (
	"context"

	"github.com/lockstep-ml/lockstep/pkg/shard"
)

// Spec is what a job says about its data.
type Spec struct {
	// Format is the name of an entry of Formats.
	Format string
	// Train and Test say where the records are. The zero Test means that there is
	// no test set.
	Train, Test Files
	// Options are the settings of the format: *IDX, *CSV, …
	Options Options
}

// Files says where the records of a split are. Paths are relative to the job's
// data root.
type Files struct {
	// Path is the file of a format that has one file a split.
	Path string
	// Under is the folder within Path that holds the classes' folders, for format
	// images; "" is Path itself.
	Under string
	// Images and Labels are the two files of format idx; Labels may be empty.
	Images, Labels string
	// Skip leaves out the first records, Take all after that many; 0 takes all.
	Skip, Take int64
	// Fraction, in a test split without files, takes this share of the training
	// files' records from the training set; 0 < Fraction < 1. Format csv picks
	// them at random by Seed, the others take the last.
	Fraction float64
	Seed     uint64
}

// IsZero reports whether nothing is said.
func (f Files) IsZero() bool { return f == Files{} }

// Options are the settings of one format, and know how to read it. The formats of
// this package implement it.
type Options interface {
	// fit reads the training split as far as it must and sets the planes, the
	// input and the fit of m. It also returns the split's table if it has made it
	// on the way, or nil.
	fit(ctx context.Context, env *env, s split, m *shard.Manifest) (*table, error)
	// inputs returns the plane of the inputs that fit made for the input and the fit
	// of m, or an error if these are not of such options.
	inputs(m *shard.Manifest) (shard.Plane, error)
	// load makes the records of a split readable at random, coded as m says.
	load(ctx context.Context, env *env, s split, m *shard.Manifest) (*table, error)
}

// Format is one entry of the catalogue of formats.
type Format struct {
	Name    string  `json:"name"`
	Summary string  `json:"summary"`
	Fields  []Field `json:"fields"`

	decode func(v values, bad func(field, format string, args ...any)) Options
}

// Formats returns all formats, by name. A new format is a file of this package
// and a line here.
func Formats() []Format {
	return []Format{
		csvFormat(),
		idxFormat(),
		imagesFormat(),
		seriesFormat(),
		textFormat(),
	}
}

// Decode makes a Spec of the data section of a job: strings, numbers, bools,
// []any and map[string]any. It reports all that is wrong, as Errors; the
// paths begin with "data.".
func Decode(section map[string]any) (Spec, error) {
	var d decoder
	spec := d.spec(section)
	if len(d.errs) > 0 {
		return Spec{}, d.errs
	}
	return spec, nil
}
