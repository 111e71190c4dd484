package job

import (
	"fmt"

	"github.com/lockstep-ml/lockstep/pkg/nn"
)

// Reader reads job files.
type Reader struct {
	// Kinds are layers and recipes that the files can name beside the catalogue's.
	Kinds nn.Kinds
}

// Decode reads a job file with nothing beside the catalogue.
func Decode(file string, text []byte, overrides []string) (*Spec, error) {
	return Reader{}.Decode(file, text, overrides)
}

// Decode reads a job file. file is its name for messages, overrides are
// "path=value" and replace fields of the file. If anything is wrong the error
// is Problems, which lists all of it. What depends on the data (do the shapes
// fit? are the files there?) is checked later, see CheckInput and Explain.
func (r Reader) Decode(file string, text []byte, overrides []string) (*Spec, error) {
	ps := newProblems(file, text)
	root := parse(text, "", ps)
	if root == nil {
		return nil, ps.err()
	}
	if root.kind == scalarKind && root.value == nil {
		root.kind = mappingKind
	}
	if root.kind != mappingKind {
		ps.add(root.at, "expected a mapping with name, data, model and so on, got %s", root.describe())
		return nil, ps.err()
	}
	for _, set := range overrides {
		override(root, set, ps)
	}
	d := &decoder{problems: ps, catalogue: r.Catalogue()}
	spec := d.spec(root)
	if err := ps.err(); err != nil {
		return nil, err
	}
	spec.Net.Custom = r.Kinds
	spec.source = &source{file: file, text: text, root: root}
	return spec, nil
}

// decoder turns the tree into a Spec and collects what is wrong with it.
type decoder struct {
	problems  *problems
	catalogue []nn.Entry
}

func (d *decoder) add(at place, format string, args ...any) {
	d.problems.add(at, format, args...)
}

func (d *decoder) spec(root *node) *Spec {
	s := &Spec{Checkpoint: Checkpoint{Keep: defaultKeep}, Workers: Workers{Features: defaultFeatures}}
	sections := sections()
	names := fieldNames(Fields())
	for _, section := range sections {
		names = append(names, section.Name)
	}
	known := d.known(root, "", names)
	d.scalars(s, known, root)
	for _, section := range sections {
		switch n := known.field(section.Name); {
		case n != nil:
			section.read(d, s, n)
		case section.Required && root.field(section.Name) == nil:
			d.add(wholeFile(), "%q is missing: %s", section.Name, section.Summary)
		}
	}
	s.Net.Seed, s.Net.Lanes, s.Net.Exact = s.Seed, s.Lanes, s.Exact
	d.consistent(s, known, root)
	return s
}

// scalars reads the fields of the first level that are one value.
func (d *decoder) scalars(s *Spec, known, root *node) {
	given := map[string]any{}
	for _, f := range Fields() {
		n := known.field(f.Name)
		switch {
		case n != nil:
			if v, ok := d.value(n, f.Name, f); ok {
				given[f.Name] = v
				continue
			}
		case f.Required && root.field(f.Name) == nil:
			d.add(wholeFile(), "%q is missing: %s; expected %s", f.Name, f.Summary, expected(f))
		}
		given[f.Name] = f.Default
	}
	var isText bool
	s.Name, isText = given["name"].(string)
	if at := known.field("name"); at != nil && isText && !validName(s.Name) {
		d.add(at.at, "name: %q is not a name; expected 1 to 63 of a-z, 0-9, '-', '_' and '.', beginning with a letter or digit", s.Name)
	}
	s.Seed = toUint64(given["seed"])
	s.Priority = toInt(given["priority"])
	s.Epochs = toInt(given["epochs"])
	s.Steps = toInt(given["steps"])
	s.GlobalBatch = toInt(given["global_batch"])
	s.Lanes = toInt(given["lanes"])
	s.Exact = given["arithmetic"] != "fast"
}

