package nn

// Network is one of a recipe's networks in a step.
type Network struct {
	s                   *Step
	number              int
	forwards, backwards int  // calls in this step
	spent               bool // by a backward pass since the last forward pass
	pass                Pass
	loss                LossPass
	metric              metricPass
	layerLoss           []float32 // of every record, from layers; nil without
	part                layerPart // that the last forward pass ran
}

func (n *Network) plan() *network { return &n.s.t.plan.nets[n.number] }

// Forward applies the network to x, the step's rows times the size of its
// input, or to the tokens of the batch. It returns the output: what the loss
// reads. x must stay as it is until the last Backward.
func (n *Network) Forward(x []float32) []float32 {
	net, s := n.plan(), n.s
	rows := s.Rows()
	out := s.t.activation(net.logits, rows)
	switch {
	case n.forwards == net.passes():
		s.fail("network %d is applied more often than Net.Passes, %d", n.number, net.passes())
		return out
	case net.Input.Tokens == 0 && len(x) != rows*size(net.Input.Shape):
		s.fail("network %d is applied to %d numbers, but %d records of %s have %d", n.number, len(x), rows,
			shapeString(net.Input.Shape), rows*size(net.Input.Shape))
		return out
	}
	n.pass = Pass{t: s.t, net: n, batch: s.batch, rows: rows, train: s.train, draws: true, w: s.t.w, nth: n.forwards}
	if !s.train {
		n.pass.w = s.t.final()
	}
	n.forwards++
	s.t.acts[net.input] = x
	n.spent = false
	clear(n.layerLoss)
	n.run(x, s.t.plan.whole && net == s.t.plan.judged())
	return out
}

// apply runs the layers of a part from a node on. An activation that is a part of the loss
// is left out unless the output behind it is wanted.
func (n *Network) apply(from int, whole bool, part layerPart) {
	net, t := n.plan(), n.s.t
	for i := from; i < net.to; i++ {
		node := &t.plan.nodes[i]
		if node.Alias || !whole && node.out == net.output && net.logits != net.output {
			continue
		}
		if part != allLayers && t.plan.fixed[i] != (part == fixedLayers) {
			continue
		}
		n.pass.n, n.pass.unit = node, &t.units[i]
		node.Layer.Forward(&n.pass)
	}
}

// Loss compares the output with y by the job's loss, one target a record. It
// adds the result to the loss of the network and, in training, leaves the
// gradient by the output for Backward. Only the last network of a recipe has it.
func (n *Network) Loss(y Targets) { n.LossFor(n, y) }

// LossFor is Loss, but the result counts as loss of another network.
func (n *Network) LossFor(of *Network, y Targets) {
	if n.number != len(n.s.nets)-1 {
		n.s.fail("network %d has a loss, but the job's loss reads the output of the last network, %d", n.number, len(n.s.nets)-1)
		return
	}
	n.compute(y)
	for i, lane := range n.s.batch.Lanes {
		n.tally(n.s.sums[lane*n.s.t.layout.tally:][:n.s.t.layout.tally], i, of)
	}
}

// Losses are the losses of the rows, not weighted, of the last Loss.
func (n *Network) Losses() []float32 { return n.loss.Loss }

// LayerLosses are what layers added to the loss of every record in the last
// Forward; nil if no layer does so.
func (n *Network) LayerLosses() []float32 { return n.layerLoss }

// Gradient is the gradient by the output: Loss writes it, or a recipe. It is nil
// if nobody needs it.
func (n *Network) Gradient() []float32 { return n.s.t.gradient(n.plan().logits, n.s.Rows()) }

// InputGradient is what Backward and BackwardInput found for the input of a
// network with Net.InputGradient.
func (n *Network) InputGradient() []float32 { return n.s.t.gradient(n.plan().input, n.s.Rows()) }

