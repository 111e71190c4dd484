package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/lockstep-ml/lockstep/pkg/job"
	"github.com/lockstep-ml/lockstep/pkg/nn"
	"github.com/lockstep-ml/lockstep/pkg/shard"
)

// errEnough ends a pass over the records early.
var errEnough = errors.New("enough records")

// predicting is what predict was asked for.
type predicting struct {
	limit         int64
	tally         bool
	out, grid     string
	columns, rows int // of the grid
	json          bool
}

func newPredict(r job.Reader) *cobra.Command {
	u := modelUse{job: jobFile{reader: r}}
	var p predicting
	cmd := &cobra.Command{
		Use:   "predict [MODEL] --job FILE",
		Short: "Apply a model to records and print what it says",
		Long: `Apply a model to the records of its job's test data and print one line for each:
the class with its probability, or the values in the units of the data. Without
MODEL the weights that the job starts from are applied.

With --records FILE the model is applied to new records, in a file of the format of
the job's data: a table, an IDX file of pictures, or a picture, a folder or an archive
of them. The target need not be there; it is not read, nor are columns that the model
does not know. Of a time series every window is a record, and the last one of the file
predicts what is not yet there. Numbers and words are coded as in training; the model
file says how, so the training data are not read. Lines of pictures begin with the
names of their files.

With --out FILE.png the pictures that an autoencoder read are drawn, and below
each row of them what it made of them.

With --json one object is printed for each record: record, file (of a new picture),
class and probability, or values, and target, if it is known. With --tally it is one
object: records, and classes with class, records and (mean) probability.`,
		Example: `  lockstep predict digits.safetensors --job examples/digits/job.yaml --limit 10
  lockstep predict housing.safetensors --job examples/housing/job.yaml --records new.csv
  lockstep predict fashion-vae.safetensors --job examples/fashion-vae/job.yaml --out pictures.png`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			u.path = strings.Join(args, "")
			switch flags := cmd.Flags(); {
			case flags.Changed("records") && u.records == "":
				return usageError{errors.New("--records names no file")}
			case u.records != "" && flags.Changed("data"):
				return usageError{errors.New("--records reads new records instead of those of the job; leave out --data")}
			}
			if err := p.check(); err != nil {
				return err
			}
			m, err := u.open(cmd.Context())
			if err != nil {
				return err
			}
			defer m.Close()
			return p.run(cmd.Context(), cmd.OutOrStdout(), m)
		},
	}
	u.addFlags(cmd)
	flags := cmd.Flags()
	flags.StringVar(&u.records, "records", "", "apply the model to the new records of this file")
	flags.Int64Var(&p.limit, "limit", 0, "stop after that many records; 0 for all")
	flags.BoolVar(&p.tally, "tally", false, "count the records of each class instead")
	flags.StringVarP(&p.out, "out", "o", "", "draw what an autoencoder read and made, as .png")
	flags.StringVar(&p.grid, "grid", "8x6", "columns and rows of the picture")
	addJSON(cmd, &p.json)
	return cmd
}

// check says what is wrong with what was asked for, whatever the model.
func (p *predicting) check() (err error) {
	switch {
	case p.limit < 0:
		return usageError{fmt.Errorf("--limit %d: give a number of records, 0 for all", p.limit)}
	case p.out == "":
	case !strings.EqualFold(filepath.Ext(p.out), ".png"):
		return usageError{hint{fmt.Errorf("--out %s: pictures are written as .png", p.out), "give a name that ends in .png"}}
	default:
		p.columns, p.rows, err = parseGrid(p.grid)
	}
	return err
}

func (p *predicting) run(ctx context.Context, out io.Writer, m *model) error {
	if m.plan.Drawn() {
		return usageError{hint{fmt.Errorf("%s reads no records, it makes some", m.spec.Name), "lockstep sample lets it do so"}}
	}
	if p.out != "" {
		return m.reconstruct(ctx, p.out, p.columns, p.rows)
	}
	if !p.tally {
		return p.first(ctx, m, func(b *nn.Batch, rows int) error { return m.predict(out, b, rows, p.json) })
	}
	t, err := m.newTally()
	if err == nil {
		err = p.first(ctx, m, func(b *nn.Batch, rows int) error { return t.add(m, b, rows) })
	}
	if err != nil {
		return err
	}
	return t.print(out, p.json)
}

// first calls f with the records up to the limit: the first rows of a batch.
func (p *predicting) first(ctx context.Context, m *model, f func(b *nn.Batch, rows int) error) error {
	left := p.limit
	if left == 0 {
		left = math.MaxInt64
	}
	err := m.each(ctx, 1, func(b *nn.Batch) error {
		rows := int(min(int64(b.Len()), left))
		left -= int64(rows)
		if err := f(b, rows); err != nil {
			return err
		}
		if left == 0 {
			return errEnough
		}
		return nil
	})
	if errors.Is(err, errEnough) {
		return nil
	}
	return err
}

