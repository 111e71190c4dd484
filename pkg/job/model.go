package job

import (
	"slices"
	"strings"

	"github.com/lockstep-ml/lockstep/pkg/nn"
)

// Model writes layers as the model section of a job file, from which Decode reads
// the same layers. Fields are of the types that nn.Node names.
func Model(layers []nn.Node) []byte {
	list := &node{kind: listKind}
	for _, l := range layers {
		list.items = append(list.items, layerTree(l))
	}
	return render(&node{kind: mappingKind, entries: []entry{{key: "model", value: list}}})
}

// layerTree is a layer in the shortest of its forms that is not special: its name
// alone, or with its fields in the order of the alphabet.
func layerTree(l nn.Node) *node {
	body := &node{kind: mappingKind}
	add := func(key string, value any) {
		body.entries = append(body.entries, entry{key: key, value: treeOf(value)})
	}
	for key, value := range l.Fields {
		add(key, value)
	}
	slices.SortFunc(body.entries, func(a, b entry) int { return strings.Compare(a.key, b.key) })
	if l.Name != "" {
		add(nameKey, l.Name)
	}
	switch len(l.From) {
	case 0:
	case 1:
		add(fromKey, l.From[0])
	default:
		add(fromKey, l.From)
	}
	if len(body.entries) == 0 {
		return &node{value: l.Kind}
	}
	return &node{kind: mappingKind, entries: []entry{{key: l.Kind, value: body}}}
}

// treeOf is the value of a field.
func treeOf(v any) *node {
	switch v := v.(type) {
	case []any:
		list := &node{kind: listKind}
		for _, item := range v {
			list.items = append(list.items, treeOf(item))
		}
		return list
	case []string:
		list := &node{kind: listKind}
		for _, item := range v {
			list.items = append(list.items, &node{value: item})
		}
		return list
	}
	return &node{value: v}
}
