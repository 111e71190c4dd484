package job

import (
	"slices"

	"github.com/lockstep-ml/lockstep/pkg/dataset"
	"github.com/lockstep-ml/lockstep/pkg/nn"
)

// layerNoun is what the elements of model are called in messages.
const layerNoun = "layer"

// defaultKeep is the number of checkpoints that every worker keeps.
const defaultKeep = 3

// defaultFeatures is workers.features, in MiB.
const defaultFeatures = 256

// Fields returns the fields of the first level that are one value, in the
// order of the documentation. This table is what Decode checks and what
// docs/job-spec.md shows.
func Fields() []nn.Field {
	return []nn.Field{
		{Name: "name", Type: textType, Required: true,
			Summary: "a short word; job ids and file names begin with it"},
		{Name: "seed", Type: integerType, Default: int64(0), Min: bound(0),
			Summary: "decides initial values, dropout masks, augmentation and the order of records; below 2^64"},
		{Name: "priority", Type: integerType, Default: int64(0), Min: bound(-1000), Max: bound(1000),
			Summary: "queued jobs of higher priority go first"},
		{Name: "epochs", Type: integerType, Min: bound(1), Max: bound(1e6),
			Summary: "passes over the data"},
		{Name: "steps", Type: integerType, Min: bound(1), Max: bound(1e9),
			Summary: "the job ends after so many optimiser updates, in the middle of an epoch if need be"},
		{Name: "global_batch", Type: integerType, Required: true, Min: bound(1), Max: bound(1 << 20),
			Summary: "records of a step, all workers together"},
		{Name: "lanes", Type: integerType, Default: int64(8), Min: bound(1), Max: bound(1024),
			Summary: "fixed slices of a global batch; part of the result, and the most workers the job can use"},
		{Name: "arithmetic", Type: textType, Default: "exact", Values: []string{"exact", "fast"},
			Summary: "exact gives the same bits for any number of workers; fast sums gradients as float32"},
	}
}

func workersFields() []nn.Field {
	return []nn.Field{
		{Name: "min", Type: integerType, Default: int64(1), Min: bound(1), Max: bound(1024),
			Summary: "the job waits until so many workers are free"},
		{Name: "max", Type: integerType, Min: bound(1), Max: bound(1024),
			Summary: "the job uses at most so many; lanes if not given"},
		{Name: "records", Type: integerType, Default: int64(0), Min: bound(0), Max: bound(1 << 20),
			Summary: "gradient accumulation: a worker computes at most so many records at once, some of its lanes after the other; 0 is all"},
		{Name: "features", Type: integerType, Default: int64(defaultFeatures), Min: bound(0), Max: bound(1 << 20),
			Summary: "MiB in which a worker keeps what frozen layers make of records, to compute it once and not in every epoch; 0 keeps nothing"},
	}
}

func checkpointFields() []nn.Field {
	return []nn.Field{
		{Name: "every", Type: integerType, Default: int64(0), Min: bound(0), Max: bound(1e9),
			Summary: "steps from one checkpoint to the next; 0 saves at the end of every epoch"},
		{Name: "keep", Type: integerType, Default: int64(defaultKeep), Min: bound(1), Max: bound(1000),
			Summary: "how many checkpoints every worker keeps"},
	}
}

// LayerFields returns the fields that every layer has beside its own.
func LayerFields() []nn.Field {
	return []nn.Field{
		{Name: nameKey, Type: textType, Summary: "lets other layers refer to this one; its parameters are named by it"},
		{Name: fromKey, Type: textsType, Summary: "the inputs: a name or a list of names; \"input\" is the record; the layer before if not given"},
	}
}

func bound(v float64) *float64 { return &v }

// Catalogue lists everything that a job file can name, in the order of the
// documentation: the reader's own kinds, what package nn has, and the
// augmentations of package dataset.
func (r Reader) Catalogue() []nn.Entry {
	all := slices.Concat(r.Kinds.Entries(), nn.Catalogue(), dataset.Augmentations())
	for i := range all {
		if all[i].Fields == nil {
			all[i].Fields = []nn.Field{} // a list for programs, too
		}
	}
	return all
}

