package cli

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
)

const sidesJob = `name: sides
data: {format: csv, train: sides.csv, target: side, columns: {side: category}}
model: [MODEL]
loss: binary_cross_entropy
optimizer: adam
epochs: 1
global_batch: 4
lanes: 2
metrics: [accuracy]
`

// Of two classes that one number tells apart, predict names those that eval
// counts, whether sigmoid is in the network or in the loss only.
func TestPredictTwoClassesByOneNumber(t *testing.T) {
	for _, model := range []string{"{dense: {units: 1, bias: false}}", "{dense: {units: 1, bias: false}}, sigmoid"} {
		dir := t.TempDir()
		job := filepath.Join(dir, "job.yaml")
		write(t, job, strings.Replace(sidesJob, "MODEL", model, 1))
		text := "x,side\n"
		for i := range 9 {
			text += fmt.Sprintf("%d,%s\n", 2*i-8, []string{"left", "right"}[i%2])
		}
		write(t, filepath.Join(dir, "sides.csv"), text)
		path := begin(t, job)

		out, err := typed(t, "eval", path, "--job", job, "--data", "train", "--json")
		if err != nil {
			t.Fatal(err)
		}
		var e struct{ Confusion [][]float64 }
		if err := json.Unmarshal([]byte(out), &e); err != nil {
			t.Fatal(err)
		}
		if out, err = typed(t, "predict", path, "--job", job, "--data", "train", "--json"); err != nil {
			t.Fatal(err)
		}
		got := [][]float64{{0, 0}, {0, 0}}
		at := map[string]int{"left": 0, "right": 1}
		for line := range strings.Lines(out) {
			var p struct {
				Class, Target string
				Probability   float64
			}
			if err := json.Unmarshal([]byte(line), &p); err != nil {
				t.Fatal(err)
			}
			if p.Probability < 0.5 || p.Probability >= 1 {
				t.Errorf("%s: probability %v of the surer class", model, p.Probability)
			}
			got[at[p.Target]][at[p.Class]]++
		}
		if fmt.Sprint(got) != fmt.Sprint(e.Confusion) || got[0][0]+got[1][0] == 0 || got[0][1]+got[1][1] == 0 {
			t.Errorf("%s: predict took %v, eval %v", model, got, e.Confusion)
		}
	}
}
