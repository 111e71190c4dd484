package job

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/lockstep-ml/lockstep/internal/nearest"
	"github.com/lockstep-ml/lockstep/pkg/nn"
)

// The types of an nn.Field, in its words.
const (
	integerType  = "integer"
	numberType   = "number"
	booleanType  = "boolean"
	textType     = "text"
	integersType = "integers"
	numbersType  = "numbers"
	textsType    = "texts"

	layersType    = "layers"
	optimizerType = "optimizer"
)

// fields reads a mapping whose keys are known. It returns the values given and
// reports unknown and missing keys, wrong types and values out of bounds.
func (d *decoder) fields(n *node, where string, fields []nn.Field) map[string]any {
	values := map[string]any{}
	known := d.known(n, where, fieldNames(fields))
	if known == nil {
		return values
	}
	for _, f := range fields {
		given := known.field(f.Name)
		switch {
		case given == nil && f.Required && n.field(f.Name) == nil:
			d.add(n.at, "%s: %q is missing: %s; expected %s", where, f.Name, f.Summary, expected(f))
		case given != nil:
			if v, ok := d.value(given, join(where, f.Name), f); ok {
				values[f.Name] = v
			}
		}
	}
	return values
}

// known returns the entries of a mapping that have known keys, and reports
// the others and those without a value. A key that is nearly a known one counts
// as that: its value is checked too, and nothing else is said to be missing. The
// result is nil if n is no mapping.
func (d *decoder) known(n *node, where string, keys []string) *node {
	if n.kind != mappingKind {
		d.add(n.at, "%s: expected a mapping with %s, got %s", where, strings.Join(keys, ", "), n.describe())
		return nil
	}
	known := &node{kind: mappingKind, at: n.at}
	for _, e := range n.entries {
		if !slices.Contains(keys, e.key) {
			d.unknownKey(e, where, keys)
			if e.key = nearest.Word(e.key, keys); e.key == "" || n.field(e.key) != nil || known.field(e.key) != nil {
				continue
			}
		}
		if e.value.kind == scalarKind && e.value.value == nil {
			d.add(e.at, "%s has no value", join(where, e.key))
			continue
		}
		known.entries = append(known.entries, e)
	}
	return known
}

func (d *decoder) unknownKey(e entry, where string, keys []string) {
	in := ""
	if where != "" {
		in = " in " + where
	}
	d.add(e.at, "unknown field %q%s%s", e.key, in, suggest(e.key, keys))
}

// value reads one field and reports a wrong type or a value out of bounds.
func (d *decoder) value(n *node, path string, f nn.Field) (any, bool) {
	switch f.Type {
	case layersType:
		return d.layers(n, path), true
	case optimizerType:
		return d.component(n, path, "optimizer", "optimizer"), true
	case renamesType:
		return d.renames(n, path)
	}
	if n.kind == listKind && listed(f) {
		return d.list(n, path, f)
	}
	if n.kind == scalarKind && fits(n.value, f) {
		return n.value, true
	}
	hint := ""
	if s, ok := n.value.(string); ok && len(f.Values) > 0 {
		if near := nearest.Word(s, f.Values); near != "" {
			hint = fmt.Sprintf("; did you mean %q?", near)
		}
	}
	d.add(n.at, "%s: expected %s, got %s%s", path, expected(f), n.describe(), hint)
	return nil, false
}

func (d *decoder) list(n *node, path string, f nn.Field) (any, bool) {
	values, good := make([]any, len(n.items)), true
	for i, item := range n.items {
		if item.kind != scalarKind || !fits(item.value, f) {
			d.add(item.at, "%s[%d]: expected %s, got %s", path, i, expectedOne(f), item.describe())
			good = false
			continue
		}
		values[i] = item.value
	}
	return values, good
}

// listed reports whether a field takes a list beside one value.
func listed(f nn.Field) bool {
	return f.Type == integersType || f.Type == numbersType || f.Type == textsType
}

// fits reports whether a scalar has the type of f (one element of it, for
// lists) and is within its bounds.
func fits(v any, f nn.Field) bool {
	switch f.Type {
	case integerType, integersType:
		switch v := v.(type) {
		case int64:
			return inBounds(float64(v), f)
		case uint64:
			return inBounds(float64(v), f)
		}
		return false
	case numberType, numbersType:
		x, ok := number(v)
		return ok && inBounds(x, f)
	case booleanType:
		_, ok := v.(bool)
		return ok
	}
	s, ok := v.(string)
	return ok && (len(f.Values) == 0 || slices.Contains(f.Values, s))
}

func number(v any) (float64, bool) {
	switch v := v.(type) {
	case int64:
		return float64(v), true
	case uint64:
		return float64(v), true
	case float64:
		return v, !math.IsNaN(v) && !math.IsInf(v, 0)
	}
	return 0, false
}

func inBounds(v float64, f nn.Field) bool {
	return (f.Min == nil || v >= *f.Min) && (f.Max == nil || v <= *f.Max) &&
		(f.Above == nil || v > *f.Above) && (f.Below == nil || v < *f.Below)
}

// expected says what a field takes: "a number above 0 and at most 1".
func expected(f nn.Field) string {
	one := expectedOne(f)
	if listed(f) {
		return one + ", or a list of such"
	}
	return one
}

func expectedOne(f nn.Field) string {
	if len(f.Values) > 0 {
		return "one of " + strings.Join(f.Values, ", ")
	}
	what := map[string]string{
		integerType: "an integer", integersType: "an integer",
		numberType: "a number", numbersType: "a number",
		booleanType: "true or false", textType: "text", textsType: "text",
		layersType: "a list of layers", optimizerType: "an optimizer",
	}[f.Type]
	if b := bounds(f); b != "" {
		what += " " + b
	}
	return what
}

// bounds says in words what a number must be.
func bounds(f nn.Field) string {
	if f.Min != nil && f.Max != nil {
		return "from " + formatBound(*f.Min) + " to " + formatBound(*f.Max)
	}
	var parts []string
	for _, b := range []struct {
		word  string
		value *float64
	}{{"at least", f.Min}, {"above", f.Above}, {"at most", f.Max}, {"below", f.Below}} {
		if b.value != nil {
			parts = append(parts, b.word+" "+formatBound(*b.value))
		}
	}
	return strings.Join(parts, " and ")
}

func formatBound(v float64) string {
	if v == math.Trunc(v) && math.Abs(v) < 1<<53 {
		return fmt.Sprintf("%d", int64(v))
	}
	return formatFloat(v)
}

func fieldNames(fields []nn.Field) []string {
	names := make([]string, len(fields))
	for i, f := range fields {
		names[i] = f.Name
	}
	return names
}

func join(where, key string) string {
	if where == "" {
		return key
	}
	return where + "." + key
}