// Section is a field of the first level that has parts of its own.
type Section struct {
	Name     string
	Required bool
	Summary  string
	// Classes are the classes of the catalogue that may stand here.
	Classes []string
	// Fields are the parts, for sections that are not of the catalogue.
	Fields []nn.Field

	read func(d *decoder, s *Spec, n *node)
}

// Sections returns the sections of a job file in the order of the documentation.
func Sections() []Section { return sections() }

func sections() []Section {
	return []Section{
		{Name: "data", Required: true, read: (*decoder).data,
			Summary: "where the records come from"},
		{Name: "augment", Classes: []string{"augmentation"}, read: (*decoder).augment,
			Summary: "how training records are varied, anew each time they are used"},
		{Name: "model", Required: true, Classes: []string{"layer", "activation"}, read: (*decoder).model,
			Summary: "the layers, in the order of computation"},
		{Name: "start", Fields: startFields(), read: (*decoder).start,
			Summary: "weights of another training to start from"},
		{Name: "recipe", Classes: []string{"recipe"},
			Summary: "what a step does with a batch; supervised if not given",
			read:    func(d *decoder, s *Spec, n *node) { s.Net.Recipe = d.component(n, "recipe", "recipe", "recipe") }},
		{Name: "groups", Fields: nn.GroupFields(), read: (*decoder).groups,
			Summary: "parameters that are trained otherwise than the rest, or not at all: a list of groups with these fields"},
		{Name: "loss", Required: true, Classes: []string{"loss"},
			Summary: "what training makes small",
			read:    func(d *decoder, s *Spec, n *node) { s.Net.Loss = d.component(n, "loss", "loss", "loss") }},
		{Name: "optimizer", Required: true, Classes: []string{"optimizer"},
			Summary: "how gradients change the parameters",
			read: func(d *decoder, s *Spec, n *node) {
				s.Net.Optimizer = d.component(n, "optimizer", "optimizer", "optimizer")
			}},
		{Name: "schedule", Classes: []string{"schedule"},
			Summary: "how the learning rate changes over time; constant if not given",
			read: func(d *decoder, s *Spec, n *node) {
				s.Net.Schedule = d.component(n, "schedule", "schedule", "schedule")
			}},
		{Name: "early_stop", Fields: nn.EarlyStopFields(), read: (*decoder).earlyStop,
			Summary: "ends the job when the evaluations of its test data get no better"},
		{Name: "metrics", Classes: []string{"metric"}, read: (*decoder).metrics,
			Summary: "what is computed beside the loss"},
		{Name: "workers", Fields: workersFields(), read: (*decoder).workers,
			Summary: "how many workers the job is given, and how many records each computes at once"},
		{Name: "checkpoint", Fields: checkpointFields(), read: (*decoder).checkpoint,
			Summary: "when the training state is saved, besides at the end of the job"},
	}
}

// workers reads what workers the job is given, and what they hold at once.
func (d *decoder) workers(s *Spec, n *node) {
	values := d.fields(n, "workers", workersFields())
	s.Workers.Min, s.Workers.Max, s.Workers.Records = toInt(values["min"]), toInt(values["max"]), toInt(values["records"])
	if features, ok := values["features"]; ok {
		s.Workers.Features = toInt(features)
	}
}

// earlyStop reads when to end before the last epoch.
func (d *decoder) earlyStop(s *Spec, n *node) {
	s.Net.EarlyStop = &nn.Node{Kind: "early_stop", Path: "early_stop", Fields: d.fields(n, "early_stop", nn.EarlyStopFields())}
}

// checkpoint reads when to save.
func (d *decoder) checkpoint(s *Spec, n *node) {
	values := d.fields(n, "checkpoint", checkpointFields())
	s.Checkpoint.Every = toInt(values["every"])
	if keep, ok := values["keep"]; ok {
		s.Checkpoint.Keep = toInt(keep)
	}
}
