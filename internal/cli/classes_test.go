package cli

import (
	"bytes"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lockstep-ml/lockstep/pkg/nn"
)

func TestPrintClasses(t *testing.T) {
	var out bytes.Buffer
	c := &nn.Confusion{Classes: 2, Weights: []float64{6, 2, 1, 0}}
	if err := printClasses(&out, c, []string{"ham", "spam"}); err != nil {
		t.Fatal(err)
	}
	want := `class  precision  recall  f1      records
ham    0.8571     0.7500  0.8000  8
spam   0.0000     0.0000  0.0000  1

is \ taken for  ham  spam
ham             6    2
spam            1    0
`
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	out.Reset()
	many := &nn.Confusion{Classes: mostListed + 1, Weights: make([]float64, (mostListed+1)*(mostListed+1))}
	if err := printClasses(&out, many, nil); err != nil || out.Len() > 0 {
		t.Errorf("%q, %v: many classes belong into --json", out.String(), err)
	}
}
