package cli

import (
	"context"
	"errors"
	"fmt"

	"github.com/lockstep-ml/lockstep/pkg/nn"
)

// reconstruction draws records in rows, and below each row what an autoencoder
// makes of them. If it learns to repair them, what it saw stands between.
type reconstruction struct {
	pixels
	columns, rows int // of the grid
	grid          *grid
	each          int // rows of the grid for a row of records
	done          int // records
}

// reconstruct draws the records in a grid.
func (m *model) reconstruct(ctx context.Context, path string, columns, rows int) error {
	p, err := pixelsOf(m.manifest)
	if err != nil {
		return err
	}
	r := &reconstruction{pixels: p, columns: columns, rows: rows}
	err = m.each(ctx, 1, func(b *nn.Batch) error {
		seen, made, err := m.trainer.Reconstruct(b)
		if err != nil {
			return usageError{hint{err, "without --out predict prints what the model says of the records"}}
		}
		return r.add(b.X, seen, made, b.Len())
	})
	if err != nil && !errors.Is(err, errEnough) {
		return err
	}
	return replaceFile(path, r.grid.write)
}

// add draws records until the grid is full. It returns errEnough if it is.
func (r *reconstruction) add(records, seen, made []float32, rows int) error {
	size := r.channels * r.height * r.width
	if len(made) != rows*size {
		return usageError{fmt.Errorf("the model gives %d numbers for a picture of %d", len(made)/rows, size)}
	}
	repaired := &seen[0] != &records[0]
	if r.grid == nil {
		if r.each = 2; repaired {
			r.each = 3
		}
		r.rows = max(r.rows/r.each, 1) * r.each
		r.grid = newGrid(r.pixels, r.columns, r.rows)
	}
	for i := range rows {
		if r.done == r.rows/r.each*r.columns {
			return errEnough
		}
		at := r.done/r.columns*r.each*r.columns + r.done%r.columns
		r.grid.put(at, records[i*size:][:size])
		if repaired {
			r.grid.put(at+r.columns, seen[i*size:][:size])
		}
		r.grid.put(at+(r.each-1)*r.columns, made[i*size:][:size])
		r.done++
	}
	return nil
}
