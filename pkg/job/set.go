package job

import (
	"slices"
	"strings"
)

// override applies "path=value" to the tree. The path names a field, whether
// the file has it or not, or an element that a list has: optimizer.adam.lr,
// model[3].dropout. The value is YAML; null takes the field away.
func override(root *node, set string, ps *problems) {
	at := place{line: 1, column: 1, set: set}
	path, text, ok := strings.Cut(set, "=")
	segs, valid := splitPath(strings.TrimSpace(path))
	switch {
	case !ok:
		ps.add(at, `expected path=value, as in "optimizer.adam.lr=0.01"`)
		return
	case !valid || segs[0].index >= 0:
		ps.add(at, `%q is not a path; paths look like "optimizer.adam.lr" or "model[3].dropout"`, path)
		return
	}
	value := parse([]byte(text), set, ps)
	if value == nil {
		return
	}
	n := root
	for i, s := range segs {
		if !n.open(s) {
			ps.add(at, "%s is %s; it has no part %s", joinPath(segs[:i]), n.describe(), joinPath(segs[i:i+1]))
			return
		}
		if s.index >= len(n.items) {
			ps.add(at, "%s has %d elements; %s is not one of them", joinPath(segs[:i]), len(n.items), joinPath(segs[:i+1]))
			return
		}
		if i == len(segs)-1 {
			n.put(s, at, value)
			return
		}
		next := n.child(s)
		if next == nil {
			next = &node{kind: mappingKind, at: at}
			n.put(s, at, next)
		}
		n = next
	}
}

// open makes sure that n can have the part s: a list for an index, a mapping
// for a key. A word alone ("optimizer: adam") becomes the mapping it is short for
// ("optimizer: {adam: {}}"); nothing at all becomes an empty mapping.
func (n *node) open(s seg) bool {
	if s.index >= 0 {
		return n.kind == listKind
	}
	if n.kind != scalarKind {
		return n.kind == mappingKind
	}
	switch word, isWord := n.value.(string); {
	case n.value == nil:
		n.entries = nil
	case isWord && word == s.key:
		n.entries = []entry{{word, n.at, &node{kind: mappingKind, at: n.at}}}
	default:
		return false
	}
	n.kind, n.value = mappingKind, nil
	return true
}

// put sets the part s of n, which open has prepared. A null value removes it.
func (n *node) put(s seg, at place, value *node) {
	remove := value.kind == scalarKind && value.value == nil
	if s.index >= 0 {
		if remove {
			n.items = slices.Delete(n.items, s.index, s.index+1)
		} else {
			n.items[s.index] = value
		}
		return
	}
	i := slices.IndexFunc(n.entries, func(e entry) bool { return e.key == s.key })
	switch {
	case i < 0 && !remove:
		n.entries = append(n.entries, entry{s.key, at, value})
	case i >= 0 && remove:
		n.entries = slices.Delete(n.entries, i, i+1)
	case i >= 0:
		n.entries[i].value = value
	}
}

func joinPath(segs []seg) string {
	var b strings.Builder
	for _, s := range segs {
		switch {
		case s.index >= 0:
			b.WriteString("[" + formatScalar(int64(s.index)) + "]")
		case b.Len() > 0:
			b.WriteString("." + s.key)
		default:
			b.WriteString(s.key)
		}
	}
	return b.String()
}
