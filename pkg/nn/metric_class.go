package nn

func topKKind() metricKind {
	return metricKind{
		higher: true,
		Entry: metricEntry("top_k", "share of targets whose class is among the k largest outputs",
			integer("k", 5, "how many outputs count").min(1).short()),
		fit: func(s *LossSite) metric {
			s.needClasses("top_k")
			if want := s.Target.Size() * s.Target.Classes; s.Target.Kind == TargetClass && size(s.Out) != want {
				s.Fail("top_k needs a number for each class, but the network gives one for both; use accuracy")
			}
			return topK{k: s.Int("k")}
		},
	}
}

// topK keeps the weights of all rows and of those that count.
type topK struct{ k int }

func (topK) sums() int { return 2 }

func (t topK) add(sums []float64, m *metricPass, from, to int) {
	for r := from; r < to; r++ {
		x, c := m.x[r*m.cols:][:m.cols], int(m.classes[r])
		ahead := 0
		for i, v := range x {
			if v > x[c] || v == x[c] && i < c {
				ahead++
			}
		}
		sums[0] += float64(m.weight[r])
		if ahead < t.k {
			sums[1] += float64(m.weight[r])
		}
	}
}

func (topK) value(sums []float64) float64 { return sums[1] / sums[0] }

// rates are the metrics of how well classes are found: of one class, or the mean
// over all of them. They keep three sums a class: the weights of rows that are
// of the class, are predicted to be, and both.
type rates struct {
	classes, class int // class is -1 for the mean
	of             func(is, predicted, both float64) float64
}

func ratesKind(name, summary string, of func(is, predicted, both float64) float64) metricKind {
	return metricKind{
		higher: true,
		Entry:  metricEntry(name, summary, integer("class", -1, "the class that is meant; -1 is the mean over all classes").min(-1).short()),
		fit: func(s *LossSite) metric {
			s.needClasses(name)
			class := s.Int("class")
			if class >= s.Target.Classes {
				s.Fail("class is %d, but there are classes 0 to %d", class, s.Target.Classes-1)
			}
			return rates{classes: s.Target.Classes, class: class, of: of}
		},
	}
}

func precisionKind() metricKind {
	return ratesKind("precision", "share of the records predicted to be of a class that are", func(_, predicted, both float64) float64 {
		return share(both, predicted)
	})
}

func recallKind() metricKind {
	return ratesKind("recall", "share of the records of a class that are predicted to be", func(is, _, both float64) float64 {
		return share(both, is)
	})
}

func f1Kind() metricKind {
	return ratesKind("f1", "harmonic mean of precision and recall", func(is, predicted, both float64) float64 {
		return share(2*both, is+predicted)
	})
}

// share is a/b, 0 if there is nothing.
func share(a, b float64) float64 {
	if b == 0 {
		return 0
	}
	return a / b
}

func (m rates) sums() int { return 3 * m.classes }

func (m rates) add(sums []float64, p *metricPass, from, to int) {
	for r := from; r < to; r++ {
		w, is, predicted := float64(p.weight[r]), int(p.classes[r]), p.predicted(r)
		sums[3*is] += w
		sums[3*predicted+1] += w
		if is == predicted {
			sums[3*is+2] += w
		}
	}
}

func (m rates) value(sums []float64) float64 {
	if m.class >= 0 {
		return m.of(sums[3*m.class], sums[3*m.class+1], sums[3*m.class+2])
	}
	mean := 0.0
	for c := range m.classes {
		mean += m.of(sums[3*c], sums[3*c+1], sums[3*c+2])
	}
	return mean / float64(m.classes)
}

// aucBins is the number of scores that roc_auc tells apart.
const aucBins = 256

// rocAUC keeps two histograms, of the scores of both classes, from -16 to 16 in
// steps of 1/8. Scores in one bin count as equal.
type rocAUC struct{}

func rocAUCKind() metricKind {
	return metricKind{
		higher: true,
		Entry:  metricEntry("roc_auc", "probability that a record of class 1 scores higher than one of class 0; scores are told apart to 1/8"),
		fit: func(s *LossSite) metric {
			s.needClasses("roc_auc")
			if s.Target.Kind == TargetClass && s.Target.Classes != 2 {
				s.Fail("roc_auc needs two classes, but the data set has %d", s.Target.Classes)
			}
			return rocAUC{}
		},
	}
}

func (rocAUC) sums() int { return 2 * aucBins }

func (rocAUC) add(sums []float64, m *metricPass, from, to int) {
	for r := from; r < to; r++ {
		x := m.x[r*m.cols:][:m.cols]
		score := x[len(x)-1]
		if len(x) == 2 {
			score -= x[0]
		}
		bin := int(max(0, min((score+16)*8, aucBins-1)))
		sums[int(m.classes[r])*aucBins+bin] += float64(m.weight[r])
	}
}

func (rocAUC) value(sums []float64) float64 {
	below, right, yes := 0.0, 0.0, 0.0
	for i := range aucBins {
		no := sums[i]
		right += sums[aucBins+i] * (below + no/2)
		below += no
		yes += sums[aucBins+i]
	}
	return share(right, below*yes)
}

// perplexity keeps the weight of all rows and their weighted loss.
type perplexity struct{}

func perplexityKind() metricKind {
	return metricKind{
		Entry: metricEntry("perplexity", "exp of the mean loss: between how many equally likely classes the network wavers"),
		fit:   func(s *LossSite) metric { s.needClasses("perplexity"); return perplexity{} },
	}
}

func (perplexity) sums() int { return 2 }

func (perplexity) add(sums []float64, m *metricPass, from, to int) {
	for r := from; r < to; r++ {
		w := float64(m.weight[r])
		sums[0] += w
		sums[1] += float64(w * float64(m.loss[r]))
	}
}

func (perplexity) value(sums []float64) float64 { return exp(sums[1] / sums[0]) }
