package nn

// ctc is connectionist temporal classification (Graves and others, 2006): minus
// the logarithm of the probability that the network, which gives a distribution
// over the classes at each of T positions, says the labels of a record in their
// order, each at one or more positions in a row, with any number of blanks before,
// between and after them. Two equal labels in a row need a blank between them.
//
//	x, dx   (B, T, Classes)      classes  (B, Length), filled up with blanks
//
// The probability is the sum over all ways to place the labels. The labels with
// blanks around each are the states 0 to 2n of a chain; forward[t][s] is the
// probability of all ways that are in state s at position t, and backward that of
// the ways from there to the end. Both are computed as logarithms in float64.
// What softmax gives a class beyond the probability that a way passes through it is
// the gradient.
//
// A record costs T*(2n+1) steps of a few exponentials each, and as many float64s.
type ctc struct {
	steps, classes, length int
	blank                  int32
}

func ctcKind() lossKind {
	return lossKind{
		Entry: Entry{Name: "ctc", Class: classLoss,
			Summary: "how surprised softmax is by a list of classes, of which nobody says at which positions they are; the target is a list of classes",
			Fields: []Field{
				integer("blank", 0, "the class that stands for nothing; it fills up lists of classes that are short").min(0).short(),
			}},
		fit: fitCTC,
	}
}

func fitCTC(s *LossSite) Loss {
	if s.Target.Kind != TargetClass || len(s.Target.Shape) != 1 {
		s.Fail("ctc needs a list of classes as target, but the data set has %s of shape %s", targetName(s.Target), shapeString(s.Target.Shape))
		return nil
	}
	l := ctc{classes: s.Target.Classes, length: s.Target.Shape[0], blank: int32(s.Int("blank"))}
	if int(l.blank) >= l.classes {
		s.Fail("blank is %d, but there are classes 0 to %d", l.blank, l.classes-1)
	}
	if len(s.Out) != 2 || s.Out[1] != l.classes {
		s.FailModel("the network gives %s for a record, but ctc on %d classes needs (positions, %d)", shapeString(s.Out), l.classes, l.classes)
		return nil
	}
	l.steps = s.Out[0]
	return l
}

func (l ctc) Rows() int  { return 1 }
func (l ctc) Count() int { return 1 }

// work is the number of float64s that Compute needs: forward, and two rows of
// backward.
func (l ctc) work() int { return (l.steps + 2) * l.states(l.length) }

// states is the length of the chain of n labels.
func (l ctc) states(n int) int { return 2*n + 1 }

func (l ctc) Compute(p *LossPass) {
	each := l.steps * l.classes
	sums := p.Scratch[:len(p.Loss)*l.steps]
	p.Engine().RowLogSumExp(sums, p.X, len(sums), l.classes)
	if p.DX != nil {
		p.Engine().RowSoftmax(p.DX, p.X, len(sums), l.classes)
	}
	for r := range p.Loss {
		c := ctcRecord{ctc: l, labels: l.trim(p.Classes[r*l.length:][:l.length]), x: p.X[r*each:][:each], sums: sums[r*l.steps:][:l.steps], work: p.Work}
		if p.DX != nil {
			c.dx = p.DX[r*each:][:each]
		}
		if loss := c.compute(); loss < -never/2 {
			p.Loss[r] = float32(loss)
			continue
		}
		// There are too few positions for the labels: nothing can be learned.
		p.Loss[r], p.Weight[r], p.Counts[r] = 0, 0, 0
		clear(c.dx)
	}
}

// trim takes the blanks off the end of the labels.
func (l ctc) trim(labels []int32) []int32 {
	for len(labels) > 0 && labels[len(labels)-1] == l.blank {
		labels = labels[:len(labels)-1]
	}
	return labels
}

// ctcRecord is one record in Compute.
type ctcRecord struct {
	ctc
	labels []int32
	x, dx  []float32 // (T, Classes); dx holds softmax at first, or is nil
	sums   []float32 // (T), log of the sum of exp(x)
	work   []float64
}

// class is that of state s.
func (c *ctcRecord) class(s int) int32 {
	if s%2 == 0 {
		return c.blank
	}
	return c.labels[s/2]
}

// log is the logarithm of the probability of the class of state s at position t.
func (c *ctcRecord) log(t, s int) float64 {
	return float64(c.x[t*c.classes+int(c.class(s))]) - float64(c.sums[t])
}

// skips reports whether a way may go from state s-2 to s: past a blank, between
// two labels that differ.
func (c *ctcRecord) skips(s int) bool {
	return s >= 2 && s%2 == 1 && c.class(s) != c.class(s-2)
}

// compute returns the loss of the record, about -never if there is no way, and
// turns dx into its gradient.
func (c *ctcRecord) compute() float64 {
	n := c.states(len(c.labels))
	forward := c.work[:c.steps*n]
	for s := range n {
		forward[s] = never
		if s < 2 {
			forward[s] = c.log(0, s)
		}
	}
	for t := 1; t < c.steps; t++ {
		now, before := forward[t*n:][:n], forward[(t-1)*n:][:n]
		for s := range n {
			sum := before[s]
			if s >= 1 {
				sum = logSum(sum, before[s-1])
			}
			if c.skips(s) {
				sum = logSum(sum, before[s-2])
			}
			now[s] = sum + c.log(t, s)
		}
	}
	end := forward[(c.steps-1)*n:]
	total := end[n-1]
	if n > 1 {
		total = logSum(total, end[n-2])
	}
	if c.dx != nil && total > never/2 {
		c.backward(forward, total)
	}
	return -total
}

// backward takes the probability of every class at every position, given the
// labels, off dx.
func (c *ctcRecord) backward(forward []float64, total float64) {
	n := c.states(len(c.labels))
	now, next := c.work[c.steps*n:][:n], c.work[(c.steps+1)*n:][:n] // of the ways from a state on, without its position
	for t := c.steps - 1; t >= 0; t-- {
		for s := range n {
			switch {
			case t == c.steps-1 && s < n-2:
				now[s] = never
			case t == c.steps-1:
				now[s] = 0
			default:
				now[s] = c.onward(next, t+1, s)
			}
			at := &c.dx[t*c.classes+int(c.class(s))]
			*at -= float32(exp64(forward[t*n+s] + now[s] - total))
		}
		now, next = next, now
	}
}

// onward is the logarithm of the probability of the ways from state s on, from
// position t on; next is that of the states at t, without t itself.
func (c *ctcRecord) onward(next []float64, t, s int) float64 {
	sum := next[s] + c.log(t, s)
	if s+1 < len(next) {
		sum = logSum(sum, next[s+1]+c.log(t, s+1))
	}
	if s+2 < len(next) && c.skips(s+2) {
		sum = logSum(sum, next[s+2]+c.log(t, s+2))
	}
	return sum
}
