package job

import (
	"bytes"
	"fmt"
	"unicode/utf8"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// A job file beyond these bounds is refused before it is parsed: the time of
// the YAML parser grows with the square of the depth and of the lines.
const (
	maxBytes = 128 << 10
	maxLines = 4000
	maxDepth = 32
)

// parse reads one YAML document into a tree. What it cannot read it reports to
// ps and returns nil. The places of the nodes are in the text, or if set is not
// empty, in that override.
func parse(text []byte, set string, ps *problems) *node {
	p := &yamlParser{set: set, problems: ps}
	if len(text) > maxBytes {
		ps.add(place{line: 1, column: 1, set: set, whole: true}, "the file has %d bytes; a job file has at most %d", len(text), maxBytes)
		return nil
	}
	if lines := bytes.Count(text, []byte("\n")); lines > maxLines {
		ps.add(place{line: 1, column: 1, set: set, whole: true}, "the file has %d lines; a job file has at most %d", lines, maxLines)
		return nil
	}
	if at, ok := p.invalidText(text); !ok {
		ps.add(at, "not UTF-8 text")
		return nil
	}
	return p.document(bytes.ReplaceAll(text, []byte("\r\n"), []byte("\n")))
}

type yamlParser struct {
	set      string
	problems *problems
	refused  bool // a part has no place in the tree, which is then of no use
}

// refuse reports YAML that a job file cannot contain.
func (p *yamlParser) refuse(at place, format string, args ...any) *node {
	p.problems.add(at, format, args...)
	p.refused = true
	return nil
}

// invalidText returns the place of the first byte that is not UTF-8 or is a
// control character that YAML does not allow.
func (p *yamlParser) invalidText(text []byte) (place, bool) {
	line, column := 1, 1
	for i := 0; i < len(text); {
		r, n := utf8.DecodeRune(text[i:])
		if r == utf8.RuneError && n == 1 || r < ' ' && r != '\n' && r != '\t' && r != '\r' {
			return place{line: line, column: column, set: p.set}, false
		}
		if column++; r == '\n' {
			line, column = line+1, 1
		}
		i += n
	}
	return place{}, true
}

// document parses the text and converts the library's tree to ours. The
// library has paniced on malformed text before; such a panic is reported as a
// problem of the file, which it is.
func (p *yamlParser) document(text []byte) (root *node) {
	defer func() {
		if r := recover(); r != nil {
			p.problems.add(place{line: 1, column: 1, set: p.set}, "not YAML: %v", r)
			root = nil
		}
	}()
	tokens := lexer.Tokenize(string(text))
	if tk := tooDeep(tokens); tk != nil {
		p.problems.add(p.at(tk), "values are nested more than %d deep", maxDepth)
		return nil
	}
	file, err := parser.Parse(tokens, 0, parser.AllowDuplicateMapKey())
	if err != nil {
		p.syntax(err)
		return nil
	}
	var bodies []ast.Node
	for _, doc := range file.Docs {
		if doc.Body != nil {
			bodies = append(bodies, doc.Body)
		}
	}
	switch len(bodies) {
	case 0:
		return &node{at: place{line: 1, column: 1, set: p.set}}
	case 1:
		if root = p.convert(bodies[0]); p.refused {
			return nil
		}
		return root
	}
	p.problems.add(p.at(first(bodies[1])), "a second YAML document; a job file has one")
	return nil
}

// tooDeep returns the first token that opens a level beyond maxDepth, or nil.
// Indentation is bounded too: a level of block style needs a column at least.
func tooDeep(tokens token.Tokens) *token.Token {
	flow, dashes, line := 0, 0, 0
	for _, tk := range tokens {
		if tk.Position.Line != line {
			line, dashes = tk.Position.Line, 0
		}
		switch tk.Type {
		case token.MappingStartType, token.SequenceStartType:
			flow++
		case token.MappingEndType, token.SequenceEndType:
			flow = max(flow-1, 0)
		case token.SequenceEntryType, token.MappingKeyType, token.MappingValueType:
			if flow == 0 {
				dashes++
			}
		}
		block := 0
		if tk.Type == token.SequenceEntryType || tk.Type == token.MappingValueType {
			block = tk.Position.IndentNum / 2
		}
		if flow > maxDepth || dashes > maxDepth || block > maxDepth {
			return tk
		}
	}
	return nil
}

// syntax reports an error of the library at its token.
func (p *yamlParser) syntax(err error) {
	positioned, ok := err.(interface {
		GetMessage() string
		GetToken() *token.Token
	})
	if !ok {
		p.problems.add(place{line: 1, column: 1, set: p.set}, "not YAML: %v", err)
		return
	}
	p.problems.add(p.at(positioned.GetToken()), "not YAML: %s", positioned.GetMessage())
}

func (p *yamlParser) at(tk *token.Token) place {
	if tk == nil || tk.Position == nil {
		return place{line: 1, column: 1, set: p.set}
	}
	return place{line: max(tk.Position.Line, 1), column: max(tk.Position.Column, 1), set: p.set}
}

// first returns the token where a value begins: for a block mapping that is
// its first key, not the colon behind it.
func first(n ast.Node) *token.Token {
	switch n := n.(type) {
	case *ast.MappingNode:
		if !n.IsFlowStyle && len(n.Values) > 0 {
			return first(n.Values[0].Key)
		}
	case *ast.MappingValueNode:
		return first(n.Key)
	}
	return n.GetToken()
}

func (p *yamlParser) convert(n ast.Node) *node {
	at := p.at(first(n))
	switch n := n.(type) {
	case *ast.MappingNode:
		return p.mapping(at, n.Values)
	case *ast.MappingValueNode:
		return p.mapping(at, []*ast.MappingValueNode{n})
	case *ast.SequenceNode:
		list := &node{kind: listKind, at: at}
		for _, item := range n.Values {
			if v := p.convert(item); v != nil {
				list.items = append(list.items, v)
			}
		}
		return list
	case *ast.NullNode:
		return &node{at: at}
	case *ast.LiteralNode:
		return &node{at: at, value: n.Value.Value}
	case *ast.StringNode:
		if tk := n.GetToken(); tk.Type == token.SingleQuoteType || tk.Type == token.DoubleQuoteType {
			return &node{at: at, value: n.Value}
		}
		return &node{at: at, value: resolve(n.Value)}
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.InfinityNode, *ast.NanNode:
		return &node{at: at, value: resolve(n.GetToken().Value)}
	}
	return p.refuse(at, "anchors, aliases and tags are not part of a job file; write the value out")
}

func (p *yamlParser) mapping(at place, values []*ast.MappingValueNode) *node {
	m := &node{kind: mappingKind, at: at}
	seen := map[string]place{}
	for _, v := range values {
		key, keyAt := v.Key.GetToken().Value, p.at(first(v.Key))
		if !wordKey(v.Key) {
			p.refuse(keyAt, "%q is not a key; a job file has plain words as keys", key)
			continue
		}
		if before, ok := seen[key]; ok {
			p.problems.add(keyAt, "%s is given twice; it stands already at %s", key, before.short())
			continue
		}
		seen[key] = keyAt
		if value := p.convert(v.Value); value != nil {
			m.entries = append(m.entries, entry{key, keyAt, value})
		}
	}
	return m
}

// wordKey reports whether a key is text or looks like a number, and not an
// anchor, a tag, a merge or a whole mapping.
func wordKey(key ast.MapKeyNode) bool {
	switch key.(type) {
	case *ast.StringNode, *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.NullNode:
		return true
	}
	return false
}

// short writes the place for use inside a message.
func (a place) short() string {
	if a.set != "" {
		return "--set " + a.set
	}
	return fmt.Sprintf("%d:%d", a.line, a.column)
}
