package nn

import "math"

// layout says where the numbers of one lane stand in Stats: first the tally as
// float64s of two words each, then the largest |gradient| of every parameter,
// then the words of the layers.
//
//	tally[0]       records
//	tally[1+2n]    weighted sum of the loss of network n
//	tally[2+2n]    weighted number of terms of that loss
//	tally[numbers…] weight and weighted sum of each number of the recipe
//	tally[metric…] sums of the metrics, one metric after the other
type layout struct {
	tally   int
	numbers int
	metric  []int // first sum of each metric
	layer   []int // first word of each node that has some
	words   int
}

func (p *Plan) newLayout() layout {
	l := layout{numbers: 1 + 2*len(p.nets)}
	l.tally = l.numbers + 2*len(p.recipe.Numbers)
	for _, m := range p.metrics {
		l.metric = append(l.metric, l.tally)
		l.tally += m.sums()
	}
	l.words = 2*l.tally + len(p.params)
	for _, n := range p.nodes {
		l.layer = append(l.layer, l.words)
		l.words += n.Words * p.nets[n.net].passes()
	}
	return l
}

// writeStats fills in the words of the local lanes.
func (t *Trainer) writeStats(b *Batch) {
	for i, lane := range b.Lanes {
		t.tallies[lane*t.layout.tally] = float64(b.Rows[i+1] - b.Rows[i])
		words := t.stats[lane*t.layout.words:][:t.layout.words]
		putFloats(words, t.tallies[lane*t.layout.tally:][:t.layout.tally])
		for _, j := range t.plan.order {
			words[2*t.layout.tally+j] = int32(math.Float32bits(t.maxima[j*t.maxLanes+i]))
		}
	}
}

// putFloats stores float64s as pairs of words, the low one first.
func putFloats(words []int32, x []float64) {
	for i, v := range x {
		b := math.Float64bits(v)
		words[2*i], words[2*i+1] = int32(uint32(b)), int32(uint32(b>>32))
	}
}

func getFloat(words []int32, i int) float64 {
	return math.Float64frombits(uint64(uint32(words[2*i])) | uint64(uint32(words[2*i+1]))<<32)
}

// combine adds the tallies of all lanes, in the order of the lanes. words is
// the distance from one lane's words to the next.
func (t *Trainer) combine(stats []int32, words int) {
	clear(t.total)
	for lane := range t.plan.spec.Lanes {
		for i := range t.total {
			t.total[i] += getFloat(stats[lane*words:], i)
		}
	}
}

// results turns the combined tally into the mean loss and the metrics. The
// slice is the trainer's.
func (t *Trainer) results() (loss float64, metrics []float64) {
	for n := range t.plan.nets {
		loss += t.total[1+2*n] / t.total[2+2*n]
	}
	for j, m := range t.plan.metrics {
		t.metrics[j] = m.value(t.total[t.layout.metric[j]:][:m.sums()])
	}
	for j := range t.plan.recipe.Numbers {
		sums := t.total[t.layout.numbers+2*j:]
		t.metrics[len(t.plan.metrics)+j] = sums[1] / sums[0]
	}
	return loss, t.metrics
}

// terms is the number of terms in the loss of a row.
func (p *Plan) terms() float64 {
	if p.recipe.PerRecord {
		return 1
	}
	return float64(p.loss.Count())
}

// layerWords are the words of node n in the stats of a lane, those that it left
// when its network was applied for the nth time, from 0.
func (t *Trainer) layerWords(stats []int32, n *node, lane, nth int) []int32 {
	return stats[lane*t.layout.words+t.layout.layer[n.number]+nth*n.Words:][:n.Words]
}

// buffer is buffer i of the plan.
func (t *Trainer) buffer(i int) []float32 {
	b := &t.plan.buffers[i]
	return t.buffers[b.offset:][:size(b.Shape)]
}

// CommitPass is what a Committer sees.
type CommitPass struct {
	t   *Trainer
	n   *node
	nth int
}

// Lanes is the number of lanes, local and remote.
func (c *CommitPass) Lanes() int { return c.t.plan.spec.Lanes }

// Records is the number of records that a lane had.
func (c *CommitPass) Records(lane int) int {
	return int(getFloat(c.t.stats[lane*c.t.layout.words:], 0))
}

// Words are what the layer left in the stats of a lane.
func (c *CommitPass) Words(lane int) []int32 { return c.t.layerWords(c.t.stats, c.n, lane, c.nth) }

// Buffer is buffer i of Fitted.Buffers.
func (c *CommitPass) Buffer(i int) []float32 { return c.t.buffer(c.n.buffers[i]) }

// commitLayers lets layers with a state take over what the step brought.
func (t *Trainer) commitLayers() {
	for i := range t.plan.nodes {
		n := &t.plan.nodes[i]
		l, ok := n.Layer.(Committer)
		if !ok || n.factor == 0 {
			continue
		}
		for nth := range t.plan.nets[n.net].passes() {
			t.commit = CommitPass{t: t, n: n, nth: nth}
			l.Commit(&t.commit)
		}
	}
}
