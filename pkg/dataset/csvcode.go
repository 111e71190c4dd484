package dataset

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"

	"github.com/lockstep-ml/lockstep/internal/nearest"
	"github.com/lockstep-ml/lockstep/pkg/shard"
)

// csvColumn is a fitted column of an open file.
type csvColumn struct {
	shard.Column
	at    int              // field of a row
	width int              // inputs
	word  map[string]int32 // input or token of each category
}

// csvCoder turns rows into planes. All numbers of its planes take 4 bytes.
type csvCoder struct {
	opts   *CSV
	rows   *csvRows
	text   *encoder
	inputs []csvColumn
	target csvColumn
	weight *csvColumn
	class  bool
	planes [][]byte // of one record, coded: input, target, weight
}

func (o *CSV) load(ctx context.Context, e *env, s split, m *shard.Manifest) (*table, error) {
	o = o.withDefaults()
	if o.unlabelled = s.unlabelled; o.unlabelled {
		o.nameAll(m)
	}
	rows, err := o.rows(ctx, e, s)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	c, err := o.coder(rows, m)
	if err != nil {
		return nil, err
	}
	return e.fill(s.files.Path, m, func(put func(planes ...[]byte) error) error {
		for {
			keep, err := c.next()
			if err == io.EOF {
				return nil
			}
			if err == nil && keep {
				err = put(c.planes...)
			}
			if err != nil {
				return err
			}
		}
	})
}

// coder finds the fitted columns in a file, which may have them in another order.
func (o *CSV) coder(rows *csvRows, m *shard.Manifest) (*csvCoder, error) {
	c := &csvCoder{opts: o, rows: rows, text: newEncoder(o.Text, m.Fit.Vocabulary)}
	var err error
	if c.inputs, err = c.find(m.Fit.Columns); err != nil {
		return nil, err
	}
	c.planes = [][]byte{make([]byte, 4*rowWidth(m.Fit.Columns, o.Text.Length))}
	if o.unlabelled {
		return c, nil
	}
	target := shard.Column{Name: o.Target, Type: colCategory, Categories: m.Fit.Classes}
	if c.class = len(m.Fit.Target) == 0; !c.class {
		target = m.Fit.Target[0]
	}
	targets, err := c.find([]shard.Column{target})
	if err != nil {
		return nil, err
	}
	c.target = targets[0]
	c.planes = append(c.planes, make([]byte, 4))
	if o.Weight != "" {
		weights, err := c.find([]shard.Column{{Name: o.Weight, Type: colNumber, Scale: 1}})
		if err != nil {
			return nil, err
		}
		c.weight = &weights[0]
		c.planes = append(c.planes, make([]byte, 4))
	}
	return c, c.checkExtra(m)
}

// nameAll names the columns of a file of new records that has no line of names: it has
// those of the training set, all of which the fit and the job name.
func (o *CSV) nameAll(m *shard.Manifest) {
	if o.Header || len(o.Names) > 0 {
		return
	}
	known := map[string]bool{o.Target: true}
	for name := range o.Columns {
		known[name] = true
	}
	if o.Weight != "" {
		known[o.Weight] = true
	}
	for _, c := range m.Fit.Columns {
		known[c.Name] = true
	}
	for i := range len(known) {
		o.Names = append(o.Names, fmt.Sprintf("c%d", i+1))
	}
}

// find looks up columns by name.
func (c *csvCoder) find(columns []shard.Column) ([]csvColumn, error) {
	out := make([]csvColumn, len(columns))
	next := int32(1) // token; 0 is unknown
	for i, col := range columns {
		at := slices.Index(c.rows.names, col.Name)
		if at < 0 {
			return nil, c.rows.src.bad("has no column %q, but the training set has; its columns are %s",
				col.Name, strings.Join(c.rows.names, ", "))
		}
		out[i] = csvColumn{Column: col, at: at, width: colWidth(col, c.opts.Text.Length), word: map[string]int32{}}
		for k, w := range col.Categories {
			out[i].word[w] = int32(k)
			if col.Type == colID {
				out[i].word[w] = next
				next++
			}
		}
	}
	return out, nil
}

// checkExtra refuses columns that were not there when the data were fitted.
func (c *csvCoder) checkExtra(m *shard.Manifest) error {
	for _, name := range c.rows.names {
		known := name == c.opts.Target || name == c.opts.Weight || c.opts.kind(name) == colIgnore ||
			slices.ContainsFunc(m.Fit.Columns, func(col shard.Column) bool { return col.Name == name })
		if !known {
			return c.rows.src.bad("has a column %q that the training set has not; remove it, or set columns.%s: ignore", name, name)
		}
	}
	return nil
}

