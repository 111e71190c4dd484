package job

import (
	"slices"

	"github.com/lockstep-ml/lockstep/pkg/dataset"
)

// data reads the data section: what it may say is in the table of formats of
// package dataset. Unknown keys are found here, where their place is known.
func (d *decoder) data(s *Spec, n *node) {
	if n.kind != mappingKind {
		d.add(n.at, "data: expected a mapping with format, train and so on, got %s", n.describe())
		return
	}
	if format, ok := formatOf(n); ok {
		n = d.knownData(n, format)
	}
	section, _ := plain(n).(map[string]any)
	spec, err := dataset.Decode(section)
	if err != nil {
		explain(err, &node{kind: mappingKind, at: n.at, entries: []entry{{key: "data", at: n.at, value: n}}}, d.problems)
		return
	}
	s.Data = spec
}

// formatOf returns the entry of the table that the section names.
func formatOf(n *node) (dataset.Format, bool) {
	formats := dataset.Formats()
	name := n.field("format")
	if name == nil {
		return dataset.Format{}, false
	}
	i := slices.IndexFunc(formats, func(f dataset.Format) bool { return f.Name == name.value })
	if i < 0 {
		return dataset.Format{}, false
	}
	return formats[i], true
}

// knownData returns the section without the keys that the format does not
// know, which are reported.
func (d *decoder) knownData(n *node, format dataset.Format) *node {
	keys := []string{"format"}
	for _, f := range format.Fields {
		keys = append(keys, f.Name)
	}
	known := d.known(n, "data", keys)
	for i, e := range known.entries {
		f := slices.IndexFunc(format.Fields, func(f dataset.Field) bool { return f.Name == e.key })
		if f >= 0 && len(format.Fields[f].Keys) > 0 && e.value.kind == mappingKind {
			known.entries[i].value = d.known(e.value, "data."+e.key, format.Fields[f].Keys)
		}
	}
	return known
}

// plain gives a part of the tree as maps, slices and scalars.
func plain(n *node) any {
	switch n.kind {
	case listKind:
		list := make([]any, len(n.items))
		for i, item := range n.items {
			list[i] = plain(item)
		}
		return list
	case mappingKind:
		m := make(map[string]any, len(n.entries))
		for _, e := range n.entries {
			m[e.key] = plain(e.value)
		}
		return m
	}
	return n.value
}
