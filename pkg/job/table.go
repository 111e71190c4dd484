package job

import (
	"fmt"
	"strings"
	"text/tabwriter"

	"github.com/lockstep-ml/lockstep/pkg/nn"
)

// Table returns the layers of a network as a person reads them: a line each
// with name, kind, the shape of one record's output and the number of
// parameters, after the input and before the total.
func Table(plan *nn.Plan, in nn.Input) string {
	return layerTable(plan.Table(), in.Shape, plan.Parameters())
}

func layerTable(rows []nn.Row, input []int, total int) string {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "name\tkind\toutput\tparameters\n")
	fmt.Fprintf(w, "input\t\t%s\t\n", shape(input))
	for _, r := range rows {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", r.Name, r.Kind, shape(r.Output), thousands(r.Params))
	}
	fmt.Fprintf(w, "total\t\t\t%s\n", thousands(total))
	w.Flush() // writes to memory, which does not fail
	lines := strings.Split(b.String(), "\n")
	for i, line := range lines {
		lines[i] = strings.TrimRight(line, " ")
	}
	return strings.Join(lines, "\n")
}

func shape(dims []int) string {
	parts := make([]string, len(dims))
	for i, d := range dims {
		parts[i] = fmt.Sprint(d)
	}
	return "(" + strings.Join(parts, ", ") + ")"
}

// thousands writes 1234567 as 1,234,567.
func thousands(n int) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
