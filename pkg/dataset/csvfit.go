package dataset

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/lockstep-ml/lockstep/internal/nearest"
	"github.com/lockstep-ml/lockstep/pkg/shard"
)

// The bounds on words: beyond them a column is no category. Words travel in the
// manifest.
const (
	mostCategories = 10_000
	mostClasses    = 1 << 16
	mostIDs        = 200_000
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
			learners = append(learners, &learner{opts: o, at: at, name: name, kind: kind, text: counter{tokens: o.Text}})
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
				s.files.Path, name, nearest.DidYouMean(name, rows.names), strings.Join(rows.names, ", "))})
		}
	}
	unknown("data.target", o.Target)
	if o.Weight != "" {
		unknown("data.weight", o.Weight)
	}
	for _, name := range sortedKeys(o.Columns) {
		unknown("data.columns."+name, name)
	}
	if len(errs) > 0 {
		return errs
	}
	return nil
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
		missing := func(l *learner) bool { return rows.missing(rows.field(l.at)) }
		if o.Missing == "drop" && slices.ContainsFunc(learners, missing) {
			continue
		}
		for _, l := range learners {
			if err := l.see(rows); err != nil {
				return err
			}
		}
	}
}

// learner collects what a column's fit needs.
type learner struct {
	opts      *CSV
	at        int
	name      string
	kind      string
	n         int64
	mean, m2  float64 // Welford: m2 is the sum of squared differences from the mean
	low, high float64
	words     map[string]bool
	text      counter
}

// see takes the column's field of a row.
func (l *learner) see(rows *csvRows) error {
	field := rows.field(l.at)
	if rows.missing(field) {
		return l.opts.checkMissing(rows, l.name, field)
	}
	switch l.kind {
	case colCategory, colID:
		return l.seeWord(rows, field)
	case colText:
		l.n++
		if err := l.text.add(field); err != nil {
			return rows.src.badLine(rows.line, "column %q %v", l.name, err)
		}
		return nil
	}
	v, err := l.opts.parse(rows, l.name, field)
	if err != nil {
		return err
	}
	l.seeNumber(v)
	return nil
}

func (l *learner) seeNumber(v float64) {
	if l.n == 0 {
		l.low, l.high = v, v
	}
	l.n++
	l.low, l.high = min(l.low, v), max(l.high, v)
	// float64() keeps the compiler from fusing: the fit is the same on every CPU.
	d := v - l.mean
	l.mean += d / float64(l.n)
	l.m2 += float64(d * (v - l.mean))
}

func (l *learner) seeWord(rows *csvRows, field string) error {
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
	switch n := len(l.words); {
	case l.name == l.opts.Target && n > mostClasses:
		return rows.src.badLine(rows.line, "target %q has more than %d classes; is it a number?", l.name, mostClasses)
	case l.name != l.opts.Target && l.kind == colCategory && n > mostCategories:
		return rows.src.badLine(rows.line, "column %q has more than %d categories; set columns.%s: ignore (or id)", l.name, mostCategories, l.name)
	case l.kind == colID && n > mostIDs:
		return rows.src.badLine(rows.line, "column %q has more than %d ids; set columns.%s: ignore", l.name, mostIDs, l.name)
	}
	return nil
}

// conclude turns what was learned into the manifest's fit.
func (o *CSV) conclude(rows *csvRows, learners []*learner, m *shard.Manifest) error {
	if rows.number < 0 {
		return rows.src.bad("has a header but no records")
	}
	for _, l := range learners {
		if l.n == 0 && len(l.words) == 0 {
			return rows.src.bad("column %q has no values in the training set; set columns.%s: ignore", l.name, l.name)
		}
		if l.name == o.Weight && l.high <= 0 {
			return rows.src.bad("weight %q is positive in no record; correct it, or leave out weight", l.name)
		}
		if l.name == o.Target {
			o.concludeTarget(l, m)
		}
		if l.name == o.Target && !o.echo || l.name == o.Weight {
			continue
		}
		m.Fit.Columns = append(m.Fit.Columns, l.column())
		if l.kind == colText {
			m.Fit.Vocabulary = l.text.vocabulary()
		}
	}
	if len(m.Fit.Columns) == 0 {
		return rows.src.bad("has no column to learn from besides the target %q", o.Target)
	}
	x, in, err := o.inputOf(m.Fit)
	if err != nil {
		return err
	}
	m.Input.Shape, m.Input.Tokens = in.Shape, in.Tokens
	m.Planes = append([]shard.Plane{x}, m.Planes...)
	if o.Weight != "" {
		m.Planes = append(m.Planes, shard.Plane{Role: shard.RoleWeight, Type: shard.F32, Count: 1})
	}
	return nil
}

