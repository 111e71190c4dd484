package nn

// unit is the memory of one node.
type unit struct {
	keep      [][]float32
	keepInts  [][]int32
	keepLanes [][]float32 // elements a lane
	dx        []target
}

// target is where a node writes the gradient by one of its inputs. The first
// node to write a gradient writes it in place; what others write is added.
type target struct {
	buf []float32 // nil if nobody needs the gradient, or if it is DY itself
	add bool      // buf has a gradient, to which the layer adds
	sum []float32 // what buf is added to afterwards; nil if it is in place
}

// passer is a layer that leaves the gradient by some inputs in DY.
type passer interface{ passes(input int) bool }

// keeper is a layer whose Backward does not change DY.
type keeper interface{ keepsDY() bool }

// adder is a layer that can add its gradients to what is in DX: Pass.adds.
type adder interface{ adds() bool }

// pool of gradient buffers, which live only from the first reader of a value
// back to its producer. sizes are in elements a record.
type slots struct {
	sizes []int
	free  []int
}

// take returns a free slot of at least n elements: the smallest that fits, or
// else the largest, enlarged, or a new one.
func (s *slots) take(n int) int {
	best := -1
	for i, slot := range s.free {
		if best < 0 || better(s.sizes[slot], s.sizes[s.free[best]], n) {
			best = i
		}
	}
	if best < 0 {
		s.sizes = append(s.sizes, n)
		return len(s.sizes) - 1
	}
	slot := s.free[best]
	s.free = append(s.free[:best], s.free[best+1:]...)
	s.sizes[slot] = max(s.sizes[slot], n)
	return slot
}

// better reports whether a slot of size a serves n elements better than one of b.
func better(a, b, n int) bool {
	if (a >= n) != (b >= n) {
		return a >= n
	}
	if a >= n {
		return a < b
	}
	return a > b
}

// writing is how a node writes the gradient by one of its inputs.
type writing int

const (
	writeNone   writing = iota // nobody needs it
	writeFirst                 // in place
	writePassed                // it is that by the output, in the same slot
	writeAdd                   // the layer adds it in place
	writeSum                   // apart, to be added afterwards
)

// placement says which slot holds the gradient of which value, and how every
// node writes the gradients by its inputs.
type placement struct {
	slots   slots
	holders []int       // of each slot: values whose gradient is in it
	value   []int       // slot of a root value, -1 without gradient
	how     [][]writing // per node and input
	sums    []int       // sizes of the buffers for what is added, by number of the input
}

// placeGradients walks the nodes backwards and gives every gradient a slot for
// as long as it lives.
func (p *Plan) placeGradients() placement {
	pl := placement{value: make([]int, len(p.values)), how: make([][]writing, len(p.nodes))}
	for i := range pl.value {
		pl.value[i] = -1
	}
	for i := range p.nets {
		pl.place(p, &p.nets[i])
	}
	return pl
}

// place is placeGradients for one network. It shares no slot with others: what a
// recipe moves between networks stays.
func (pl *placement) place(p *Plan, net *network) {
	pl.slots.free = nil
	if root := p.values[net.logits].root; p.values[root].grad {
		pl.hold(root, pl.slots.take(p.values[root].size))
	}
	for i := net.to - 1; i >= net.from; i-- {
		n := p.nodes[i]
		pl.how[i] = make([]writing, len(n.in))
		if n.Alias || !p.backward(i) {
			continue
		}
		for j := range n.in {
			pl.how[i][j] = pl.write(p, i, j)
		}
		if slot := pl.value[n.out]; slot >= 0 {
			if pl.holders[slot]--; pl.holders[slot] == 0 {
				pl.slots.free = append(pl.slots.free, slot)
			}
		}
	}
}

// hold puts the gradient of a value into a slot.
func (pl *placement) hold(root, slot int) {
	pl.value[root] = slot
	for len(pl.holders) <= slot {
		pl.holders = append(pl.holders, 0)
	}
	pl.holders[slot]++
}

func (pl *placement) write(p *Plan, i, input int) writing {
	n := &p.nodes[i]
	root := p.values[n.in[input]].root
	size := p.values[root].size
	switch {
	case !p.values[root].grad:
		return writeNone
	case pl.value[root] < 0 && pl.mayPass(p, n, input):
		pl.hold(root, pl.value[n.out])
		return writePassed
	case pl.value[root] < 0:
		pl.hold(root, pl.slots.take(size))
		return writeFirst
	}
	if l, ok := n.Layer.(adder); ok && l.adds() {
		return writeAdd
	}
	for len(pl.sums) <= input {
		pl.sums = append(pl.sums, 0)
	}
	pl.sums[input] = max(pl.sums[input], size)
	return writeSum
}

