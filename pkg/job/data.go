package job

import (
	"slices"
	"strings"

	"github.com/lockstep-ml/lockstep/pkg/dataset"
)

// data reads the data section: what it may say is in the table of formats of
// package dataset. Unknown keys are found here, where their place is known.
func (d *decoder) data(s *Spec, n *node) {
	if n.kind != mappingKind {
		d.add(n.at, "data: expected a mapping with format, train and so on, got %s", n.describe())
		return
	}
	format, ok := d.format(n)
	if !ok {
		return
	}
	n = d.knownData(n, format)
	section, _ := plain(n).(map[string]any)
	spec, err := dataset.Decode(section)
	if err != nil {
		explain(err, &node{kind: mappingKind, at: n.at, entries: []entry{{key: "data", at: n.at, value: n}}}, d.problems)
		return
	}
	s.Data = spec
}

// format returns the entry of the table of formats that the section names.
func (d *decoder) format(n *node) (dataset.Format, bool) {
	formats := dataset.Formats()
	names := make([]string, len(formats))
	for i, f := range formats {
		names[i] = f.Name
	}
	switch name := n.field("format"); {
	case name == nil:
		d.add(n.at, `data: "format" is missing; expected one of %s`, strings.Join(names, ", "))
	case !slices.Contains(names, formatScalar(name.value)):
		d.add(name.at, "data.format: expected the name of a format, got %s%s", name.describe(), suggest(formatScalar(name.value), names))
	default:
		return formats[slices.Index(names, formatScalar(name.value))], true
	}
	return dataset.Format{}, false
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
