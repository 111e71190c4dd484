package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/lockstep-ml/lockstep/pkg/dataset"
	"github.com/lockstep-ml/lockstep/pkg/job"
	"github.com/lockstep-ml/lockstep/pkg/nn"
	"github.com/lockstep-ml/lockstep/pkg/shard"
	"github.com/lockstep-ml/lockstep/pkg/weights"
)

// checked is a job file that fits its data.
type checked struct {
	spec        *job.Spec
	root        string
	train, test *shard.Manifest // test is nil if there is none
	plan        *nn.Plan
	start       *weights.Report // nil if the job has no start section
	steps       int             // of an epoch
}

// check does what a coordinator does at submit: reads the data, fits the
// network to them.
func check(ctx context.Context, f *jobFile) (*checked, error) {
	spec, request, err := f.read()
	if err != nil {
		return nil, err
	}
	c := &checked{spec: spec, root: request.GetDataRoot()}
	if c.train, c.test, err = dataset.Build(ctx, spec.Data, c.root); err != nil {
		return nil, usageError{spec.Explain(err)}
	}
	dealer, err := shard.NewDealer(c.train, spec.Seed, spec.Lanes, spec.GlobalBatch)
	if err != nil {
		return nil, usageError{spec.Explain(err)}
	}
	c.steps = dealer.StepsPerEpoch()
	if c.plan, err = spec.CheckInput(dataset.InputOf(c.train), c.steps); err != nil {
		return nil, usageError{err}
	}
	if c.plan, c.start, err = weights.Start(&spec.Start, c.root, c.plan); err != nil {
		return nil, usageError{spec.Explain(err)}
	}
	return c, nil
}

func newValidate(r job.Reader) *cobra.Command {
	f := jobFile{reader: r}
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "validate FILE",
		Short: "Check a job file and its data; print the layers",
		Long: `Check a job file and its data as submit would, start nothing, and print each
layer with the shape of its output and its parameters. Problems are listed
with line, column and what was expected, all that can be found before the first
layer that does not fit; the exit code is then 2.

With --json one object is printed. If there are problems its only field is
problems, a list of objects: file, message, and for a place in the file line,
column and source (the text of the line), or for a --set that is at fault set.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			f.path = args[0]
			out := cmd.OutOrStdout()
			c, err := check(cmd.Context(), &f)
			switch {
			case err != nil && asJSON && cmd.Context().Err() == nil:
				return errors.Join(err, jsonLine(out, problemsView{problemsOf(f.path, err)}))
			case err != nil:
				return err
			case asJSON:
				return jsonLine(out, c.view())
			}
			return c.print(out)
		},
	}
	f.addFlags(cmd.Flags())
	addJSON(cmd, &asJSON)
	return cmd
}

// problemsView is what validate --json prints of a bad job.
type problemsView struct {
	Problems job.Problems `json:"problems"`
}

// problemsOf lists what err says of a job file.
func problemsOf(file string, err error) job.Problems {
	var ps job.Problems
	if !errors.As(err, &ps) {
		ps = job.Problems{{File: file, Message: err.Error()}}
	}
	return ps
}

// checkedView is what validate --json prints of a good one.
type checkedView struct {
	Name          string   `json:"name"`
	Records       int64    `json:"records"`
	TestRecords   int64    `json:"test_records"`
	Input         []int    `json:"input"`
	Layers        []nn.Row `json:"layers"`
	Parameters    int      `json:"parameters"`
	Trained       int      `json:"trained"`  // of the parameters
	Features      int      `json:"features"` // that frozen layers make of a record and workers keep
	StepsPerEpoch int      `json:"steps_per_epoch"`
	Steps         int      `json:"steps"`
	Epochs        int      `json:"epochs"`
	GlobalBatch   int      `json:"global_batch"`
	Lanes         int      `json:"lanes"`

	Start *weights.Report `json:"start,omitempty"`
}

func (c *checked) view() checkedView {
	steps, epochs := c.spec.Length(c.steps)
	v := checkedView{
		Name: c.spec.Name, Records: c.train.Records, Input: c.plan.Input().Shape, Layers: c.plan.Table(), Parameters: c.plan.Parameters(),
		Trained: c.plan.Trained(), Features: c.plan.Features(), Start: c.start, StepsPerEpoch: c.steps, Steps: steps, Epochs: epochs, GlobalBatch: c.spec.GlobalBatch, Lanes: c.spec.Lanes,
	}
	if c.test != nil {
		v.TestRecords = c.test.Records
	}
	return v
}

func (c *checked) print(out io.Writer) error {
	v := c.view()
	rows := [][]string{{"LAYER", "KIND", "OUTPUT", "PARAMETERS"}, {"-", "input", shape(v.Input), "-"}}
	if c.plan.Drawn() {
		rows[1] = []string{"-", "normal numbers", shape([]int{c.plan.Latent()}), "-"}
	}
	for _, l := range v.Layers {
		rows = append(rows, []string{l.Name, l.Kind, shape(l.Output), thousands(int64(l.Params))})
	}
	rows = append(rows, []string{"", "", "total", thousands(int64(v.Parameters))})
	if v.Trained < v.Parameters {
		rows = append(rows, []string{"", "", "trained", thousands(int64(v.Trained))})
	}
	if err := table(out, rows); err != nil {
		return err
	}
	if v.Features > 0 {
		fmt.Fprintln(out, "\n"+c.kept(v.Features))
	}
	if c.start != nil {
		fmt.Fprint(out, "\n", strings.Join(c.start.Lines(), "\n"), "\n")
	}
	_, err := fmt.Fprintf(out, "\n%s training and %s test records; %s in %s, batches of %d in %s\n%s: ok\n",
		thousands(v.Records), thousands(v.TestRecords), plural(v.Steps, "step"), plural(v.Epochs, "epoch"), v.GlobalBatch,
		plural(v.Lanes, "lane"), v.Name)
	return err
}

// kept says what workers keep of the records.
func (c *checked) kept(features int) string {
	records := "training and test records"
	if len(c.spec.Augment) > 0 {
		records = "test records, as training records are augmented"
	}
	if c.spec.Workers.Features == 0 {
		records = "no records, as workers.features is 0"
	}
	return fmt.Sprintf("frozen layers make %s of a record; kept of %s", plural(features, "number"), records)
}

// shape writes the shape of one record: 28x28x1.
func shape(dims []int) string {
	words := make([]string, len(dims))
	for i, d := range dims {
		words[i] = fmt.Sprint(d)
	}
	return dash(strings.Join(words, "x"))
}