// mayPass reports whether the gradient by an input can stay in the slot of that
// by the output, which must be alone there. Two inputs can share it if the one that
// is made later is done with, unchanged, before anything is added to the other.
func (pl *placement) mayPass(p *Plan, n *node, input int) bool {
	l, ok := n.Layer.(passer)
	if !ok || !l.passes(input) {
		return false
	}
	holders := pl.holders[pl.value[n.out]]
	for j := range input {
		if pl.how[n.number][j] == writePassed {
			return holders == 2 && p.apart(n, p.values[n.in[input]].root, p.values[n.in[j]].root)
		}
	}
	return holders == 1
}

// apart reports whether, on the way back from n, the gradient of one of two values
// that n reads is read for the last time, and not changed, before that of the
// other is.
func (p *Plan) apart(n *node, a, b int) bool {
	if p.values[a].node < p.values[b].node {
		a, b = b, a
	}
	producer := p.values[a].node
	if a == b || producer < 0 || p.values[a].users != 1 {
		return false
	}
	l, ok := p.nodes[producer].Layer.(keeper)
	if !ok || !l.keepsDY() {
		return false
	}
	for _, before := range p.nodes[producer:n.number] {
		for _, v := range before.in {
			if !before.Alias && p.values[v].root == b {
				return false
			}
		}
	}
	return true
}

// backward reports whether node i takes part in the backward pass: its output
// carries a gradient and is not only for show behind the logits.
func (p *Plan) backward(i int) bool {
	out, net := p.nodes[i].out, &p.nets[p.nodes[i].net]
	return p.values[p.values[out].root].grad && (net.logits == net.output || out != net.output)
}

// allocate gives the trainer its memory.
func (t *Trainer) allocate() {
	p, rows := t.plan, t.maxRows
	t.acts = make([][]float32, len(p.values))
	for i, v := range p.values {
		if v.root == i && v.node >= 0 {
			t.acts[i] = t.mem.Float32(rows * v.size)
		}
	}
	pl := p.placeGradients()
	mem := make([][]float32, len(pl.slots.sizes))
	for i, n := range pl.slots.sizes {
		mem[i] = t.mem.Float32(rows * n)
	}
	sums := make([][]float32, len(pl.sums))
	for i, n := range pl.sums {
		sums[i] = t.mem.Float32(rows * n)
	}
	t.dacts = make([][]float32, len(p.values))
	for i, slot := range pl.value {
		if slot >= 0 {
			t.dacts[i] = mem[slot]
		}
	}
	scratch := 0
	t.units = make([]unit, len(p.nodes))
	for i, n := range p.nodes {
		t.units[i] = t.newUnit(n, pl.how[i], sums)
		scratch = max(scratch, n.Scratch)
	}
	t.scratch = t.mem.Float32(rows * scratch)
	t.laneRows = make([]int, t.maxLanes+1)
	t.allocateStep()
	t.lossScratch = t.mem.Float32(rows * p.values[p.judged().logits].size)
	if w, ok := p.loss.(worker); ok {
		t.lossWork = make([]float64, w.work())
	}
	t.rowLoss = t.mem.Float32(rows * p.loss.Rows())
	t.rowWeight = t.mem.Float32(rows * p.loss.Rows())
	t.rowCounts = t.mem.Float32(rows * p.loss.Rows())
}

// allocateStep gives the recipe its memory.
func (t *Trainer) allocateStep() {
	s, p := &t.step, t.plan
	s.t, s.nets = t, make([]Network, len(p.nets))
	for i := range s.nets {
		s.nets[i] = Network{s: s, number: i}
	}
	for _, n := range p.nodes {
		if n.Loss {
			s.nets[n.net].layerLoss = t.mem.Float32(t.maxRows)
		}
	}
	for _, n := range p.recipe.Keep {
		s.keep = append(s.keep, t.mem.Float32(t.maxRows*n))
	}
}

func (t *Trainer) newUnit(n node, how []writing, sums [][]float32) unit {
	u := unit{dx: make([]target, len(n.in))}
	for _, size := range n.Keep {
		u.keep = append(u.keep, t.mem.Float32(t.maxRows*size))
	}
	for _, size := range n.KeepInts {
		u.keepInts = append(u.keepInts, t.mem.Int32(t.maxRows*size))
	}
	for _, size := range n.KeepLanes {
		u.keepLanes = append(u.keepLanes, t.mem.Float32(t.maxLanes*size))
	}
	for j, v := range n.in {
		grad := t.dacts[t.plan.values[v].root]
		switch how[j] {
		case writeFirst, writeAdd:
			u.dx[j] = target{buf: grad, add: how[j] == writeAdd}
		case writeSum:
			u.dx[j] = target{buf: sums[j], sum: grad}
		}
	}
	return u
}