// prediction is a line of predict --json. It has a class, or values.
type prediction struct {
	Record      int64      `json:"record"`
	File        string     `json:"file,omitempty"` // of a new picture
	Class       string     `json:"class,omitempty"`
	Probability *number64  `json:"probability,omitempty"`
	Values      []number64 `json:"values,omitempty"`
	Target      any        `json:"target,omitempty"`
}

// predict prints what the model says of the first rows of a batch.
func (m *model) predict(out io.Writer, b *nn.Batch, rows int, asJSON bool) error {
	y, err := m.trainer.Predict(b, rows)
	if err != nil {
		return err
	}
	for i := range rows {
		width := len(y) / rows
		var p prediction
		if m.classifies() {
			p = m.classOf(y[i*width:][:width], b, i)
		} else {
			p = m.valuesOf(y[i*width:][:width], b, i)
		}
		p.Record = b.Records[i]
		p.File = m.set.Name(p.Record)
		if asJSON {
			err = jsonLine(out, p)
		} else {
			_, err = fmt.Fprintln(out, p.text())
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// classifies reports whether the model gives one class for each record.
func (m *model) classifies() bool {
	t := m.manifest.Input.Target
	return t.Kind == shard.Class && len(t.Shape) == 0 && !m.plan.OwnTarget()
}

// surest reads y as one number for each class and returns the class with the
// largest, and its probability. A network that ends in softmax gives
// probabilities, any other gives their logarithms up to a constant.
func (m *model) surest(y []float32) (class int, probability float64) {
	table := m.plan.Table()
	last := table[len(table)-1].Kind
	if len(y) == 1 {
		return second(float64(y[0]), last == "sigmoid")
	}
	for i, v := range y {
		if v > y[class] {
			class = i
		}
	}
	if last == "softmax" {
		return class, float64(y[class])
	}
	sum := 0.0
	for _, v := range y {
		sum += math.Exp(float64(v - y[class]))
	}
	return class, 1 / sum
}

// second reads y as the probability of the second of two classes, or as what
// sigmoid makes one of.
func second(y float64, isProbability bool) (class int, probability float64) {
	if !isProbability {
		y = 1 / (1 + math.Exp(-y))
	}
	if y > 0.5 {
		return 1, y
	}
	return 0, 1 - y
}

func (m *model) classOf(y []float32, b *nn.Batch, row int) prediction {
	class, probability := m.surest(y)
	p := number64(probability)
	out := prediction{Class: m.className(class), Probability: &p}
	if row < len(b.Classes) {
		out.Target = m.className(int(b.Classes[row]))
	}
	return out
}

func (m *model) className(i int) string {
	if names := m.manifest.Fit.Classes; i < len(names) {
		return names[i]
	}
	return fmt.Sprint(i)
}

// valuesOf reads y as numbers in the units of the data, or of the records that an
// autoencoder read.
func (m *model) valuesOf(y []float32, b *nn.Batch, row int) prediction {
	if m.plan.OwnTarget() {
		out := prediction{Values: make([]number64, len(y))}
		for i, v := range y {
			out.Values[i] = number64(v)
		}
		return out
	}
	out := prediction{Values: m.inUnits(y)}
	if n := len(y); len(b.Y) >= (row+1)*n {
		out.Target = m.inUnits(b.Y[row*n:][:n])
	}
	return out
}

func (m *model) inUnits(y []float32) []number64 {
	out := make([]number64, len(y))
	for i, v := range y {
		out[i] = number64(v)
		if fit := m.manifest.Fit.Target; i < len(fit) && fit[i].Scale != 0 {
			out[i] = number64(float64(v)*fit[i].Scale + fit[i].Shift)
		}
	}
	return out
}

// text is the line for people.
func (p prediction) text() string {
	said := fmt.Sprintf("record %d  ", p.Record)
	if p.File != "" {
		said = p.File + "  "
	}
	if p.Probability != nil {
		said += fmt.Sprintf("%s  (%.1f %%)", p.Class, 100*float64(*p.Probability))
	} else {
		words := make([]string, len(p.Values))
		for i, v := range p.Values {
			words[i] = number(float64(v))
		}
		said += strings.Join(words, "  ")
	}
	switch target := p.Target.(type) {
	case string:
		if target != p.Class {
			said += "  is " + target
		}
	case []number64:
		if len(target) == 1 {
			said += "  is " + number(float64(target[0]))
		}
	}
	return said
}
