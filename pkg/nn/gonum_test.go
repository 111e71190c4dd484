package nn

import (
	"math"
	"slices"
	"testing"

	"gonum.org/v1/gonum/integrate"
	"gonum.org/v1/gonum/stat"
)

// The area under the curve is that of another library, for scores that the
// metric tells apart as they are.
func TestROCAUCIsThatOfGonum(t *testing.T) {
	type record struct {
		score float64
		class bool
	}
	records := make([]record, 500)
	m := &metricPass{cols: 1}
	for i := range records {
		// Steps of 1/8, as wide as the metric's bins; class 1 scores higher.
		r := record{score: float64(i*37%101)/8 - 6, class: i*i%7 < 3}
		if r.class {
			r.score += 1.5
		}
		records[i] = r
		m.x, m.weight = append(m.x, float32(r.score)), append(m.weight, 1)
		m.classes = append(m.classes, map[bool]int32{true: 1}[r.class])
	}
	sums := make([]float64, rocAUC{}.sums())
	rocAUC{}.add(sums, m, 0, len(records))

	slices.SortFunc(records, func(a, b record) int { return int(8 * (a.score - b.score)) })
	var scores []float64
	var classes []bool
	for _, r := range records {
		scores, classes = append(scores, r.score), append(classes, r.class)
	}
	tpr, fpr, _ := stat.ROC(nil, scores, classes, nil)
	if got, want := (rocAUC{}).value(sums), integrate.Trapezoidal(fpr, tpr); math.Abs(got-want) > 1e-12 || want < 0.55 {
		t.Errorf("roc_auc is %v, want %v", got, want)
	}
}
