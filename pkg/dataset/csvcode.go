package dataset

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"

	"github.com/lockstep-ml/lockstep/pkg/shard"
)

// csvCoder turns rows into the planes of a table.
type csvCoder struct {
	opts   *CSV
	rows   *csvRows
	inputs []csvColumn
	target csvColumn
	class  bool
	x, y   []byte // planes of one record, coded
}

func (o *CSV) load(ctx context.Context, e *env, s split, m *shard.Manifest) (*table, error) {
	o = o.withDefaults()
	rows, err := o.rows(ctx, e, s)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	c, err := o.coder(rows, s, m)
	if err != nil {
		return nil, err
	}
	sinks := make([]*sink, len(m.Planes))
	for i, p := range m.Planes {
		sinks[i] = e.newSink(s.files.Path, i, p)
		defer sinks[i].drop()
	}
	t := &table{}
	for {
		switch keep, err := c.next(); {
		case err == io.EOF:
			for _, out := range sinks {
				p, err := out.finish()
				if err != nil {
					return nil, errors.Join(err, t.Close())
				}
				t.planes = append(t.planes, p)
			}
			return t, nil
		case err != nil:
			return nil, err
		case !keep:
			continue
		}
		t.records++
		if err := errors.Join(write(sinks[0], c.x), write(sinks[1], c.y)); err != nil {
			return nil, err
		}
	}
}

func write(w io.Writer, b []byte) error {
	_, err := w.Write(b)
	return err
}

// coder finds the fitted columns in a file, which may have them in another order.
func (o *CSV) coder(rows *csvRows, s split, m *shard.Manifest) (*csvCoder, error) {
	if len(m.Planes) != 2 || m.Planes[0].Role != shard.RoleX {
		return nil, errors.New("data set: the manifest is not of a CSV file of this version")
	}
	c := &csvCoder{opts: o, rows: rows, class: m.Planes[1].Role == shard.RoleClass}
	used := map[string]bool{o.Target: true}
	find := func(col shard.Column) (csvColumn, error) {
		used[col.Name] = true
		at := slices.Index(rows.names, col.Name)
		if at < 0 {
			return csvColumn{}, rows.src.bad("has no column %q, but the training set has; its columns are %s", col.Name, strings.Join(rows.names, ", "))
		}
		cc := csvColumn{at: at, name: col.Name, kind: col.Type, fit: &col, word: map[string]int{}}
		for i, w := range col.Categories {
			cc.word[w] = i
		}
		return cc, nil
	}
	target := shard.Column{Name: o.Target, Type: colCategory, Categories: m.Fit.Classes}
	if !c.class {
		if len(m.Fit.Target) != 1 {
			return nil, errors.New("data set: the manifest has no fit of the target")
		}
		target = m.Fit.Target[0]
	}
	var err error
	if c.target, err = find(target); err != nil {
		return nil, err
	}
	width := 0
	for _, col := range m.Fit.Columns {
		width += colWidth(col)
		cc, err := find(col)
		if err != nil {
			return nil, err
		}
		c.inputs = append(c.inputs, cc)
	}
	for _, name := range rows.names {
		if !used[name] && o.kind(name) != colIgnore {
			return nil, rows.src.bad("has a column %q that the training set has not; remove it, or set columns.%s: ignore", name, name)
		}
	}
	if width != m.Planes[0].Count || m.Planes[1].Count != 1 {
		return nil, fmt.Errorf("data set: the manifest's columns make %d inputs, its plane holds %d", width, m.Planes[0].Count)
	}
	c.x = make([]byte, m.Planes[0].Bytes())
	c.y = make([]byte, m.Planes[1].Bytes())
	return c, nil
}

// next codes the next row into x and y; keep is false if the row is dropped.
func (c *csvCoder) next() (keep bool, err error) {
	if err := c.rows.next(); err != nil {
		return false, err
	}
	if c.opts.Missing == "drop" {
		missing := func(col csvColumn) bool { return c.rows.missing(c.rows.field(col.at)) }
		if missing(c.target) || slices.ContainsFunc(c.inputs, missing) {
			return false, nil
		}
	}
	clear(c.x)
	x := c.x
	for i := range c.inputs {
		if err := c.input(x, &c.inputs[i]); err != nil {
			return false, err
		}
		x = x[4*colWidth(*c.inputs[i].fit):]
	}
	return true, c.codeTarget()
}

// input codes one column into the beginning of x, which is zero.
func (c *csvCoder) input(x []byte, col *csvColumn) error {
	field := c.rows.field(col.at)
	missing := c.rows.missing(field)
	if missing {
		if err := c.opts.checkMissing(c.rows, *col, field); err != nil {
			return err
		}
	}
	if col.kind == colCategory {
		i, known := col.word[field]
		if !known && !missing && c.opts.Unknown == "error" {
			return c.rows.src.badLine(c.rows.line, "column %q: category %q is not in the training set%s; correct it, or set unknown: zero",
				col.name, clip(field), suggestion(field, col.fit.Categories))
		}
		if known {
			putFloat(x[4*i:], 1)
		}
		return nil
	}
	if missing {
		if col.fit.Fill == nil {
			return fmt.Errorf("data set: the manifest has no fill for column %q", col.name)
		}
		putFloat(x, code(*col.fit.Fill, col.fit))
		return nil
	}
	v, err := c.opts.parse(c.rows, *col, field)
	if err != nil {
		return err
	}
	return c.put(x, v, col)
}

// put codes a number.
func (c *csvCoder) put(x []byte, v float64, col *csvColumn) error {
	f := code(v, col.fit)
	if math.IsInf(float64(f), 0) {
		return c.rows.src.badLine(c.rows.line, "column %q: %v is too far from the training set's values (%v ± %v); correct it",
			col.name, v, col.fit.Shift, col.fit.Scale)
	}
	putFloat(x, f)
	return nil
}

// codeTarget codes the target into y.
func (c *csvCoder) codeTarget() error {
	field := c.rows.field(c.target.at)
	if c.rows.missing(field) {
		if err := c.opts.checkMissing(c.rows, c.target, field); err != nil {
			return err
		}
	}
	if c.class {
		i, ok := c.target.word[field]
		if !ok {
			return c.rows.src.badLine(c.rows.line, "target %q: class %q is not in the training set%s; correct it",
				c.target.name, clip(field), suggestion(field, c.target.fit.Categories))
		}
		binary.LittleEndian.PutUint16(c.y, uint16(i))
		return nil
	}
	v, err := c.opts.parse(c.rows, c.target, field)
	if err != nil {
		return err
	}
	return c.put(c.y, v, &c.target)
}

// code returns a number as the network sees it.
func code(v float64, c *shard.Column) float32 { return float32((v - c.Shift) / c.Scale) }

func putFloat(b []byte, v float32) {
	binary.LittleEndian.PutUint32(b, math.Float32bits(v))
}