// consistent checks what fields demand of each other.
func (d *decoder) consistent(s *Spec, known, root *node) {
	if s.GlobalBatch > 0 && s.Lanes > s.GlobalBatch {
		d.add(known.locate("global_batch"), "global_batch: %d is smaller than lanes, %d; a step needs at least one record a lane", s.GlobalBatch, s.Lanes)
	}
	if known.field("epochs") == nil && known.field("steps") == nil && root.field("epochs") == nil && root.field("steps") == nil {
		d.add(wholeFile(), `"epochs" or "steps" is missing: how long to train; expected an integer at least 1`)
	}
	s.Workers.Min = max(s.Workers.Min, 1)
	if s.Workers.Max == 0 {
		s.Workers.Max = max(s.Lanes, s.Workers.Min)
	}
	switch {
	case s.Workers.Min > s.Workers.Max:
		d.add(known.locate("workers.min"), "workers.min: %d is above workers.max, %d", s.Workers.Min, s.Workers.Max)
	case s.Lanes > 0 && s.Workers.Min > s.Lanes:
		d.add(known.locate("workers.min"), "workers.min: %d is above lanes, %d; a worker needs a lane", s.Workers.Min, s.Lanes)
	case s.Lanes > 0 && s.Workers.Max > s.Lanes:
		d.add(known.locate("workers.max"), "workers.max: %d is above lanes, %d; a worker needs a lane", s.Workers.Max, s.Lanes)
	}
	if s.Lanes > 0 && s.GlobalBatch >= s.Lanes && s.Workers.Records > 0 {
		if lane := (s.GlobalBatch + s.Lanes - 1) / s.Lanes; s.Workers.Records < lane {
			d.add(known.locate("workers.records"), "workers.records: %d is less than the %d records of a lane, global_batch/lanes; more lanes make smaller ones", s.Workers.Records, lane)
		}
	}
}

func validName(s string) bool {
	if s == "" || len(s) > 63 {
		return false
	}
	for i, r := range []byte(s) {
		word := r >= 'a' && r <= 'z' || r >= '0' && r <= '9'
		if !word && (i == 0 || r != '-' && r != '_' && r != '.') {
			return false
		}
	}
	return true
}

func toInt(v any) int {
	switch v := v.(type) {
	case int64:
		return int(v)
	case int:
		return v
	}
	return 0
}

func toUint64(v any) uint64 {
	switch v := v.(type) {
	case int64:
		return uint64(v)
	case uint64:
		return v
	}
	return 0
}

// model reads the layers. A name that two have is found by nn.NewPlan.
func (d *decoder) model(s *Spec, n *node) { s.Net.Model = d.layers(n, "model") }

func (d *decoder) layers(n *node, path string) []nn.Node {
	if n.kind != listKind || len(n.items) == 0 {
		d.add(n.at, "%s: expected a list of layers, got %s", path, n.describe())
		return nil
	}
	layers := make([]nn.Node, len(n.items))
	for i, item := range n.items {
		layers[i] = d.component(item, fmt.Sprintf("%s[%d]", path, i), layerNoun, "layer", "activation")
	}
	return layers
}

// metrics reads a list of metrics, or one alone.
func (d *decoder) metrics(s *Spec, n *node) {
	s.Net.Metrics = d.components(n, "metrics", "metric")
}

// augment reads a list of augmentations, or one alone.
func (d *decoder) augment(s *Spec, n *node) {
	s.Augment = d.components(n, "augment", "augmentation")
}

// components reads a list of things of one class, or one alone.
func (d *decoder) components(n *node, path, class string) []nn.Node {
	if n.kind != listKind {
		return []nn.Node{d.component(n, path, class, class)}
	}
	var nodes []nn.Node
	for i, item := range n.items {
		nodes = append(nodes, d.component(item, fmt.Sprintf("%s[%d]", path, i), class, class))
	}
	return nodes
}
