package dataset

import (
	"cmp"
	"math"
	"slices"
	"strconv"
	"strings"
)

// parse reads a number of the row.
func (o *CSV) parse(rows *csvRows, name, field string) (float64, error) {
	v, err := strconv.ParseFloat(field, 64)
	if strings.Contains(field, "_") {
		err = strconv.ErrSyntax // Go reads 2024_01 as 202401, tables do not
	}
	switch {
	case err != nil && o.unlabelled && !math.IsInf(v, 0):
		return 0, rows.src.badLine(rows.line, "column %q: %q is not a number; correct it", name, clip(field))
	case err != nil && name == o.Target:
		return 0, rows.src.badLine(rows.line, "target %q: %q is not a number; if it names classes set columns.%s: category", name, clip(field), name)
	case err != nil && !finite(v):
		return 0, rows.src.badLine(rows.line, "column %q: %s is too large; correct it, or add it to missing_words", name, clip(field))
	case err != nil:
		return 0, rows.src.badLine(rows.line, "column %q: %q is not a number; if it is a word set columns.%s: category (or ignore)", name, clip(field), name)
	case !finite(v) || math.Abs(v) > math.MaxFloat32:
		return 0, rows.src.badLine(rows.line, "column %q: %s is not a finite number; correct it, or add it to missing_words", name, clip(field))
	}
	return v, nil
}

func finite(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }

// checkMissing refuses a missing value that must not be.
func (o *CSV) checkMissing(rows *csvRows, name, field string) error {
	what, others := "column", "mean, zero or drop"
	switch {
	case o.unlabelled && (o.Missing == "error" || o.Missing == "drop"):
		return rows.src.badLine(rows.line, "column %q is missing (%q); fill it in: the model knows no records without it", name, field)
	case name == o.Target:
		what, others = "target", "drop"
	case name == o.Weight:
		what, others = "weight", "drop"
	case o.Missing != "error":
		return nil
	}
	switch {
	case o.echo && name == o.Target: // of a series, which drops no rows
		return rows.src.badLine(rows.line, "target %q is missing (%q); fill it in: a series has one in every row", name, field)
	case o.echo:
		others = "mean or zero"
	}
	return rows.src.badLine(rows.line, "%s %q is missing (%q); fill it in, or set missing: %s", what, name, field, others)
}

// sortedWords returns words as numbers ascend if all are numbers, else by letter.
func sortedWords(words map[string]bool) []string {
	out := sortedKeys(words)
	value := make(map[string]float64, len(out))
	for _, w := range out {
		v, err := strconv.ParseFloat(w, 64)
		if err != nil || math.IsNaN(v) {
			return out
		}
		value[w] = v
	}
	slices.SortStableFunc(out, func(a, b string) int { return cmp.Compare(value[a], value[b]) })
	return out
}

// clip shortens a field for a message.
func clip(s string) string {
	if len(s) > 40 {
		return s[:37] + "..."
	}
	return s
}
