package dataset

import (
	"fmt"
	"slices"
	"strings"

	"github.com/lockstep-ml/lockstep/internal/nearest"
	"github.com/lockstep-ml/lockstep/internal/philox"
	"github.com/lockstep-ml/lockstep/pkg/nn"
	"github.com/lockstep-ml/lockstep/pkg/shard"
)

// classAugmentation is the class of the entries of Augmentations.
const classAugmentation = "augmentation"

// Augmentations lists the ways in which a job can vary its training records, in
// the order of the documentation. A new one is a line here and a function.
func Augmentations() []nn.Entry {
	kinds := augmentKinds()
	entries := make([]nn.Entry, len(kinds))
	for i, k := range kinds {
		entries[i] = k.Entry
		entries[i].Class = classAugmentation
	}
	return entries
}

// augmentKinds is the table of augmentations.
func augmentKinds() []augmentKind {
	return []augmentKind{cropKind(), resizeCropKind(), flipKind(), rotationKind(), colourKind(), eraseKind(), noiseKind(), mixupKind()}
}

// augmentKind is one line of the table: what a job can say about it, and how it
// is fitted to the records.
type augmentKind struct {
	nn.Entry
	fit func(s *augmentSite) augmenter
}

// augmenter varies the records of one lane's micro-batch in place. All that is
// random in it comes from m.draws, so it is a pure function of the records and of
// (seed, number of the augmentation, epoch, step, lane, row).
type augmenter interface {
	apply(m *microBatch)
}

// augmentSite is where an augmentation is to work.
type augmentSite struct {
	nn.Args
	in   nn.Input
	path string
	errs nn.Errors
}

func (s *augmentSite) fail(field, format string, args ...any) {
	path := s.path
	if field != "" {
		path += "." + field
	}
	s.errs = append(s.errs, nn.Error{Path: path, Msg: fmt.Sprintf(format, args...)})
}

// image reports records that are no images.
func (s *augmentSite) image(kind string) bool {
	if len(s.in.Shape) != 3 || s.in.Tokens > 0 {
		s.fail("", "%s works on images (channels, height, width), but the records are %s", kind, recordName(s.in))
		return false
	}
	return true
}

// floats reports records that are no numbers.
func (s *augmentSite) floats(kind string) {
	if s.in.Tokens > 0 {
		s.fail("", "%s works on numbers, but the records are %s", kind, recordName(s.in))
	}
}

// bound is a bound of a field.
func bound(v float64) *float64 { return &v }

func recordName(in nn.Input) string {
	if in.Tokens > 0 {
		return plural(product(in.Shape), "token")
	}
	return shape(in.Shape)
}

// CheckAugment reports what does not fit records of the form in, as nn.Errors,
// and whether the records come to be mixed of two.
func CheckAugment(nodes []nn.Node, in nn.Input) (mixed bool, err error) {
	fitted, err := fitAugment(nodes, in)
	return slices.ContainsFunc(fitted, mixes), err
}

func mixes(a augmenter) bool { _, ok := a.(mixup); return ok }

// fitAugment fits a job's list of augmentations to its records.
func fitAugment(nodes []nn.Node, in nn.Input) ([]augmenter, error) {
	kinds := augmentKinds()
	names := make([]string, len(kinds))
	for i, k := range kinds {
		names[i] = k.Name
	}
	var errs nn.Errors
	var fitted []augmenter
	for _, n := range nodes {
		site := &augmentSite{in: in, path: n.Path}
		i := slices.Index(names, n.Kind)
		if i < 0 {
			site.fail("", "there is no augmentation %q%s; expected one of %s", n.Kind, nearest.DidYouMean(n.Kind, names), strings.Join(names, ", "))
			errs = append(errs, site.errs...)
			continue
		}
		if site.Args, site.errs = kinds[i].Args(n); len(site.errs) == 0 {
			fitted = append(fitted, kinds[i].fit(site))
		}
		if n.Kind == mixupName && slices.ContainsFunc(fitted[:max(len(fitted)-1, 0)], mixes) {
			site.fail("", "mixup is given twice; once is enough")
		}
		errs = append(errs, site.errs...)
	}
	if len(errs) > 0 {
		return nil, errs
	}
	return fitted, nil
}

// augmentation is what a Set does with the records of its batches.
type augmentation struct {
	seed  uint64
	steps []augmenter
	pixel pixelScale
	dims  [3]int // channels, height and width of an image; zero otherwise
}

// pixelScale says how a pixel between 0 (black) and 1 (white) lies in a batch: as
// black + pixel*gain, for each channel.
type pixelScale struct{ black, gain []float32 }

