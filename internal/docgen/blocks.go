package main

import (
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"strings"

	"github.com/lockstep-ml/lockstep/pkg/dataset"
	"github.com/lockstep-ml/lockstep/pkg/job"
	"github.com/lockstep-ml/lockstep/pkg/nn"
)

// block is one generated part of the document.
type block struct{ name, text string }

// row is one line of a table of fields.
type row struct{ name, kind, fallback, summary string }

func blocks() []block {
	return []block{
		{"fields", table(nnRows(job.Fields()))},
		{"sections", sections()},
		{"formats", formats()},
		{"augmentations", entries("augmentation")},
		{"every layer", table(nnRows(job.LayerFields()))},
		{"layers", entries("layer")},
		{"activations", entries("activation")},
		{"losses", entries("loss")},
		{"optimizers", entries("optimizer")},
		{"schedules", entries("schedule")},
		{"metrics", entries("metric")},
		{"recipes", entries("recipe")},
	}
}

// sections lists the fields that have parts, and the parts that are not of the
// catalogue.
func sections() string {
	rows := make([]row, 0, 8)
	for _, s := range job.Sections() {
		fallback := "none"
		if s.Required {
			fallback = "**required**"
		}
		rows = append(rows, row{s.Name, "section", fallback, s.Summary})
		for _, r := range nnRows(s.Fields) {
			r.name = s.Name + "." + r.name
			rows = append(rows, r)
		}
	}
	return table(rows)
}

// entries describes one class of the catalogue.
func entries(class string) string {
	var b strings.Builder
	for _, e := range (job.Reader{}).Catalogue() {
		if e.Class != class {
			continue
		}
		if len(e.Fields) == 0 {
			fmt.Fprintf(&b, "- `%s` %s%s\n", e.Name, e.Summary, shapes(e))
			continue
		}
		fmt.Fprintf(&b, "\n**`%s`** %s%s\n\n%s", e.Name, e.Summary, shapes(e), table(nnRows(e.Fields)))
	}
	return strings.TrimSpace(b.String()) + "\n"
}

// shapes ends the summary of a layer.
func shapes(e nn.Entry) string {
	if e.Shapes == "" {
		return ""
	}
	return " · `" + e.Shapes + "`"
}

func formats() string {
	var b strings.Builder
	for _, f := range dataset.Formats() {
		rows := make([]row, len(f.Fields))
		for i, field := range f.Fields {
			rows[i] = dataRow(field)
		}
		fmt.Fprintf(&b, "\n**`format: %s`** %s\n\n%s", f.Name, f.Summary, table(rows))
	}
	return strings.TrimSpace(b.String()) + "\n"
}

func nnRows(fields []nn.Field) []row {
	rows := make([]row, len(fields))
	for i, f := range fields {
		kind := f.Type
		if len(f.Values) > 0 {
			kind = words(f.Values)
		}
		kind += bounds(f)
		rows[i] = row{f.Name, kind, fallback(f.Default, f.Required), f.Summary}
		if f.Short {
			rows[i].summary += " · may be given alone"
		}
	}
	return rows
}

func dataRow(f dataset.Field) row {
	kind := f.Type
	switch {
	case len(f.Keys) > 0:
		kind += " {" + strings.Join(f.Keys, ", ") + "}"
	case len(f.Choices) > 0 && f.Type == "map":
		kind += " of column to " + words(f.Choices)
	case len(f.Choices) > 0:
		kind = words(f.Choices)
	case f.Min < f.Max:
		kind += fmt.Sprintf(", %v to %v", f.Min, f.Max)
	}
	return row{f.Name, kind, fallback(f.Default, f.Required), f.Summary}
}

func words(values []string) string {
	return "`" + strings.Join(values, "`, `") + "`"
}

// bounds writes the range of a number as a mathematician does: ≥ 0, < 1.
func bounds(f nn.Field) string {
	var b strings.Builder
	for _, x := range []struct {
		sign  string
		value *float64
	}{{"≥", f.Min}, {">", f.Above}, {"≤", f.Max}, {"<", f.Below}} {
		if x.value != nil {
			fmt.Fprintf(&b, ", %s %s", x.sign, number(*x.value))
		}
	}
	return b.String()
}

func number(v float64) string {
	if v == math.Trunc(v) && math.Abs(v) < 1e15 {
		return fmt.Sprintf("%d", int64(v))
	}
	return fmt.Sprint(v)
}

// fallback says what holds if a field is not given.
func fallback(v any, required bool) string {
	if required {
		return "**required**"
	}
	if r := reflect.ValueOf(v); v == nil || r.Kind() == reflect.Slice && r.Len() == 0 {
		return "none"
	}
	if s, ok := v.(string); ok {
		return "`" + s + "`"
	}
	text, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	return "`" + string(text) + "`"
}

func table(rows []row) string {
	var b strings.Builder
	b.WriteString("| field | type | default | effect |\n|---|---|---|---|\n")
	for _, r := range rows {
		cell := strings.NewReplacer("|", `\|`, "\n", " ").Replace
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", r.name, cell(r.kind), cell(r.fallback), cell(r.summary))
	}
	return b.String()
}
