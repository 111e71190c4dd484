package dataset

import (
	"math"

	"github.com/lockstep-ml/lockstep/pkg/shard"
)

// Pixels says how the bytes of images become numbers.
type Pixels struct {
	// Unit divides pixels by 255.
	Unit bool
	// Normalise subtracts the mean and divides by the deviation of the training
	// images, for each channel.
	Normalise bool
	// Mean and Std are subtracted and divided by instead, one for all channels or
	// one each, after Unit. Empty means 0 and 1.
	Mean, Std []float64
}

// pixelFields returns the fields of the formats of images.
func pixelFields() []Field {
	return []Field{
		{Name: "scale", Type: typeText, Default: "unit", Choices: []string{"unit", "none"}, Summary: "unit: pixels are divided by 255"},
		{Name: "normalise", Type: typeBool, Default: false, Summary: "subtract the mean and divide by the deviation of the training images, for each channel"},
		{Name: "mean", Type: typeNumbers, Summary: "subtracted after scaling, one number or one for each channel"},
		{Name: "std", Type: typeNumbers, Summary: "divided by after mean is subtracted, one number or one for each channel"},
	}
}

func decodePixels(v values, bad func(field, format string, args ...any)) Pixels {
	p := Pixels{Unit: v.text("scale") == "unit", Normalise: v.bool("normalise"), Mean: v.numbers("mean"), Std: v.numbers("std")}
	if p.Normalise && len(p.Mean)+len(p.Std) > 0 {
		bad("normalise", "mean or std is given too; give them, or normalise: true to measure them")
	}
	for _, s := range p.Std {
		if s <= 0 {
			bad("std", "%v is not positive", s)
		}
	}
	return p
}

// channels returns how pixels become numbers.
func (o Pixels) channels(t *table, dims []int) ([]shard.Column, error) {
	n := 1
	if len(dims) == 3 {
		n = dims[0]
	}
	for _, f := range []struct {
		name string
		x    []float64
	}{{"mean", o.Mean}, {"std", o.Std}} {
		if len(f.x) > 1 && len(f.x) != n {
			return nil, &Error{Path: "data." + f.name, Msg: plural(len(f.x), "number") + " for " + plural(n, "channel")}
		}
	}
	unit := 1.0
	if o.Unit {
		unit = 255
	}
	cols := make([]shard.Column, n)
	for c := range cols {
		cols[c] = shard.Column{Name: channelName(c, n), Type: "number", Shift: unit * pick(o.Mean, c, 0), Scale: unit * pick(o.Std, c, 1)}
	}
	if !o.Normalise {
		return cols, nil
	}
	return cols, measure(t, product(dims)/n, cols)
}

// measure sets Shift and Scale to the mean and the deviation of each channel of
// size pixels. The sums are of integers, so they are exact.
func measure(t *table, size int, cols []shard.Column) error {
	counts := make([][256]uint64, len(cols))
	stride := int(t.planes[0].stride)
	err := t.planes[0].scan(t.records, func(_ int64, b []byte) {
		for ; len(b) >= stride; b = b[stride:] {
			for c := range counts {
				for _, v := range b[c*size : (c+1)*size] {
					counts[c][v]++
				}
			}
		}
	})
	for c := range cols {
		var n, sum, squares uint64
		for v, k := range counts[c] {
			n += k
			sum += k * uint64(v)
			squares += k * uint64(v*v)
		}
		mean := float64(sum) / float64(max(n, 1))
		variance := float64(squares)/float64(max(n, 1)) - float64(mean*mean)
		cols[c].Shift, cols[c].Scale = mean, math.Sqrt(max(variance, 0))
		if cols[c].Scale < 1e-6 { // one colour only
			cols[c].Scale = 1
		}
	}
	return err
}
