package nn

import "math"

// layout says where the numbers of one lane stand in Stats: first the tally as
// float64s of two words each, then the largest |gradient| of every parameter,
// then the words of the layers.
//
//	tally[0]  records
//	tally[1]  weighted sum of the loss
//	tally[2]  weighted number of terms of the loss
//	tally[3…] sums of the metrics, one metric after the other
type layout struct {
	tally  int
	metric []int // first sum of each metric
	layer  []int // first word of each node that has some
	words  int
}

func (p *Plan) newLayout() layout {
	l := layout{tally: 3}
	for _, m := range p.metrics {
		l.metric = append(l.metric, l.tally)
		l.tally += m.sums()
	}
	l.words = 2*l.tally + len(p.params)
	for _, n := range p.nodes {
		l.layer = append(l.layer, l.words)
		l.words += n.Words
	}
	return l
}

// lossGradient is where the loss writes its gradient, nil if nobody needs it.
func (t *Trainer) lossGradient() []float32 { return t.gradient(t.plan.logits, t.pass.rows) }

// computeLoss computes the loss of every row, and its weighted gradient if dx is
// not nil.
func (t *Trainer) computeLoss(dx []float32) {
	b, loss := t.pass.batch, t.plan.loss
	rows := t.pass.rows * loss.Rows()
	p := &t.lossPass
	*p = LossPass{Pass: &t.pass, Batch: b, X: t.activation(t.plan.logits, t.pass.rows), DX: dx,
		Loss: t.rowLoss[:rows], Weight: t.rowWeight[:rows], Counts: t.rowCounts[:rows]}
	for r := range p.Weight {
		p.Weight[r] = 1
		if b.Weights != nil {
			p.Weight[r] = b.Weights[r/loss.Rows()]
		}
	}
	copy(p.Counts, p.Weight)
	p.Scratch = t.lossScratch[:len(p.X)]
	loss.Compute(p)
	if dx == nil {
		return
	}
	cols := len(dx) / max(rows, 1)
	for r, w := range p.Weight {
		if w != 1 {
			t.eng.Scale(dx[r*cols:][:cols], w)
		}
	}
}

// tally adds the records of local lane i to sums, one after the other, so that
// it does not matter how a lane is cut into batches.
func (t *Trainer) tally(sums []float64, i int) {
	from, to := t.pass.Lane(i)
	loss := t.plan.loss
	sums[0] += float64(to - from)
	for r := from * loss.Rows(); r < to*loss.Rows(); r++ {
		w := float64(t.lossPass.Weight[r])
		sums[1] += float64(w * float64(t.lossPass.Loss[r]))
		sums[2] += float64(w * float64(loss.Count()))
	}
	if t.layerLoss != nil {
		for r := from; r < to; r++ {
			sums[1] += float64(float64(t.pass.Weight(r)) * float64(t.layerLoss[r]))
		}
	}
	if len(t.plan.metrics) == 0 {
		return
	}
	x := t.lossPass.X
	t.metric = metricPass{x: x, cols: len(x) / max(len(t.lossPass.Loss), 1), classes: t.pass.batch.Classes,
		y: t.lossPass.target(), weight: t.lossPass.Counts, loss: t.lossPass.Loss}
	for j, m := range t.plan.metrics {
		m.add(sums[t.layout.metric[j]:][:m.sums()], &t.metric, from*loss.Rows(), to*loss.Rows())
	}
}

// writeStats fills in the words of the local lanes.
func (t *Trainer) writeStats(b *Batch) {
	for i, lane := range b.Lanes {
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
	for j, m := range t.plan.metrics {
		t.metrics[j] = m.value(t.total[t.layout.metric[j]:][:m.sums()])
	}
	return t.total[1] / t.total[2], t.metrics
}

// layerWords are the words of node n in the stats of a lane.
func (t *Trainer) layerWords(stats []int32, n *node, lane int) []int32 {
	return stats[lane*t.layout.words+t.layout.layer[n.number]:][:n.Words]
}

// buffer is buffer i of the plan.
func (t *Trainer) buffer(i int) []float32 {
	b := &t.plan.buffers[i]
	return t.buffers[b.offset:][:size(b.Shape)]
}

// CommitPass is what a Committer sees.
type CommitPass struct {
	t *Trainer
	n *node
}

// Lanes is the number of lanes, local and remote.
func (c *CommitPass) Lanes() int { return c.t.plan.spec.Lanes }

// Records is the number of records that a lane had.
func (c *CommitPass) Records(lane int) int {
	return int(getFloat(c.t.stats[lane*c.t.layout.words:], 0))
}

// Words are what the layer left in the stats of a lane.
func (c *CommitPass) Words(lane int) []int32 { return c.t.layerWords(c.t.stats, c.n, lane) }

// Buffer is buffer i of Fitted.Buffers.
func (c *CommitPass) Buffer(i int) []float32 { return c.t.buffer(c.n.buffers[i]) }

// commitLayers lets layers with a state take over what the step brought.
func (t *Trainer) commitLayers() {
	for i := range t.plan.nodes {
		n := &t.plan.nodes[i]
		if l, ok := n.Layer.(Committer); ok && n.factor > 0 {
			t.commit = CommitPass{t: t, n: n}
			l.Commit(&t.commit)
		}
	}
}
