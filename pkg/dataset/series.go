package dataset

import (
	"context"
	"io"

	"github.com/lockstep-ml/lockstep/pkg/shard"
)

// Series is a table whose rows are points in time: a record is a window of rows,
// and the target is a column some rows later. The target is an input too.
type Series struct {
	CSV
	// Window is the number of rows of a record; Horizon is how many rows after the
	// window's last one the target is.
	Window, Horizon int
}

// seriesFormat is the catalogue's entry.
func seriesFormat() Format {
	fields := append(filesFields("path"), csvFields(colNumber, colCategory, colIgnore)...)
	return Format{
		Name:    "series",
		Summary: "a table of text whose rows are points in time: windows of rows predict a column of a later row; a fraction takes the last rows",
		Fields: append(fields,
			Field{Name: "window", Type: typeInt, Required: true, Min: 1, Max: 1 << 16, Summary: "rows of a record"},
			Field{Name: "horizon", Type: typeInt, Default: int64(1), Min: 1, Max: 1 << 16, Summary: "rows from the last of the window to the target"},
		),
		decode: func(v values, bad func(field, format string, args ...any)) Options {
			o := &Series{CSV: *decodeCSV(v, bad), Window: int(v.int("window")), Horizon: int(v.int("horizon"))}
			if o.Missing == "drop" {
				bad("missing", "drop would join rows that are not neighbours; expected error, mean or zero")
			}
			return o
		},
	}
}

func (o *Series) fit(ctx context.Context, e *env, s split, m *shard.Manifest) (*table, error) {
	s, err := o.inOrder(ctx, e, s)
	if err != nil {
		return nil, err
	}
	table := o.CSV
	table.echo = true
	if _, err := table.fit(ctx, e, s, m); err != nil {
		return nil, err
	}
	m.Input.Shape = []int{o.Window, m.Planes[0].Count}
	m.Planes[0].Count *= o.Window
	return nil, nil
}

func (o *Series) inputs(m *shard.Manifest) (shard.Plane, error) {
	features := rowWidth(m.Fit.Columns, 0)
	return shard.Plane{Role: shard.RoleX, Type: shard.F32, Count: o.Window * features}, sameInput(m, []int{o.Window, features}, 0)
}

func (o *Series) load(ctx context.Context, e *env, s split, m *shard.Manifest) (*table, error) {
	s, err := o.inOrder(ctx, e, s)
	if err != nil {
		return nil, err
	}
	table := o.CSV.withDefaults()
	table.echo, table.unlabelled = true, s.unlabelled
	rows, err := table.rows(ctx, e, s)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	c, err := table.coder(rows, m)
	if err != nil {
		return nil, err
	}
	horizon := max(o.Horizon, 1)
	if s.unlabelled {
		horizon = 0 // the last window is that of the newest rows
	}
	width := len(c.planes[0])
	// past holds the coded rows from the window's first to the newest.
	past := make([]byte, (o.Window+horizon)*width)
	record := append([][]byte{past[:o.Window*width]}, c.planes[1:]...)
	seen := 0
	return e.fill(s.files.Path, m, func(put func(planes ...[]byte) error) error {
		for {
			if _, err := c.next(); err == io.EOF && s.unlabelled && seen < o.Window {
				return rows.src.bad("has %s, but a record is a window of %d", plural(seen, "row"), o.Window)
			} else if err == io.EOF {
				return nil
			} else if err != nil {
				return err
			}
			copy(past, past[width:])
			copy(past[len(past)-width:], c.planes[0])
			if seen++; seen < o.Window+horizon {
				continue
			}
			if err := put(record...); err != nil {
				return err
			}
		}
	})
}

// inOrder makes a split a run of rows: a fraction takes the last ones.
func (o *Series) inOrder(ctx context.Context, e *env, s split) (split, error) {
	if s.part.fraction == 0 {
		return s, nil
	}
	rows, err := o.CSV.withDefaults().rows(ctx, e, s)
	if err != nil {
		return s, err
	}
	defer rows.Close()
	rows.part = part{}
	for err == nil {
		err = rows.next()
	}
	if err != io.EOF {
		return s, err
	}
	lo, hi := s.part.cut(rows.number + 1)
	if hi <= lo {
		return s, rows.src.bad("has no rows for this set; check skip, take and fraction")
	}
	s.part = part{skip: lo, take: hi - lo}
	return s, nil
}
