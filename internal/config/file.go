package config

import (
	"errors"
	"fmt"
	"strings"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

// setting is one top-level entry of a file.
type setting struct {
	key    string
	values []string // one for a plain value
	at     string   // file:line:column of the key
}

// parse reads a flat YAML mapping: plain values, lists of them, or one level of
// name: value pairs, which become "name=value". An empty file has no settings.
func parse(path string, source []byte) ([]setting, error) {
	file, err := parser.ParseBytes(source, 0)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if len(file.Docs) > 1 {
		return nil, fmt.Errorf("%s: expected one YAML document, got %d", path, len(file.Docs))
	}
	if len(file.Docs) == 0 || file.Docs[0].Body == nil {
		return nil, nil
	}
	pairs, ok := mapping(file.Docs[0].Body)
	if !ok {
		return nil, fmt.Errorf("%s: expected lines of the form `flag: value`", position(path, file.Docs[0].Body))
	}
	var settings []setting
	var errs []error
	for _, p := range pairs {
		s := setting{key: text(p.Key), at: position(path, p.Key)}
		if s.values, err = values(p.Value); err != nil {
			errs = append(errs, fmt.Errorf("%s: %s: %w", s.at, s.key, err))
			continue
		}
		settings = append(settings, s)
	}
	return settings, errors.Join(errs...)
}

func mapping(n ast.Node) ([]*ast.MappingValueNode, bool) {
	switch n := n.(type) {
	case *ast.MappingNode:
		return n.Values, true
	case *ast.MappingValueNode:
		return []*ast.MappingValueNode{n}, true
	}
	return nil, false
}

// values turns a value into the words that a flag takes.
func values(n ast.Node) ([]string, error) {
	if seq, ok := n.(*ast.SequenceNode); ok {
		var out []string
		for _, item := range seq.Values {
			one, err := scalar(item)
			if err != nil {
				return nil, err
			}
			out = append(out, one)
		}
		return out, nil
	}
	if pairs, ok := mapping(n); ok {
		var out []string
		for _, p := range pairs {
			one, err := scalar(p.Value)
			if err != nil {
				return nil, err
			}
			out = append(out, text(p.Key)+"="+one)
		}
		return out, nil
	}
	one, err := scalar(n)
	return []string{one}, err
}

func scalar(n ast.Node) (string, error) {
	switch n := n.(type) {
	case *ast.StringNode:
		return n.Value, nil
	case *ast.LiteralNode:
		return n.Value.Value, nil
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode:
		return text(n), nil
	}
	return "", fmt.Errorf("expected a plain value, a list of them or name: value pairs, got %s", strings.ToLower(n.Type().String()))
}

func text(n ast.Node) string { return n.GetToken().Value }

func position(path string, n ast.Node) string {
	p := n.GetToken().Position
	return fmt.Sprintf("%s:%d:%d", path, p.Line, p.Column)
}
