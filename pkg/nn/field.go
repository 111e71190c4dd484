package nn

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/lockstep-ml/lockstep/internal/nearest"
)

// The types of fields, as a job file's reader sees them.
const (
	typeInt   = "integer"
	typeFloat = "number"
	typeBool  = "boolean"
	typeText  = "text"
	typeInts  = "integers" // one integer or a list
	typeFlts  = "numbers"  // one number or a list
	typeTexts = "texts"    // one text or a list; not of catalogue entries

	typeLayers    = "layers"    // a list of layers: []Node
	typeOptimizer = "optimizer" // an optimiser: Node
)

// Field is one setting of a catalogue entry.
type Field struct {
	Name string `json:"name"`
	// Type is integer, number, boolean, text, integers, numbers, layers or
	// optimizer.
	Type string `json:"type"`
	// Default is what holds when the field is not given; nil if Required.
	Default  any  `json:"default,omitempty"`
	Required bool `json:"required,omitempty"`
	// Min and Max bound a number inclusively, Above and Below exclusively.
	Min   *float64 `json:"min,omitempty"`
	Max   *float64 `json:"max,omitempty"`
	Above *float64 `json:"above,omitempty"`
	Below *float64 `json:"below,omitempty"`
	// Values lists the words that a text may be; nil allows any.
	Values  []string `json:"values,omitempty"`
	Summary string   `json:"summary"`
	// Short marks the field that may be given alone: "dense: 128".
	Short bool `json:"short,omitempty"`
}

func integer(name string, def int, summary string) Field {
	return Field{Name: name, Type: typeInt, Default: def, Summary: summary}
}

func integers(name string, def int, summary string) Field {
	return Field{Name: name, Type: typeInts, Default: def, Summary: summary}
}

func number(name string, def float64, summary string) Field {
	return Field{Name: name, Type: typeFloat, Default: def, Summary: summary}
}

func numbers(name string, summary string) Field {
	return Field{Name: name, Type: typeFlts, Default: []float64(nil), Summary: summary}
}

func boolean(name string, def bool, summary string) Field {
	return Field{Name: name, Type: typeBool, Default: def, Summary: summary}
}

func word(name, def string, values []string, summary string) Field {
	return Field{Name: name, Type: typeText, Default: def, Values: values, Summary: summary}
}

func (f Field) required() Field       { f.Required, f.Default = true, nil; return f }
func (f Field) short() Field          { f.Short = true; return f }
func (f Field) min(v float64) Field   { f.Min = &v; return f }
func (f Field) max(v float64) Field   { f.Max = &v; return f }
func (f Field) above(v float64) Field { f.Above = &v; return f }
func (f Field) below(v float64) Field { f.Below = &v; return f }

// bounds says in words what a number must be.
func (f Field) bounds() string {
	var s []string
	for _, b := range []struct {
		word  string
		value *float64
	}{{"at least", f.Min}, {"above", f.Above}, {"at most", f.Max}, {"below", f.Below}} {
		if b.value != nil {
			s = append(s, b.word+" "+strconv.FormatFloat(*b.value, 'f', -1, 64))
		}
	}
	return strings.Join(s, " and ")
}

func (f Field) inBounds(v float64) bool {
	return !math.IsNaN(v) && !math.IsInf(v, 0) &&
		(f.Min == nil || v >= *f.Min) && (f.Max == nil || v <= *f.Max) &&
		(f.Above == nil || v > *f.Above) && (f.Below == nil || v < *f.Below)
}

// convert turns a decoded value into the Go type of the field: int, float64,
// bool, string, []int, []float64, []Node or Node. Its error says what was expected.
func (f Field) convert(v any) (any, error) {
	switch f.Type {
	case typeInt:
		return f.toInt(v)
	case typeFloat:
		return f.toFloat(v)
	case typeBool:
		if b, ok := v.(bool); ok {
			return b, nil
		}
	case typeText:
		if s, ok := v.(string); ok {
			return s, f.checkWord(s)
		}
	case typeInts:
		return convertList(v, f.toInt)
	case typeFlts:
		return convertList(v, f.toFloat)
	case typeLayers:
		if n, ok := v.([]Node); ok {
			return n, nil
		}
	case typeOptimizer:
		if n, ok := v.(Node); ok {
			return n, nil
		}
	}
	return nil, f.mismatch(v)
}

func (f Field) mismatch(v any) error {
	return fmt.Errorf("is %s; expected %s", describe(v), expected(f))
}

func expected(f Field) string {
	article := map[string]string{typeInt: "an integer", typeFloat: "a number", typeBool: "true or false",
		typeText: "a word", typeInts: "an integer or a list of integers", typeFlts: "a number or a list of numbers",
		typeLayers: "a list of layers", typeOptimizer: "an optimizer"}
	s := article[f.Type]
	if len(f.Values) > 0 {
		return "one of " + strings.Join(f.Values, ", ")
	}
	if b := f.bounds(); b != "" {
		s += " " + b
	}
	return s
}