// Augment makes all Loaders that are opened from now on vary the records as nodes
// say, one augmentation after the other. It is meant for the training set only.
// seed is the job's; the same (seed, epoch, step, lane) always gives the same
// records, whatever other lanes are loaded.
func (s *Set) Augment(nodes []nn.Node, seed uint64) error {
	in := InputOf(s.m)
	steps, err := fitAugment(nodes, in)
	if err != nil || len(steps) == 0 {
		return err
	}
	a := &augmentation{seed: seed, steps: steps}
	if len(in.Shape) == 3 {
		a.dims = [3]int(in.Shape)
		a.pixel = pixelScaleOf(s.m.Fit.Columns, a.dims[0])
	}
	s.augment = a
	return nil
}

// pixelScaleOf reads how the decoder turns bytes into numbers.
func pixelScaleOf(columns []shard.Column, channels int) pixelScale {
	var p pixelScale
	for c := range channels {
		shift, scale := 0.0, 255.0
		if len(columns) > 0 {
			col := columns[c%len(columns)]
			shift, scale = col.Shift, col.Scale
		}
		p.black = append(p.black, float32(-shift/scale))
		p.gain = append(p.gain, float32(255/scale))
	}
	return p
}

// microBatch is the records of one lane as augmenters see them.
type microBatch struct {
	draws
	*augmentation
	rows    int
	x       []float32 // (rows, numbers of a record)
	y       []float32 // (rows, target numbers of a record), or nil
	weights []float32 // (rows), or nil
	classes []int32   // (rows, targets of a record), or nil
	others  []int32   // like classes; nil unless the records are mixed
	shares  []float32 // (rows), or nil
	spare   []float32 // one record
	image   canvas    // the one in work
}

// draws are the random numbers of one augmentation for one micro-batch.
type draws struct{ stream philox.Stream }

// block is four words of record row; there are 2^32 blocks for each.
func (d draws) block(row, i int) [4]uint32 {
	return d.stream.Block(uint64(row)<<32 | uint64(uint32(i)))
}

// unit makes a number in [0, 1) of a word.
func unit(w uint32) float64 { return float64(w) * 0x1p-32 }

// within makes a number in [lo, hi) of a word.
func within(w uint32, lo, hi float64) float64 { return lo + float64((hi-lo)*unit(w)) }

// extend gives a new batch what mixed records need beside. a may be nil.
func (a *augmentation) extend(b *nn.Batch) {
	if a != nil && slices.ContainsFunc(a.steps, mixes) {
		b.Shares = make([]float32, cap(b.Records))
		b.Others = make([]int32, len(b.Classes))
	}
}

// vary varies the records of b, lane by lane. a may be nil.
func (a *augmentation) vary(b *nn.Batch, m *microBatch) {
	if a == nil || b.Len() == 0 {
		return
	}
	if b.Shares != nil {
		b.Shares, b.Others = b.Shares[:b.Len()], b.Others[:len(b.Classes)]
	}
	m.augmentation = a
	for i, lane := range b.Lanes {
		from, to, all := b.Rows[i], b.Rows[i+1], b.Len()
		if m.rows = to - from; m.rows == 0 {
			continue
		}
		m.x, m.y, m.weights = rowsOf(b.X, from, to, all), rowsOf(b.Y, from, to, all), rowsOf(b.Weights, from, to, all)
		m.classes, m.others, m.shares = rowsOf(b.Classes, from, to, all), rowsOf(b.Others, from, to, all), rowsOf(b.Shares, from, to, all)
		for k, step := range a.steps {
			m.stream = philox.New(a.seed, philox.Augment+philox.Purpose(k), b.Epoch, b.Step, lane)
			step.apply(m)
		}
	}
}

// rowsOf is the rows from up to to of the all rows of x.
func rowsOf[T any](x []T, from, to, all int) []T {
	each := len(x) / all
	return x[from*each : to*each]
}

// canvas is one image of a micro-batch: x is (channels, height, width), spare as
// large.
type canvas struct {
	x, spare []float32
	c, h, w  int
	pixelScale
}

// eachImage applies a function to every image by itself.
type eachImage func(p *canvas, row int, d draws)

func (f eachImage) apply(m *microBatch) {
	size := len(m.x) / m.rows
	p := &m.image
	*p = canvas{spare: m.spare[:size], c: m.dims[0], h: m.dims[1], w: m.dims[2], pixelScale: m.pixel}
	for row := range m.rows {
		p.x = m.x[row*size : (row+1)*size]
		f(p, row, m.draws)
	}
}
