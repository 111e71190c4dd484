package dataset

import (
	"bufio"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// mostRowBytes bounds the length of a row, so that a file that is no table is not
// read into memory as one field.
const mostRowBytes = 16 << 20

// csvRows reads the rows of a file that belong to a split.
type csvRows struct {
	opts   *CSV
	src    *source
	part   part
	guard  *rowGuard
	quoted *csv.Reader   // or
	plain  *bufio.Reader // without quotes
	names  []string      // of the columns
	fields []string      // of the row; valid until next
	line   int
	number int64 // of the row, from 0; -1 before the first
	held   bool  // the row is the first record, read in search of a header
}

// rows opens a split and reads its header.
func (o *CSV) rows(ctx context.Context, e *env, s split) (*csvRows, error) {
	src, err := e.open(s.path, s.files.Path)
	if err != nil {
		return nil, err
	}
	r := &csvRows{opts: o, src: src, part: s.part, number: -1}
	raw, err := src.reader(ctx)
	if err == nil {
		skipBOM(raw)
		r.guard = &rowGuard{r: raw}
		r.plain = bufio.NewReaderSize(r.guard, 1<<16)
		if o.Quotes {
			r.quoted = csv.NewReader(r.plain)
			r.quoted.Comma, r.quoted.ReuseRecord, r.quoted.FieldsPerRecord = o.Separator, true, -1
		}
		err = r.header()
	}
	if err != nil {
		return nil, errors.Join(err, src.Close())
	}
	return r, nil
}

// Close closes the file.
func (r *csvRows) Close() error { return r.src.Close() }

// header reads or makes up the names of the columns.
func (r *csvRows) header() error {
	if err := r.read(); err == io.EOF {
		return r.src.bad("is empty; expected a line of column names, then a line for each record")
	} else if err != nil {
		return err
	}
	numbers := 0
	for i, f := range r.fields {
		name := strings.TrimSpace(strings.Clone(f))
		if !utf8.ValidString(name) || strings.ContainsRune(name, 0) {
			return r.src.badLine(r.line, "is not text in UTF-8; give a CSV file")
		}
		if _, err := strconv.ParseFloat(name, 64); err == nil {
			numbers++
		}
		if name == "" && r.opts.Header {
			return r.src.badLine(r.line, "column %d has no name; name it, or set header: false", i+1)
		}
		r.names = append(r.names, name)
	}
	if r.opts.Header && numbers == len(r.names) {
		return r.src.badLine(r.line, "holds numbers where the column names should be; set header: false and names")
	}
	if !r.opts.Header {
		r.held = true
		names := slices.Clone(r.opts.Names)
		if r.opts.unlabelled && len(names) == len(r.names)+1 {
			names = slices.DeleteFunc(names, func(name string) bool { return name == r.opts.Target })
		}
		if given := len(names); given > 0 && given != len(r.names) {
			return &Error{Path: "data.names", Msg: fmt.Sprintf("gives %s, but %s has %s",
				plural(given, "name"), r.src.name, plural(len(r.names), "column"))}
		}
		for i := range r.names {
			r.names[i] = fmt.Sprintf("c%d", i+1)
		}
		copy(r.names, names)
	}
	seen := map[string]bool{}
	for _, name := range r.names {
		if seen[name] {
			return r.src.badLine(r.line, "column %q is there twice; rename one", name)
		}
		seen[name] = true
	}
	return nil
}

// next reads the next row of the split. It returns io.EOF after the last.
func (r *csvRows) next() error {
	for {
		if r.held {
			r.held = false
		} else if err := r.read(); err != nil {
			return err
		}
		r.number++
		if len(r.fields) != len(r.names) {
			return r.src.badLine(r.line, "has %s, the first line has %d; quote fields that contain %q",
				plural(len(r.fields), "field"), len(r.names), r.opts.Separator)
		}
		if r.part.keep(r.number) {
			return nil
		}
	}
}

// read reads the next row of the file.
func (r *csvRows) read() error {
	r.guard.n = 0
	if r.quoted == nil {
		return r.readPlain()
	}
	fields, err := r.quoted.Read()
	var syntax *csv.ParseError
	switch {
	case err == io.EOF:
		return io.EOF
	case errors.As(err, &syntax):
		return r.src.badLine(syntax.Line, `column %d: %v; write "" for a quote inside quotes, or set quotes: false`, syntax.Column, syntax.Err)
	case err != nil:
		return r.failed(r.line+1, err)
	}
	r.fields = fields
	r.line, _ = r.quoted.FieldPos(0)
	return nil
}

// readPlain reads a line whose quotes mean nothing.
func (r *csvRows) readPlain() error {
	for {
		text, err := r.plain.ReadString('\n')
		r.line++
		if err != nil && (err != io.EOF || text == "") {
			if err == io.EOF {
				return io.EOF
			}
			return r.failed(r.line, err)
		}
		if text = strings.TrimRight(text, "\r\n"); text == "" {
			continue
		}
		r.fields = splitInto(r.fields[:0], text, r.opts.Separator)
		return nil
	}
}

func (r *csvRows) failed(line int, err error) error {
	if errors.Is(err, errLongRow) {
		return r.src.badLine(line, "%v; is a quote not closed, or the file no table?", errLongRow)
	}
	return r.src.unreadable(err)
}

// splitInto is strings.Split into a slice that is used again.
func splitInto(dst []string, s string, sep rune) []string {
	for {
		i := strings.IndexRune(s, sep)
		if i < 0 {
			return append(dst, s)
		}
		dst = append(dst, s[:i])
		s = s[i+len(string(sep)):]
	}
}

// field returns column at of the row, without space around it.
func (r *csvRows) field(at int) string { return strings.TrimSpace(r.fields[at]) }

// missing reports whether a field holds no value.
func (r *csvRows) missing(field string) bool { return slices.Contains(r.opts.MissingWords, field) }

// errLongRow is what rowGuard refuses with.
var errLongRow = fmt.Errorf("is longer than %d MiB", mostRowBytes>>20)

// rowGuard counts what is read since the last row.
type rowGuard struct {
	r io.Reader
	n int
}

func (g *rowGuard) Read(p []byte) (int, error) {
	if g.n > mostRowBytes {
		return 0, errLongRow
	}
	n, err := g.r.Read(p)
	g.n += n
	return n, err
}
