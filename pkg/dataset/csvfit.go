package dataset

import (
	"context"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/lockstep-ml/lockstep/pkg/shard"
)

// The bounds on words: beyond them a column is no category.
const (
	mostCategories = 10_000
	mostClasses    = 1 << 16
)

func (o *CSV) fit(ctx context.Context, e *env, s split, m *shard.Manifest) (*table, error) {
	o = o.withDefaults()
	rows, err := o.rows(ctx, e, s)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	if err := o.checkNames(rows, s); err != nil {
		return nil, err
	}
	var learners []*learner
	for at, name := range rows.names {
		if kind := o.kind(name); kind != colIgnore {
			learners = append(learners, &learner{csvColumn: csvColumn{at: at, name: name, kind: kind}})
		}
	}
	if err := o.learn(rows, learners); err != nil {
		return nil, err
	}
	return nil, o.conclude(rows, learners, m)
}

// checkNames compares the columns that the job names with those of the file.
func (o *CSV) checkNames(rows *csvRows, s split) error {
	var errs Errors
	unknown := func(path, name string) {
		if !slices.Contains(rows.names, name) {
			errs = append(errs, &Error{Path: path, Msg: fmt.Sprintf("%s has no column %q%s; its columns are %s",
				s.files.Path, name, suggestion(name, rows.names), strings.Join(rows.names, ", "))})
		}
	}
	unknown("data.target", o.Target)
	for _, name := range sortedKeys(o.Columns) {
		unknown("data.columns."+name, name)
	}
	if len(errs) > 0 {
		return errs
	}
	return nil
}

// learner collects what a column's fit needs.
type learner struct {
	csvColumn
	n         int64
	mean, m2  float64 // Welford: m2 is the sum of squared differences from the mean
	low, high float64
	words     map[string]bool
}

// learn reads all rows.
func (o *CSV) learn(rows *csvRows, learners []*learner) error {
	for {
		err := rows.next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		drop := o.Missing == "drop" && slices.ContainsFunc(learners, func(l *learner) bool { return rows.missing(rows.field(l.at)) })
		for _, l := range learners {
			if drop {
				break
			}
			if err := o.see(rows, l); err != nil {
				return err
			}
		}
	}
}

// see takes one field.
func (o *CSV) see(rows *csvRows, l *learner) error {
	field := rows.field(l.at)
	if rows.missing(field) {
		return o.checkMissing(rows, l.csvColumn, field)
	}
	if l.kind == colCategory {
		return l.seeWord(rows, field, l.name == o.Target)
	}
	v, err := o.parse(rows, l.csvColumn, field)
	if err != nil {
		return err
	}
	if l.n == 0 {
		l.low, l.high = v, v
	}
	l.n++
	l.low, l.high = min(l.low, v), max(l.high, v)
	// float64() keeps the compiler from fusing: the fit is the same on every CPU.
	d := v - l.mean
	l.mean += d / float64(l.n)
	l.m2 += float64(d * (v - l.mean))
	return nil
}

func (l *learner) seeWord(rows *csvRows, field string, target bool) error {
	if l.words == nil {
		l.words = map[string]bool{}
	}
	if l.words[field] {
		return nil
	}
	if !utf8.ValidString(field) {
		return rows.src.badLine(rows.line, "column %q is not text in UTF-8: %q; convert the file", l.name, field)
	}
	l.words[strings.Clone(field)] = true
	if most := mostCategories; !target && len(l.words) > most {
		return rows.src.badLine(rows.line, "column %q has more than %d categories; set columns.%s: ignore", l.name, most, l.name)
	}
	if len(l.words) > mostClasses {
		return rows.src.badLine(rows.line, "target %q has more than %d classes; is it a number?", l.name, mostClasses)
	}
	return nil
}