// Backward goes from the gradient by the output back through the last Forward
// and adds to the gradients of the parameters. It does nothing when networks are
// only evaluated.
func (n *Network) Backward() {
	if n.backwards++; n.backwards > n.plan().passes() {
		n.s.fail("network %d goes backward more often than Net.Passes, %d", n.number, n.plan().passes())
		return
	}
	if n.s.train && !n.s.Updates(n.number) {
		n.s.fail("network %d goes backward in a step that does not update it", n.number)
		return
	}
	n.backward(true)
}

// BackwardInput is Backward that leaves the parameters alone: it only finds
// InputGradient.
func (n *Network) BackwardInput() { n.backward(false) }

func (n *Network) backward(params bool) {
	net, t := n.plan(), n.s.t
	if !n.s.train || t.dacts[t.plan.values[net.logits].root] == nil {
		return
	}
	if n.spent {
		clear(n.layerLoss)
		n.apply(net.from, false, n.part)
	}
	n.pass.fixed, n.spent = !params, false
	for i := net.to - 1; i >= net.from; i-- {
		if node := &t.plan.nodes[i]; !node.Alias && t.plan.backward(i) {
			n.pass.n, n.pass.unit = node, &t.units[i]
			node.Layer.Backward(&n.pass)
			n.spent = n.spent || node.Spends
			t.addInputs(node, &t.units[i], n.pass.rows)
		}
		if params {
			n.s.announce(n.number, i)
		}
	}
}

// compute finds the loss of every row and, in training, its weighted gradient.
func (n *Network) compute(y Targets) {
	t, b := n.s.t, n.s.batch
	logits := n.plan().logits
	loss := t.plan.loss
	rows := n.pass.rows * loss.Rows()
	p := &n.loss
	*p = LossPass{Pass: &n.pass, X: t.activation(logits, n.pass.rows), Classes: y.Classes, Y: y.Y, Shares: y.Shares, Others: y.Others,
		Loss: t.rowLoss[:rows], Weight: t.rowWeight[:rows], Counts: t.rowCounts[:rows]}
	if n.s.train {
		p.DX = n.Gradient()
	}
	for r := range p.Weight {
		p.Weight[r] = 1
		if b.Weights != nil {
			p.Weight[r] = b.Weights[r/loss.Rows()]
		}
	}
	copy(p.Counts, p.Weight)
	p.Scratch, p.Work = t.lossScratch[:len(p.X)], t.lossWork
	loss.Compute(p)
	cols := len(p.DX) / max(rows, 1)
	for r, w := range p.Weight {
		if w != 1 && p.DX != nil {
			t.eng.Scale(p.DX[r*cols:][:cols], w)
		}
	}
}

// tally adds the records of local lane i to sums, one after the other, so that
// it does not matter how a lane is cut into batches.
func (n *Network) tally(sums []float64, i int, of *Network) {
	from, to := n.pass.Lane(i)
	loss, count := n.s.t.plan.loss, n.s.t.plan.terms()
	at := 1 + 2*of.number
	for r := from * loss.Rows(); r < to*loss.Rows(); r++ {
		w := float64(n.loss.Weight[r])
		sums[at] += float64(w * float64(n.loss.Loss[r]))
		sums[at+1] += float64(w * count)
	}
	if of.layerLoss != nil {
		for r := from; r < to; r++ {
			sums[at] += float64(float64(n.pass.Weight(r)) * float64(of.layerLoss[r]))
		}
	}
	counts := n.s.t.confusion != nil && !n.s.train
	if len(n.s.t.plan.metrics) == 0 && !counts {
		return
	}
	x := n.loss.X
	m := &n.metric
	*m = metricPass{x: x, out: x, cols: len(x) / max(len(n.loss.Loss), 1), classes: n.loss.Classes,
		y: n.loss.Y, weight: n.loss.Counts, loss: n.loss.Loss}
	if n.s.t.plan.whole {
		m.out = n.s.t.activation(n.plan().output, n.pass.rows)
	}
	for j, metric := range n.s.t.plan.metrics {
		metric.add(sums[n.s.t.layout.metric[j]:][:metric.sums()], m, from*loss.Rows(), to*loss.Rows())
	}
	if counts {
		n.s.t.confusion.add(m, from*loss.Rows(), to*loss.Rows())
	}
}
