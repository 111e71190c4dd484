package dataset

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/lockstep-ml/lockstep/internal/nearest"
)

// Field is one setting of a format.
type Field struct {
	Name string `json:"name"`
	// Type is text, integer, number, boolean, texts (a list), numbers (one number
	// or a list), map (text to text) or files.
	Type     string `json:"type"`
	Default  any    `json:"default,omitempty"`
	Required bool   `json:"required,omitempty"`
	// Choices are the valid words of a text or of the values of a map; empty if
	// any will do.
	Choices []string `json:"choices,omitempty"`
	// Keys are the valid words within files.
	Keys []string `json:"keys,omitempty"`
	// Min and Max bound an integer or a number, if Min < Max.
	Min     float64 `json:"min,omitempty"`
	Max     float64 `json:"max,omitempty"`
	Summary string  `json:"summary"`
}

// The types of fields.
const (
	typeText    = "text"
	typeInt     = "integer"
	typeNumber  = "number"
	typeBool    = "boolean"
	typeTexts   = "texts"
	typeNumbers = "numbers"
	typeMap     = "map"
	typeFiles   = "files"
)

// values are the fields of a section after they were checked against the table:
// string, int64, float64, bool, []string, []float64, map[string]string, Files.
type values map[string]any

func (v values) text(name string) string             { s, _ := v[name].(string); return s }
func (v values) int(name string) int64               { n, _ := v[name].(int64); return n }
func (v values) bool(name string) bool               { b, _ := v[name].(bool); return b }
func (v values) texts(name string) []string          { s, _ := v[name].([]string); return s }
func (v values) numbers(name string) []float64       { f, _ := v[name].([]float64); return f }
func (v values) words(name string) map[string]string { m, _ := v[name].(map[string]string); return m }

// decoder collects what is wrong.
type decoder struct{ errs Errors }

func (d *decoder) bad(path, format string, args ...any) {
	d.errs = append(d.errs, &Error{Path: "data." + path, Msg: fmt.Sprintf(format, args...)})
}

func (d *decoder) spec(section map[string]any) Spec {
	formats := Formats()
	names := make([]string, len(formats))
	for i, f := range formats {
		names[i] = f.Name
	}
	name, ok := section["format"].(string)
	if !ok {
		d.bad("format", "missing or not text; expected one of %s", strings.Join(names, ", "))
		return Spec{}
	}
	i := slices.Index(names, name)
	if i < 0 {
		d.bad("format", "unknown format %q; expected one of %s%s", name, strings.Join(names, ", "), nearest.DidYouMean(name, names))
		return Spec{}
	}
	f := formats[i]
	v := d.fields(f, section)
	spec := Spec{Format: name}
	spec.Train, _ = v["train"].(Files)
	spec.Test, _ = v["test"].(Files)
	d.checkFiles(spec, section)
	if len(d.errs) > 0 {
		return spec
	}
	spec.Options = f.decode(v, d.bad)
	return spec
}

// fields checks a section against the table of f and fills in defaults.
func (d *decoder) fields(f Format, section map[string]any) values {
	v := values{}
	valid := []string{"format"}
	for _, field := range f.Fields {
		valid = append(valid, field.Name)
		raw, given := section[field.Name]
		switch {
		case given && raw != nil:
			if got, ok := d.value(field, field.Name, raw); ok {
				v[field.Name] = got
			}
		case field.Required:
			d.bad(field.Name, "missing; format %s needs it: %s", f.Name, field.Summary)
		case field.Default != nil:
			v[field.Name] = field.Default
		}
	}
	for _, key := range sortedKeys(section) {
		if !slices.Contains(valid, key) {
			d.bad(key, "unknown field of format %s%s; expected one of %s", f.Name, nearest.DidYouMean(key, valid), strings.Join(valid, ", "))
		}
	}
	return v
}

