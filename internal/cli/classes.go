package cli

import (
	"fmt"
	"io"
	"strconv"

	"github.com/lockstep-ml/lockstep/pkg/nn"
)

// The most classes that a person is shown one by one, and in a square.
const (
	mostListed = 32
	mostSquare = 12
)

// classView is how well one class was found.
type classView struct {
	Class     string   `json:"class"`
	Records   number64 `json:"records"` // the sum of their weights, if they have some
	Precision number64 `json:"precision"`
	Recall    number64 `json:"recall"`
	F1        number64 `json:"f1"`
}

// classNames names the classes of the data, as far as they have names.
func (m *model) classNames() []string {
	if names := m.manifest.Fit.Classes; len(names) > 0 {
		return names
	}
	return m.manifest.Fit.Vocabulary
}

func viewClasses(c *nn.Confusion, names []string) []classView {
	if c == nil {
		return nil
	}
	views := make([]classView, c.Classes)
	for i := range views {
		r := c.Rates(i)
		views[i] = classView{strconv.Itoa(i), number64(r.Weight), number64(r.Precision), number64(r.Recall), number64(r.F1)}
		if i < len(names) {
			views[i].Class = names[i]
		}
	}
	return views
}

func viewConfusion(c *nn.Confusion) [][]number64 {
	if c == nil {
		return nil
	}
	rows := make([][]number64, c.Classes)
	for i := range rows {
		for _, w := range c.Weights[i*c.Classes:][:c.Classes] {
			rows[i] = append(rows[i], number64(w))
		}
	}
	return rows
}

// printClasses shows how well each class was found, if they are few, and what it
// was taken for, if they are very few.
func printClasses(out io.Writer, c *nn.Confusion, names []string) error {
	if c == nil || c.Classes > mostListed {
		return nil
	}
	count := func(w number64) string { return strconv.FormatFloat(float64(w), 'f', -1, 64) }
	classes := viewClasses(c, names)
	rows := [][]string{{"class", "precision", "recall", "f1", "records"}}
	square := [][]string{{"is \\ taken for"}}
	for i, v := range classes {
		rows = append(rows, []string{v.Class, number(float64(v.Precision)), number(float64(v.Recall)), number(float64(v.F1)), count(v.Records)})
		square[0] = append(square[0], v.Class)
		row := []string{v.Class}
		for _, w := range viewConfusion(c)[i] {
			row = append(row, count(w))
		}
		square = append(square, row)
	}
	if err := table(out, rows); err != nil || c.Classes > mostSquare {
		return err
	}
	if _, err := fmt.Fprintln(out); err != nil {
		return err
	}
	return table(out, square)
}