// next codes the next row into planes; keep is false if the row is dropped.
func (c *csvCoder) next() (keep bool, err error) {
	if err := c.rows.next(); err != nil {
		return false, err
	}
	if c.opts.Missing == "drop" && !c.opts.unlabelled {
		missing := func(col csvColumn) bool { return c.rows.missing(c.rows.field(col.at)) }
		if missing(c.target) || slices.ContainsFunc(c.inputs, missing) || c.weight != nil && missing(*c.weight) {
			return false, nil
		}
	}
	clear(c.planes[0])
	x := c.planes[0]
	for i := range c.inputs {
		if err := c.input(x, &c.inputs[i]); err != nil {
			return false, err
		}
		x = x[4*c.inputs[i].width:]
	}
	if c.opts.unlabelled {
		return true, nil
	}
	if c.weight != nil {
		if err := c.codeWeight(); err != nil {
			return false, err
		}
	}
	return true, c.codeTarget()
}

// input codes one column into the beginning of x, which is zero.
func (c *csvCoder) input(x []byte, col *csvColumn) error {
	field := c.rows.field(col.at)
	missing := c.rows.missing(field)
	if missing {
		if err := c.opts.checkMissing(c.rows, col.Name, field); err != nil {
			return err
		}
	}
	switch {
	case col.Type == colText:
		c.codeText(x, field, col.width)
		return nil
	case col.Type == colCategory || col.Type == colID:
		return c.codeWord(x, col, field, missing)
	case missing && col.Fill == nil:
		return c.rows.src.badLine(c.rows.line, "column %q is missing (%q); fill it in: the training set has nothing in its place", col.Name, field)
	case missing:
		putFloat(x, code(*col.Fill, col.Column))
		return nil
	}
	return c.codeNumber(x, col, field)
}

// codeText codes the first n tokens; shorter texts end in padding.
func (c *csvCoder) codeText(x []byte, text string, n int) {
	i := 0
	c.text.tokens.each(text, func(tok string) bool {
		if i == n {
			return false
		}
		binary.LittleEndian.PutUint32(x[4*i:], uint32(c.text.token(tok)))
		i++
		return true
	})
}

// codeWord sets the input of a category, or codes an id.
func (c *csvCoder) codeWord(x []byte, col *csvColumn, field string, missing bool) error {
	i, known := col.word[field]
	switch {
	case !known && !missing && c.opts.Unknown == "error":
		return c.rows.src.badLine(c.rows.line, "column %q: %s %q is not in the training set%s; correct it, or set unknown: zero",
			col.Name, col.Type, clip(field), nearest.DidYouMean(field, col.Categories))
	case !known:
	case col.Type == colID:
		binary.LittleEndian.PutUint32(x, uint32(i))
	default:
		putFloat(x[4*i:], 1)
	}
	return nil
}

// codeNumber codes a number that is there.
func (c *csvCoder) codeNumber(x []byte, col *csvColumn, field string) error {
	v, err := c.opts.parse(c.rows, col.Name, field)
	if err != nil {
		return err
	}
	f := code(v, col.Column)
	if !finite(float64(f)) {
		return c.rows.src.badLine(c.rows.line, "column %q: %v is too far from the training set's values (%v ± %v); correct it",
			col.Name, v, col.Shift, col.Scale)
	}
	putFloat(x, f)
	return nil
}

// codeTarget codes the target into its plane.
func (c *csvCoder) codeTarget() error {
	field := c.rows.field(c.target.at)
	if c.rows.missing(field) {
		if err := c.opts.checkMissing(c.rows, c.opts.Target, field); err != nil {
			return err
		}
	}
	if !c.class {
		return c.codeNumber(c.planes[1], &c.target, field)
	}
	i, ok := c.target.word[field]
	if !ok {
		return c.rows.src.badLine(c.rows.line, "target %q: class %q is not in the training set%s; correct it",
			c.target.Name, clip(field), nearest.DidYouMean(field, c.target.Categories))
	}
	binary.LittleEndian.PutUint32(c.planes[1], uint32(i))
	return nil
}

// codeWeight codes the weight into its plane.
func (c *csvCoder) codeWeight() error {
	field := c.rows.field(c.weight.at)
	if c.rows.missing(field) {
		return c.opts.checkMissing(c.rows, c.opts.Weight, field)
	}
	if v, err := c.opts.parse(c.rows, c.opts.Weight, field); err == nil && v < 0 {
		return c.rows.src.badLine(c.rows.line, "weight %q: %s is negative; correct it", c.opts.Weight, clip(field))
	}
	return c.codeNumber(c.planes[2], c.weight, field)
}

// code returns a number as the network sees it.
func code(v float64, c shard.Column) float32 { return float32((v - c.Shift) / c.Scale) }

func putFloat(b []byte, v float32) {
	binary.LittleEndian.PutUint32(b, math.Float32bits(v))
}
