package cli

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/lockstep-ml/lockstep/pkg/job"
)

func newEval(r job.Reader) *cobra.Command {
	u := modelUse{job: jobFile{reader: r}}
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "eval [MODEL] --job FILE",
		Short: "Measure a model on the test data of its job",
		Long: `Measure a model on the test data of its job: loss and metrics, the same numbers,
bit for bit, that training reported after its last epoch. Without MODEL the
weights that the job starts from are measured. For a classifier of few classes
it shows how well each was found, and how many records of each class (a row)
were taken for each (a column); with --json for one of up to 1000.`,
		Example: "  lockstep eval digits.safetensors --job examples/digits/job.yaml",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			u.path = strings.Join(args, "")
			m, err := u.open(cmd.Context())
			if err != nil {
				return err
			}
			defer m.Close()
			m.trainer.ResetEval()
			counts := m.trainer.CountClasses()
			if err := m.each(cmd.Context(), m.spec.Lanes, m.trainer.Evaluate); err != nil {
				return err
			}
			m.trainer.EvalStats() // of one rank, so already the sum
			loss, values, err := m.trainer.EvalResult()
			if err != nil {
				return err
			}
			named := map[string]float64{}
			for i, name := range m.plan.MetricNames() {
				named[name] = values[i]
			}
			out := cmd.OutOrStdout()
			if asJSON {
				return jsonLine(out, evaluation{Job: m.spec.Name, Data: u.split, Records: m.manifest.Records, Loss: number64(loss), Metrics: viewMetrics(named),
					Classes: viewClasses(counts, m.classNames()), Confusion: viewConfusion(counts), WeightsSHA256: m.sha256})
			}
			fmt.Fprintf(out, "%s %s records\nloss %s\n", thousands(m.manifest.Records), u.split, number(loss))
			for _, text := range metricTexts("", named) {
				fmt.Fprintln(out, text)
			}
			if err := printClasses(out, counts, m.classNames()); err != nil {
				return err
			}
			_, err = fmt.Fprintln(out, "weights sha256:"+m.sha256)
			return err
		},
	}
	u.addFlags(cmd)
	addJSON(cmd, &asJSON)
	return cmd
}

// evaluation is what eval --json prints.
type evaluation struct {
	Job     string   `json:"job"`
	Data    string   `json:"data"`
	Records int64    `json:"records"`
	Loss    number64 `json:"loss"`
	Metrics metrics  `json:"metrics"`
	// Classes and Confusion are absent if the network does not predict classes.
	// Confusion[i][j] is how many records of class i were taken for class j.
	Classes       []classView  `json:"classes,omitempty"`
	Confusion     [][]number64 `json:"confusion,omitempty"`
	WeightsSHA256 string       `json:"weights_sha256"`
}