func describe(v any) string {
	switch v := v.(type) {
	case nil:
		return "empty"
	case string:
		return fmt.Sprintf("%q", v)
	case []any:
		return fmt.Sprintf("a list of %d", len(v))
	}
	return fmt.Sprint(v)
}

func (f Field) toInt(v any) (int, error) {
	var n int64
	switch v := v.(type) {
	case int64:
		n = v
	case int:
		n = int64(v)
	case uint64:
		if v > math.MaxInt32 {
			return 0, f.mismatch(v)
		}
		n = int64(v)
	case float64:
		if v != math.Trunc(v) || math.Abs(v) > 1<<53 {
			return 0, f.mismatch(v)
		}
		n = int64(v)
	default:
		return 0, f.mismatch(v)
	}
	if !f.inBounds(float64(n)) || n > math.MaxInt32 || n < math.MinInt32 {
		return 0, f.mismatch(v)
	}
	return int(n), nil
}

func (f Field) toFloat(v any) (float64, error) {
	var x float64
	switch v := v.(type) {
	case float64:
		x = v
	case int64:
		x = float64(v)
	case int:
		x = float64(v)
	case uint64:
		x = float64(v)
	default:
		return 0, f.mismatch(v)
	}
	if !f.inBounds(x) {
		return 0, f.mismatch(v)
	}
	return x, nil
}

func (f Field) checkWord(s string) error {
	if len(f.Values) == 0 || slices.Contains(f.Values, s) {
		return nil
	}
	return fmt.Errorf("is %q; expected %s%s", s, expected(f), nearest.DidYouMean(s, f.Values))
}

func convertList[T any](v any, one func(any) (T, error)) ([]T, error) {
	list, ok := v.([]any)
	if !ok {
		list = []any{v}
	}
	out := make([]T, len(list))
	for i, e := range list {
		x, err := one(e)
		if err != nil {
			return nil, err
		}
		out[i] = x
	}
	return out, nil
}

// Args are the fields of one node, checked and with defaults filled in.
type Args map[string]any

// Int returns an integer field.
func (a Args) Int(name string) int { v, _ := a[name].(int); return v }

// Float returns a number field.
func (a Args) Float(name string) float64 { v, _ := a[name].(float64); return v }

// Bool returns a boolean field.
func (a Args) Bool(name string) bool { v, _ := a[name].(bool); return v }

// Text returns a text field.
func (a Args) Text(name string) string { v, _ := a[name].(string); return v }

// Ints returns an integers field, as given: one integer is a list of one.
func (a Args) Ints(name string) []int { v, _ := a[name].([]int); return v }

// Floats returns a numbers field.
func (a Args) Floats(name string) []float64 { v, _ := a[name].([]float64); return v }

// Nodes returns a field of layers.
func (a Args) Nodes(name string) []Node { v, _ := a[name].([]Node); return v }

// Node returns a field that names one thing, the zero Node if it is not given.
func (a Args) Node(name string) Node { v, _ := a[name].(Node); return v }

// Args checks the fields of n against those of e and fills in defaults. It is for
// catalogues of other packages. What is wrong stands in the second result.
func (e Entry) Args(n Node) (Args, Errors) {
	var errs Errors
	a := e.args(n, &errs)
	return a, errs
}

// args checks the fields of n against those of e and fills in defaults.
func (e Entry) args(n Node, errs *Errors) Args {
	a := Args{}
	names := make([]string, len(e.Fields))
	for i, f := range e.Fields {
		names[i] = f.Name
		v, given := n.Fields[f.Name]
		switch {
		case !given && f.Required:
			errs.addf(n.Path, "%s needs %q: %s (%s)", e.Name, f.Name, f.Summary, expected(f))
		case !given:
			a[f.Name] = f.Default
			if d, ok := f.Default.(int); ok && f.Type == typeInts {
				a[f.Name] = []int{d}
			}
		default:
			x, err := f.convert(v)
			if err != nil {
				errs.addf(n.Path+"."+f.Name, "%v", err)
				continue
			}
			a[f.Name] = x
		}
	}
	for _, given := range slices.Sorted(mapKeys(n.Fields)) {
		if !slices.Contains(names, given) {
			errs.addf(n.Path+"."+given, "%s has no field %q%s", e.Name, given, fieldHint(given, names))
		}
	}
	return a
}

func fieldHint(given string, names []string) string {
	if hint := nearest.DidYouMean(given, names); hint != "" {
		return hint
	}
	if len(names) == 0 {
		return "; it has no fields"
	}
	return "; it has " + strings.Join(names, ", ")
}

func mapKeys(m map[string]any) func(func(string) bool) {
	return func(yield func(string) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}
