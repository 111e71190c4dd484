package nn

// mostConfused is the most classes that a Confusion tells apart.
const mostConfused = 1000

// Confusion counts which classes an evaluation took for which.
type Confusion struct {
	// Classes is the number of classes.
	Classes int
	// Weights (Classes, Classes) is, for the rows of class i that were predicted to
	// be of class j, the sum of their weights: their number if records have none.
	Weights []float64
}

// CountClasses makes the evaluations that follow add to a Confusion, which stays
// the caller's. It is nil if the network does not predict one class of at most
// 1000 for each row of the target.
func (t *Trainer) CountClasses() *Confusion {
	p := t.plan
	target := p.recipe.Target
	if target.Kind != TargetClass || target.Classes > mostConfused || p.loss.Rows() != target.Size() {
		return nil
	}
	cols := p.values[p.judged().output].size / p.loss.Rows()
	if cols != target.Classes && (cols != 1 || target.Classes != 2) {
		return nil
	}
	t.confusion = &Confusion{Classes: target.Classes, Weights: make([]float64, target.Classes*target.Classes)}
	return t.confusion
}

// add counts rows from up to to of m.
func (c *Confusion) add(m *metricPass, from, to int) {
	for r := from; r < to; r++ {
		c.Weights[int(m.classes[r])*c.Classes+m.predicted(r)] += float64(m.weight[r])
	}
}

// ClassRates says how well one class was found.
type ClassRates struct {
	// Weight is that of the rows of the class.
	Weight float64
	// Precision is the share of the rows predicted to be of the class that are,
	// Recall the share of its rows that were, F1 their harmonic mean. What would
	// be a share of nothing is 0.
	Precision, Recall, F1 float64
}

// Rates are those of a class.
func (c *Confusion) Rates(class int) ClassRates {
	var is, predicted float64
	for i := range c.Classes {
		is += c.Weights[class*c.Classes+i]
		predicted += c.Weights[i*c.Classes+class]
	}
	both := c.Weights[class*c.Classes+class]
	return ClassRates{Weight: is, Precision: share(both, predicted), Recall: share(both, is), F1: share(2*both, is+predicted)}
}
