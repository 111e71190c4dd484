package job

import (
	"fmt"
	"strings"
)

// render writes the tree as YAML: the fields of the file in their order, one a
// line, lists of the first level one element a line, everything deeper in flow
// style. parse reads the same tree from it.
func render(root *node) []byte {
	var b strings.Builder
	for _, e := range root.entries {
		b.WriteString(formatScalarKey(e.key) + ":")
		if e.value.kind == listKind && len(e.value.items) > 0 {
			for _, item := range e.value.items {
				b.WriteString("\n  - ")
				flow(&b, item)
			}
		} else {
			b.WriteByte(' ')
			flow(&b, e.value)
		}
		b.WriteByte('\n')
	}
	return []byte(b.String())
}

func flow(b *strings.Builder, n *node) {
	switch n.kind {
	case scalarKind:
		b.WriteString(formatScalar(n.value))
	case listKind:
		b.WriteByte('[')
		for i, item := range n.items {
			if i > 0 {
				b.WriteString(", ")
			}
			flow(b, item)
		}
		b.WriteByte(']')
	case mappingKind:
		b.WriteByte('{')
		for i, e := range n.entries {
			if i > 0 {
				b.WriteString(", ")
			}
			b.WriteString(formatScalarKey(e.key) + ": ")
			flow(b, e.value)
		}
		b.WriteByte('}')
	}
}

// formatScalarKey writes a key; unlike a value, it is text whatever it looks like.
func formatScalarKey(key string) string {
	if plainForm.MatchString(key) {
		return key
	}
	return quote(key)
}

// quote writes text in double quotes with YAML's escapes.
func quote(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\t':
			b.WriteString(`\t`)
		case r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0:
			fmt.Fprintf(&b, `\x%02x`, r)
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}
