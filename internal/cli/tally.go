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
		t.Classes[largest(y[i*len(y)/rows:][:len(y)/rows])].Records++
		t.Records++
	}
	return nil
}

func (t *tally) print(out io.Writer, asJSON bool) error {
	if asJSON {
		return jsonLine(out, t)
	}
	rows := [][]string{{"CLASS", "RECORDS", "SHARE"}}
	for _, c := range t.Classes {
		rows = append(rows, []string{c.Class, thousands(c.Records), fmt.Sprintf("%.1f %%", 100*float64(c.Records)/float64(max(t.Records, 1)))})
	}
	return table(out, rows)
}

// largest is the index of the first largest number.
func largest(y []float32) int {
	best := 0
	for i, v := range y {
		if v > y[best] {
			best = i
		}
	}
	return best
}
