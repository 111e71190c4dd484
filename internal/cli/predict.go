package cli

import (
	"errors"
	"fmt"
	"io"
	"math"
	"strings"

	"github.com/spf13/cobra"

	"github.com/lockstep-ml/lockstep/pkg/job"
	"github.com/lockstep-ml/lockstep/pkg/nn"
	"github.com/lockstep-ml/lockstep/pkg/shard"
)

// errEnough ends a pass over the records early.
var errEnough = errors.New("enough records")

func newPredict(r job.Reader) *cobra.Command {
	u := modelUse{job: jobFile{reader: r}}
	var asJSON bool
	var limit int64
	cmd := &cobra.Command{
		Use:   "predict [MODEL] --job FILE",
		Short: "Apply a model to records and print what it says",
		Long: `Apply a model to the records of its job's test data, or to other files of the
same format given by --set, and print one line for each record: the class with
its probability, or the values in the units of the data. Without MODEL the
weights that the job starts from are applied.`,
		Example: "  lockstep predict digits.safetensors --job examples/digits/job.yaml --limit 10",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			u.path = strings.Join(args, "")
			m, err := u.open(cmd.Context())
			if err != nil {
				return err
			}
			defer m.Close()
			left := limit
			if left <= 0 {
				left = math.MaxInt64
			}
			err = m.each(cmd.Context(), 1, func(b *nn.Batch) error {
				rows := int(min(int64(b.Len()), left))
				left -= int64(rows)
				if err := m.predict(cmd.OutOrStdout(), b, rows, asJSON); err != nil {
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
		},
	}
	u.addFlags(cmd)
	cmd.Flags().Int64Var(&limit, "limit", 0, "stop after that many records; 0 for all")
	addJSON(cmd, &asJSON)
	return cmd
}

// prediction is a line of predict --json. It has a class, or values.
type prediction struct {
	Record      int64      `json:"record"`
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
		if m.manifest.Input.Target.Kind == shard.Class && len(m.manifest.Input.Target.Shape) == 0 {
			p = m.classOf(y[i*width:][:width], b, i)
		} else {
			p = m.valuesOf(y[i*width:][:width], b, i)
		}
		p.Record = b.Records[i]
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

// classOf reads y as one number for each class. A network that ends in softmax
// gives probabilities, any other gives their logarithms up to a constant.
func (m *model) classOf(y []float32, b *nn.Batch, row int) prediction {
	best, sum := 0, 0.0
	for i, v := range y {
		if v > y[best] {
			best = i
		}
		sum += float64(v)
	}
	table := m.plan.Table()
	probability := float64(y[best])
	if table[len(table)-1].Kind != "softmax" {
		sum = 0
		for _, v := range y {
			sum += math.Exp(float64(v - y[best]))
		}
		probability = 1 / sum
	}
	p := number64(probability)
	out := prediction{Class: m.className(best), Probability: &p}
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

// valuesOf reads y as numbers in the units of the data.
func (m *model) valuesOf(y []float32, b *nn.Batch, row int) prediction {
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
