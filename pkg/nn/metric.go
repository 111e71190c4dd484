package nn

import (
	"fmt"
	"math"
)

// metric is a number that is computed beside the loss, from sums that can be
// added over records and lanes.
type metric interface {
	// sums is how many sums the metric keeps.
	sums() int
	// add adds rows from up to to of m to the sums.
	add(sums []float64, m *metricPass, from, to int)
	// value is the metric of the sums.
	value(sums []float64) float64
}

// metricPass is what a metric looks at: rows of outputs and their targets.
type metricPass struct {
	x       []float32 // (rows, cols), what the loss read
	out     []float32 // (rows, cols), what the network gives
	cols    int
	classes []int32   // (rows)
	y       []float32 // (rows, cols)
	weight  []float32 // (rows), of the records
	loss    []float32 // (rows)
}

// predicted is the class with the largest output of a row; of a single output
// it is 1 for positive ones.
func (m *metricPass) predicted(row int) int {
	x := m.x[row*m.cols:][:m.cols]
	if len(x) == 1 {
		if x[0] > 0 {
			return 1
		}
		return 0
	}
	return argMax(x)
}

type metricKind struct {
	Entry
	higher bool // is better
	fit    func(s *LossSite) metric
}

// metricSuffix is the number that tells a metric from others of its kind; the mean
// over all classes has none.
func metricSuffix(n Node) string {
	for _, k := range metricKinds() {
		if k.Name != n.Kind || len(k.Fields) == 0 {
			continue
		}
		v, given := n.Fields[k.Fields[0].Name]
		if !given {
			v = k.Fields[0].Default
		}
		if number := fmt.Sprint(v); number != "-1" {
			return "_" + number
		}
	}
	return ""
}

func metricEntry(name, summary string, fields ...Field) Entry {
	return Entry{Name: name, Class: classMetric, Summary: summary, Fields: fields}
}

func (s *LossSite) needClasses(name string) {
	if s.Target.Kind != TargetClass {
		s.Fail("%s needs a class as target, but the data set has %s", name, targetName(s.Target))
	}
}

func accuracyKind() metricKind {
	return metricKind{
		higher: true,
		Entry:  metricEntry("accuracy", "share of targets whose class has the largest output"),
		fit: func(s *LossSite) metric {
			s.needClasses("accuracy")
			return accuracy{}
		},
	}
}

func maeKind() metricKind {
	return metricKind{
		Entry: metricEntry("mae", "mean absolute error, in the units of the data"),
		fit:   func(s *LossSite) metric { s.needNumbers("mae"); return mae{s.Target.unit()} },
	}
}

func rmseKind() metricKind {
	return metricKind{
		Entry: metricEntry("rmse", "root of the mean squared error, in the units of the data"),
		fit:   func(s *LossSite) metric { s.needNumbers("rmse"); return rmse{s.Target.unit()} },
	}
}

func (s *LossSite) needNumbers(name string) {
	switch s.Target.Kind {
	case TargetClass:
		s.Fail("%s needs numbers as target, but the data set has classes; use accuracy", name)
	case TargetNone:
		s.Fail("%s needs numbers as target, but the data set has none", name)
	}
}

func r2Kind() metricKind {
	return metricKind{
		higher: true,
		Entry:  metricEntry("r2", "share of the target's variance that the network explains"),
		fit:    func(s *LossSite) metric { s.needNumbers("r2"); return r2{} },
	}
}

// accuracy keeps the weights of all rows and of the right ones.
type accuracy struct{}

func (accuracy) sums() int { return 2 }

func (accuracy) add(sums []float64, m *metricPass, from, to int) {
	for r := from; r < to; r++ {
		sums[0] += float64(m.weight[r])
		if m.predicted(r) == int(m.classes[r]) {
			sums[1] += float64(m.weight[r])
		}
	}
}

func (accuracy) value(sums []float64) float64 { return sums[1] / sums[0] }

// argMax is the first index of the largest number.
func argMax(x []float32) int {
	best := 0
	for i, v := range x {
		if v > x[best] {
			best = i
		}
	}
	return best
}

// mae keeps the weight of all elements and the sum of absolute errors.
type mae struct{ unit float64 }

func (mae) sums() int { return 2 }

func (mae) add(sums []float64, m *metricPass, from, to int) {
	for r := from; r < to; r++ {
		w := float64(m.weight[r])
		for i := r * m.cols; i < (r+1)*m.cols; i++ {
			sums[0] += w
			sums[1] += float64(w * math.Abs(float64(m.out[i])-float64(m.y[i])))
		}
	}
}

func (m mae) value(sums []float64) float64 { return m.unit * (sums[1] / sums[0]) }

// rmse keeps the weight of all elements and the sum of squared errors.
type rmse struct{ unit float64 }

func (rmse) sums() int { return 2 }

func (rmse) add(sums []float64, m *metricPass, from, to int) {
	for r := from; r < to; r++ {
		w := float64(m.weight[r])
		for i := r * m.cols; i < (r+1)*m.cols; i++ {
			d := float64(m.out[i]) - float64(m.y[i])
			sums[0] += w
			sums[1] += float64(w * float64(d*d))
		}
	}
}

func (m rmse) value(sums []float64) float64 { return m.unit * math.Sqrt(sums[1]/sums[0]) }

// r2 keeps the weight of all elements, the sums of the target and of its square,
// and the sum of squared errors.
type r2 struct{}

func (r2) sums() int { return 4 }

func (r2) add(sums []float64, m *metricPass, from, to int) {
	for r := from; r < to; r++ {
		w := float64(m.weight[r])
		for i := r * m.cols; i < (r+1)*m.cols; i++ {
			y := float64(m.y[i])
			d := float64(m.out[i]) - y
			sums[0] += w
			sums[1] += float64(w * y)
			sums[2] += float64(w * float64(y*y))
			sums[3] += float64(w * float64(d*d))
		}
	}
}

func (r2) value(sums []float64) float64 {
	return 1 - sums[3]/(sums[2]-sums[1]*sums[1]/sums[0])
}