func (o *CSV) concludeTarget(l *learner, m *shard.Manifest) {
	if l.kind == colNumber {
		c := l.column()
		m.Fit.Target = []shard.Column{c}
		m.Input.Target = shard.Target{Kind: shard.Value}
		m.Planes = []shard.Plane{{Role: shard.RoleY, Type: shard.F32, Count: 1}}
		return
	}
	m.Fit.Classes = sortedWords(l.words)
	m.Input.Target = shard.Target{Kind: shard.Class, Classes: len(m.Fit.Classes)}
	m.Planes = []shard.Plane{{Role: shard.RoleClass, Type: shard.I32, Count: 1}}
}

// inputOf returns what columns that were so fitted make of a row.
func (o *CSV) inputOf(fit shard.Fit) (x shard.Plane, in shard.Input, err error) {
	kinds := map[string]int{}
	for _, c := range fit.Columns {
		kinds[c.Type]++
	}
	numbers := kinds[colNumber] + kinds[colCategory]
	switch {
	case numbers == len(fit.Columns):
		in.Shape = []int{rowWidth(fit.Columns, 0)}
		return shard.Plane{Role: shard.RoleX, Type: shard.F32, Count: in.Shape[0]}, in, nil
	case kinds[colID] == len(fit.Columns):
		in.Tokens = 1 // 0 is unknown
		for _, c := range fit.Columns {
			in.Tokens += len(c.Categories)
		}
	case kinds[colText] == 1 && len(fit.Columns) == 1:
		in.Tokens = len(fit.Vocabulary)
	default:
		return x, in, &Error{Path: "data.columns", Msg: fmt.Sprintf(
			"inputs are %d numbers or categories, %d ids and %d texts; expected only numbers and categories, only ids, or one text: set the others to ignore",
			numbers, kinds[colID], kinds[colText])}
	}
	in.Shape = []int{rowWidth(fit.Columns, o.Text.Length)}
	return shard.Plane{Role: shard.RoleTokens, Type: shard.I32, Count: in.Shape[0]}, in, nil
}

func (o *CSV) inputs(m *shard.Manifest) (shard.Plane, error) {
	x, in, err := o.withDefaults().inputOf(m.Fit)
	return x, errors.Join(err, sameInput(m, in.Shape, in.Tokens))
}

// column returns the fit of a column.
func (l *learner) column() shard.Column {
	c := shard.Column{Name: l.name, Type: l.kind}
	normalise := l.opts.Normalise
	switch {
	case l.kind == colCategory || l.kind == colID:
		c.Categories = sortedWords(l.words)
		return c
	case l.kind == colText:
		return c
	case l.name == l.opts.Target:
		normalise = l.opts.NormaliseTarget
	default:
		c.Fill = l.fill()
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

// fill returns what a missing number becomes, nil if it must not be missing.
func (l *learner) fill() *float64 {
	var v float64
	switch l.opts.Missing {
	case "mean":
		v = l.mean
	case "zero":
	default:
		return nil
	}
	return &v
}

// colWidth returns how many inputs a column makes; text makes length.
func colWidth(c shard.Column, length int) int {
	switch c.Type {
	case colCategory:
		return len(c.Categories)
	case colText:
		return length
	}
	return 1
}

// rowWidth returns how many inputs columns make.
func rowWidth(columns []shard.Column, length int) int {
	n := 0
	for _, c := range columns {
		n += colWidth(c, length)
	}
	return n
}
