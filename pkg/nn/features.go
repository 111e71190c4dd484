package nn

// features is what the fixed layers at the beginning of the model made of records,
// by the records' ids. Fixed is a layer of which nothing is trained and that draws
// nothing, behind the input or other fixed layers: what it gives for a record is
// the same in every epoch, bit for bit, whatever else is in the batch.
type features struct {
	slot  map[int64]int
	data  []float32 // (slots, Plan.featureSize)
	slots int
}

// layerPart says which layers of a network are run.
type layerPart uint8

const (
	allLayers layerPart = iota
	fixedLayers
	freeLayers
)

// findFixed finds the fixed layers of the model, and the values that they give to
// the others. Where no fixed layer multiplies, there is nothing worth keeping.
func (p *Plan) findFixed() {
	net := &p.nets[0]
	if p.recipe.Drawn || net.InputGradient {
		return
	}
	p.fixed = make([]bool, net.to)
	fixed := make([]bool, len(p.values)) // of roots
	fixed[net.input] = true
	work := 0
	for i, n := range p.nodes[:net.to] {
		is := !n.Random && !n.Loss && (len(n.params) == 0 || n.factor == 0) && (n.out != net.output || n.out == net.logits)
		for _, v := range n.in {
			is = is && fixed[p.values[v].root]
		}
		if n.Alias {
			is = fixed[p.values[n.out].root]
		}
		p.fixed[i], fixed[p.values[n.out].root] = is, is
		if is {
			work += n.MACs
		}
	}
	fixed[net.input] = false // it need not be kept
	read := make([]bool, len(p.values))
	read[p.values[net.logits].root], read[p.values[net.output].root] = true, true
	for i, n := range p.nodes[:net.to] {
		for _, v := range n.in {
			read[p.values[v].root] = read[p.values[v].root] || !p.fixed[i]
		}
	}
	for v, is := range fixed {
		if is && read[v] && work > 0 {
			p.edges = append(p.edges, v)
			p.featureSize += p.values[v].size
		}
	}
}

// Features is how many numbers the layers of which nothing is trained make of a
// record for those behind them, 0 if there are none: what KeepFeatures keeps.
func (p *Plan) Features() int { return p.featureSize }

// KeepFeatures lets the trainer keep what fixed layers make of the records of its
// training and its evaluations, which Batch.Records names, in so many bytes of
// memory; a record that is not kept is computed each time. A count of 0 keeps
// none: records that are augmented are others in every epoch. No bit depends on
// it.
func (t *Trainer) KeepFeatures(bytes, train, test int64) {
	t.forgetFeatures()
	t.features = [2]*features{}
	each := int64(t.plan.featureSize)
	if each == 0 {
		return
	}
	left := bytes / (4 * each)
	for i, records := range []int64{train, test} {
		if n := min(records, left); n > 0 {
			t.features[i] = &features{slot: make(map[int64]int, n), data: make([]float32, n*each), slots: int(n)}
			left -= n
		}
	}
	net := &t.plan.nets[0]
	t.missing = make([]int, 0, t.maxRows)
	t.missed = Batch{Rows: make([]int, 0, t.maxLanes+1)}
	if n := t.maxRows * size(net.Input.Shape); net.Input.Tokens > 0 {
		t.missed.Tokens = make([]int32, n)
	} else {
		t.missed.X = make([]float32, n)
	}
}

// forgetFeatures is for when parameters change that are not trained.
func (t *Trainer) forgetFeatures() {
	for _, f := range t.features {
		if f != nil {
			clear(f.slot)
		}
	}
}

// kept is where features of the records of a batch are kept; nil if they are not,
// or if the network reads something else.
func (n *Network) kept(x []float32) *features {
	b, f := n.s.batch, n.s.t.features[0]
	if !n.s.train {
		f = n.s.t.features[1]
	}
	own := n.plan().Input.Tokens > 0 || len(x) > 0 && len(b.X) > 0 && &x[0] == &b.X[0]
	if f == nil || n.number != 0 || !own || len(b.Records) < n.pass.rows {
		return nil
	}
	return f
}

// run applies the network to its input: the fixed layers only to records whose
// features are not kept.
func (n *Network) run(x []float32, whole bool) {
	t, f := n.s.t, n.kept(x)
	n.part = allLayers
	if f == nil {
		n.apply(n.plan().from, whole, allLayers)
		return
	}
	b, rows := n.s.batch, n.pass.rows
	t.missing = t.missing[:0]
	for r, id := range b.Records[:rows] {
		if _, ok := f.slot[id]; !ok {
			t.missing = append(t.missing, r)
		}
	}
	if m := len(t.missing); m > 0 {
		if m < rows {
			t.gather(b)
			n.pass.batch, n.pass.rows, t.acts[n.plan().input] = &t.missed, m, t.missed.X
		}
		n.apply(n.plan().from, whole, fixedLayers)
		n.pass.batch, n.pass.rows, t.acts[n.plan().input] = b, rows, x
		t.keep(f, b)
	}
	t.spread(f, b, rows)
	n.part = freeLayers
	n.apply(n.plan().from, whole, freeLayers)
}

// gather puts the missing records of b into t.missed, lane by lane.
func (t *Trainer) gather(b *Batch) {
	m, each := &t.missed, size(t.plan.nets[0].Input.Shape)
	m.Epoch, m.Step, m.Lanes, m.Rows = b.Epoch, b.Step, b.Lanes, append(m.Rows[:0], 0)
	k := 0
	for lane := range b.Lanes {
		for ; k < len(t.missing) && t.missing[k] < b.Rows[lane+1]; k++ {
			from := t.missing[k] * each
			if m.Tokens != nil {
				copy(m.Tokens[k*each:][:each], b.Tokens[from:])
			} else {
				copy(m.X[k*each:][:each], b.X[from:])
			}
		}
		m.Rows = append(m.Rows, k)
	}
}

// keep keeps the features of the missing records, which stand in the first rows,
// while there is room.
func (t *Trainer) keep(f *features, b *Batch) {
	for k, r := range t.missing {
		slot := len(f.slot)
		if _, twice := f.slot[b.Records[r]]; twice || slot == f.slots {
			continue
		}
		f.slot[b.Records[r]] = slot
		to := f.data[slot*t.plan.featureSize:]
		for _, v := range t.plan.edges {
			n := copy(to[:t.plan.values[v].size], t.acts[v][k*t.plan.values[v].size:])
			to = to[n:]
		}
	}
}

// spread gives every record its row: a missing one from the first rows, the last
// of them first, any other from what is kept.
func (t *Trainer) spread(f *features, b *Batch, rows int) {
	at := 0
	for _, v := range t.plan.edges {
		each, acts := t.plan.values[v].size, t.acts[v]
		k := len(t.missing) - 1
		for r := rows - 1; r >= 0; r-- {
			if k >= 0 && t.missing[k] == r {
				copy(acts[r*each:][:each], acts[k*each:])
				k--
			} else {
				copy(acts[r*each:][:each], f.data[f.slot[b.Records[r]]*t.plan.featureSize+at:])
			}
		}
		at += each
	}
}