// value checks one value against its field.
func (d *decoder) value(f Field, path string, raw any) (any, bool) {
	var got any
	var ok bool
	switch f.Type {
	case typeText:
		got, ok = d.word(f, path, raw)
		return got, ok
	case typeInt:
		got, ok = integer(raw)
	case typeNumber:
		got, ok = number(raw)
	case typeBool:
		got, ok = raw.(bool)
	case typeTexts:
		got, ok = list(raw, func(x any) (string, bool) { s, ok := x.(string); return s, ok })
	case typeNumbers:
		got, ok = list(raw, number)
	case typeMap:
		return d.mapping(f, path, raw)
	case typeFiles:
		return d.files(f, path, raw)
	}
	if !ok {
		d.bad(path, "expected %s, got %s", f.wants(), describe(raw))
		return nil, false
	}
	return got, d.inRange(f, path, got)
}

// wants describes the field's type for a person.
func (f Field) wants() string {
	switch f.Type {
	case typeInt:
		return "an integer"
	case typeNumber:
		return "a number"
	case typeBool:
		return "true or false"
	case typeTexts:
		return "text or a list of texts"
	case typeNumbers:
		return "a number or a list of numbers"
	}
	return f.Type
}

func (d *decoder) inRange(f Field, path string, got any) bool {
	var x float64
	switch n := got.(type) {
	case int64:
		x = float64(n)
	case float64:
		x = n
	default:
		return true
	}
	if f.Min < f.Max && (x < f.Min || x > f.Max) {
		d.bad(path, "%v is out of range; expected %v to %v", got, f.Min, f.Max)
		return false
	}
	return true
}

// word checks a text against the choices of f.
func (d *decoder) word(f Field, path string, raw any) (string, bool) {
	s, ok := raw.(string)
	if !ok {
		d.bad(path, "expected text, got %s", describe(raw))
		return "", false
	}
	if len(f.Choices) > 0 && !slices.Contains(f.Choices, s) {
		d.bad(path, "unknown word %q%s; expected one of %s", s, nearest.DidYouMean(s, f.Choices), strings.Join(f.Choices, ", "))
		return "", false
	}
	return s, true
}

func (d *decoder) mapping(f Field, path string, raw any) (map[string]string, bool) {
	m, ok := raw.(map[string]any)
	if !ok {
		d.bad(path, "expected a mapping of column to type, got %s", describe(raw))
		return nil, false
	}
	out := make(map[string]string, len(m))
	for _, key := range sortedKeys(m) {
		s, good := d.word(f, path+"."+key, m[key])
		out[key], ok = s, ok && good
	}
	return out, ok
}

func integer(raw any) (int64, bool) {
	switch n := raw.(type) {
	case int:
		return int64(n), true
	case int64:
		return n, true
	case uint64:
		return int64(n), n <= math.MaxInt64
	case float64:
		return int64(n), n == math.Trunc(n) && math.Abs(n) <= 1<<53
	}
	return 0, false
}

func number(raw any) (float64, bool) {
	if f, ok := raw.(float64); ok {
		return f, !math.IsNaN(f) && !math.IsInf(f, 0)
	}
	n, ok := integer(raw)
	return float64(n), ok
}

// list reads a list, or one value as a list of one.
func list[T any](raw any, one func(any) (T, bool)) ([]T, bool) {
	items, ok := raw.([]any)
	if !ok {
		items = []any{raw}
	}
	out := make([]T, len(items))
	for i, x := range items {
		if out[i], ok = one(x); !ok {
			return nil, false
		}
	}
	return out, true
}

// describe names a value for a person.
func describe(raw any) string {
	switch x := raw.(type) {
	case nil:
		return "nothing"
	case string:
		return fmt.Sprintf("text %q", x)
	case []any:
		return "a list"
	case map[string]any:
		return "a mapping"
	}
	return fmt.Sprint(raw)
}

func sortedKeys[T any](m map[string]T) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
