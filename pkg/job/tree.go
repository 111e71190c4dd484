package job

import (
	"strconv"
	"strings"
)

// kind says what a node of the tree is.
type kind uint8

const (
	scalarKind kind = iota
	mappingKind
	listKind
)

// node is one value of a job file. The decoder works on this tree and not on
// the YAML library's, so that overrides, positions and the canonical form each
// have one simple home.
type node struct {
	kind kind
	at   place

	// value is a scalar: nil, bool, int64, uint64 (above the range of int64),
	// float64 or string.
	value any

	entries []entry // of a mapping, in the order of the file
	items   []*node // of a list
}

// entry is one "key: value" of a mapping.
type entry struct {
	key   string
	at    place // of the key
	value *node
}

// place is where a piece of text stands: in the job file, or in an override.
type place struct {
	line, column int    // from 1; columns count characters
	set          string // the text of the override; empty if in the file
	whole        bool   // the file as a whole: there is no line to show
}

// wholeFile is the place of what a file lacks.
func wholeFile() place { return place{line: 1, column: 1, whole: true} }

// field returns the value of a key of a mapping, or nil.
func (n *node) field(key string) *node {
	if n == nil || n.kind != mappingKind {
		return nil
	}
	for _, e := range n.entries {
		if e.key == key {
			return e.value
		}
	}
	return nil
}

// describe names what a node is, for "expected …, got …".
func (n *node) describe() string {
	switch n.kind {
	case mappingKind:
		return "a mapping"
	case listKind:
		return "a list"
	}
	switch v := n.value.(type) {
	case nil:
		return "nothing"
	case string:
		return "the text " + strconv.Quote(v)
	default:
		return formatScalar(v)
	}
}

// seg is one part of a path: a key, or an index into a list.
type seg struct {
	key   string
	index int // -1 if the part is a key
}

// splitPath cuts "model[3].dense.units" into its parts.
func splitPath(path string) ([]seg, bool) {
	var segs []seg
	for part := range strings.SplitSeq(path, ".") {
		key, rest, indexed := strings.Cut(part, "[")
		if key == "" && !(indexed && len(segs) == 0) {
			return nil, false
		}
		if key != "" {
			segs = append(segs, seg{key: key, index: -1})
		}
		for indexed {
			digits, after, closed := strings.Cut(rest, "]")
			i, err := strconv.ParseUint(digits, 10, 16)
			if err != nil || !closed {
				return nil, false
			}
			segs = append(segs, seg{index: int(i)})
			if after == "" {
				break
			}
			if rest, indexed = strings.CutPrefix(after, "["); !indexed {
				return nil, false
			}
		}
	}
	return segs, true
}

// locate returns the place of the deepest node on the path that the file has:
// with "dense: 128" the path "model[3].dense.units" is the place of 128.
// A key that is there is shown by the place of its value.
func (n *node) locate(path string) place {
	segs, _ := splitPath(path)
	at := n.at
	for _, s := range segs {
		n = n.child(s)
		if n == nil {
			break
		}
		at = n.at
	}
	return at
}

// child returns the node that one part of a path leads to, or nil.
func (n *node) child(s seg) *node {
	if s.index < 0 {
		return n.field(s.key)
	}
	if n.kind != listKind || s.index >= len(n.items) {
		return nil
	}
	return n.items[s.index]
}
