package cli

import (
	"fmt"
	"io"

	"github.com/lockstep-ml/lockstep/pkg/nn"
)

// tally counts the classes that records were taken for.
type tally struct {
	Records int64        `json:"records"`
	Classes []classCount `json:"classes"`
}

type classCount struct {
	Class   string `json:"class"`
	Records int64  `json:"records"`
	// Probability is the mean of what the model gave the class, 0 without records.
	Probability number64 `json:"probability"`

	sum float64
}

// newTally is for the classes of a model that predicts one for each record.
func (m *model) newTally() (*tally, error) {
	if !m.classifies() {
		return nil, usageError{fmt.Errorf("--tally counts classes, but %s does not predict one for each record", m.spec.Name)}
	}
	t := &tally{Classes: make([]classCount, m.manifest.Input.Target.Classes)}
	for i := range t.Classes {
		t.Classes[i].Class = m.className(i)
	}
	return t, nil
}

// add counts the first rows of a batch.
func (t *tally) add(m *model, b *nn.Batch, rows int) error {
	y, err := m.trainer.Predict(b, rows)
	if err != nil {
		return err
	}
	for i := range rows {
		class, probability := m.surest(y[i*len(y)/rows:][:len(y)/rows])
		c := &t.Classes[class]
		c.Records, c.sum = c.Records+1, c.sum+probability
		c.Probability = number64(c.sum / float64(c.Records))
		t.Records++
	}
	return nil
}

func (t *tally) print(out io.Writer, asJSON bool) error {
	if asJSON {
		return jsonLine(out, t)
	}
	percent := func(v float64) string { return fmt.Sprintf("%.1f %%", 100*v) }
	rows := [][]string{{"CLASS", "RECORDS", "SHARE", "MEAN PROBABILITY"}}
	for _, c := range t.Classes {
		rows = append(rows, []string{c.Class, thousands(c.Records), percent(float64(c.Records) / float64(max(t.Records, 1))), percent(float64(c.Probability))})
	}
	return table(out, rows)
}