// parse reads a number.
func (o *CSV) parse(rows *csvRows, c csvColumn, field string) (float64, error) {
	v, err := strconv.ParseFloat(field, 64)
	switch {
	case err != nil && c.name == o.Target:
		return 0, rows.src.badLine(rows.line, "target %q: %q is not a number; if it names classes set columns.%s: category", c.name, clip(field), c.name)
	case err != nil:
		return 0, rows.src.badLine(rows.line, "column %q: %q is not a number; if it is a word set columns.%s: category (or ignore)", c.name, clip(field), c.name)
	case math.IsNaN(v) || math.Abs(v) > math.MaxFloat32:
		return 0, rows.src.badLine(rows.line, "column %q: %s is not a finite number; correct it, or add it to missing_words", c.name, clip(field))
	}
	return v, nil
}

// checkMissing refuses a missing value that must not be.
func (o *CSV) checkMissing(rows *csvRows, c csvColumn, field string) error {
	if c.name == o.Target {
		return rows.src.badLine(rows.line, "target %q is missing (%q); fill it in, or set missing: drop", c.name, field)
	}
	if o.Missing == "error" {
		return rows.src.badLine(rows.line, "column %q is missing (%q); fill it in, or set missing: mean, zero or drop", c.name, field)
	}
	return nil
}

// conclude turns what was learned into the manifest's fit.
func (o *CSV) conclude(rows *csvRows, learners []*learner, m *shard.Manifest) error {
	if rows.number < 0 {
		return rows.src.bad("has a header but no records")
	}
	width := 0
	for _, l := range learners {
		if l.n == 0 && len(l.words) == 0 {
			return rows.src.bad("column %q has no values in the training set; set columns.%s: ignore", l.name, l.name)
		}
		if l.name == o.Target {
			o.concludeTarget(l, m)
			continue
		}
		col := l.column(o.Normalise)
		if o.Missing == "mean" || o.Missing == "zero" {
			col.Fill = l.fill(o.Missing)
		}
		width += colWidth(col)
		m.Fit.Columns = append(m.Fit.Columns, col)
	}
	if width == 0 {
		return rows.src.bad("has no column to learn from besides the target %q", o.Target)
	}
	m.Input.Shape = []int{width}
	m.Planes = append([]shard.Plane{{Role: shard.RoleX, Type: shard.F32, Count: width}}, m.Planes...)
	return nil
}

func (o *CSV) concludeTarget(l *learner, m *shard.Manifest) {
	if l.kind == colNumber {
		m.Fit.Target = []shard.Column{l.column(o.NormaliseTarget)}
		m.Input.Target = shard.Target{Kind: shard.Value}
		m.Planes = []shard.Plane{{Role: shard.RoleY, Type: shard.F32, Count: 1}}
		return
	}
	m.Fit.Classes = sortedWords(l.words)
	m.Input.Target = shard.Target{Kind: shard.Class, Classes: len(m.Fit.Classes)}
	m.Planes = []shard.Plane{{Role: shard.RoleClass, Type: shard.U16, Count: 1}}
}

// column returns the fit of a column.
func (l *learner) column(normalise string) shard.Column {
	c := shard.Column{Name: l.name, Type: l.kind}
	if l.kind == colCategory {
		c.Categories = sortedWords(l.words)
		return c
	}
	c.Scale = 1
	switch normalise {
	case "standard":
		c.Shift, c.Scale = l.mean, math.Sqrt(l.m2/float64(max(l.n, 1)))
	case "minmax":
		c.Shift, c.Scale = l.low, l.high-l.low
	}
	if c.Scale <= 1e-12*math.Abs(c.Shift) || c.Scale == 0 { // constant
		c.Scale = 1
	}
	return c
}

// fill returns what a missing number becomes.
func (l *learner) fill(missing string) *float64 {
	if l.kind != colNumber {
		return nil
	}
	v := 0.0
	if missing == "mean" {
		v = l.mean
	}
	return &v
}

// colWidth returns how many inputs a column makes.
func colWidth(c shard.Column) int {
	if c.Type == colCategory {
		return len(c.Categories)
	}
	return 1
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
	slices.SortStableFunc(out, func(a, b string) int {
		switch {
		case value[a] < value[b]:
			return -1
		case value[a] > value[b]:
			return 1
		}
		return 0
	})
	return out
}

// clip shortens a field for a message.
func clip(s string) string {
	if len(s) > 40 {
		return s[:37] + "..."
	}
	return s
}
