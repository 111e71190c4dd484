package nn

import "github.com/lockstep-ml/lockstep/pkg/tensor"

// recurrent runs a cell along a sequence, in one direction or both:
//
//	x, dx  (B, T, In)       y, dy  (B, T, Dirs*H), or (B, Dirs*H) of the last step
//	weight_ih  (G*H, In)    weight_hh  (G*H, H)    bias_ih, bias_hh  (G*H)
//
// with G gates of H numbers each. The products with x are made for all steps at
// once, a = x weight_ihᵀ + bias_ih; those with the state step by step.
type recurrent struct {
	cell              cell
	steps, in, hidden int
	gates             int
	dirs              int
	last              bool
	padding           int // token whose positions are passed over, -1 is none
}

// cell is what happens in one step of one record.
type cell interface {
	// shape is G, the number of vectors of H kept beside the output, and whether
	// the products with the state before are kept apart in b; they are added to
	// a if not.
	shape() (gates, states int, apart bool)
	// forward computes s.h (and s.state) from the pre-activations in s.a and
	// s.b, which it replaces by what backward needs.
	forward(eng *tensor.Engine, s cellStep)
	// backward replaces s.a and s.b by their gradients, s.dh by the part of the
	// gradient by s.before that does not go through them, and s.dstate by the
	// gradient of the state before.
	backward(s cellStep)
}

// cellStep is one step of one record. Vectors have H elements, a and b G*H.
type cellStep struct {
	a, b               []float32
	h, before          []float32 // output, and that of the step before
	state, stateBefore []float32 // states vectors each
	dh, dstate         []float32
}

// recurrentKind is the line of a layer with the given cell.
func recurrentKind(name, summary string, c cell) LayerKind {
	return LayerKind{
		Entry: Entry{Name: name, Class: classLayer, Summary: summary,
			Fields: []Field{
				integer("units", 0, "length of the state").required().min(1).max(1 << 16).short(),
				word("output", "all", []string{"all", "last"}, "the output of every position, or of the last one"),
				boolean("bidirectional", false, "a second state runs backwards; the outputs are joined"),
				paddingField(),
			}},
		Fit: func(s *Site) Fitted { return fitRecurrent(s, name, c) },
	}
}

func fitRecurrent(s *Site, name string, c cell) Fitted {
	in, ok := s.sequence(name)
	if !ok {
		return Fitted{}
	}
	gates, states, apart := c.shape()
	l := recurrent{cell: c, steps: in[0], in: in[1], hidden: s.Int("units"), gates: gates, dirs: 1, last: s.Text("output") == "last", padding: s.padding(in[0])}
	if s.Bool("bidirectional") {
		l.dirs = 2
	}
	f := Fitted{Layer: l, Out: []int{l.steps, l.dirs * l.hidden}}
	if l.last {
		f.Out = f.Out[1:]
	}
	n, h := gates*l.hidden, l.hidden
	init := Init{Kind: "uniform_fan_in", FanIn: h, FanOut: h}
	for d := range l.dirs {
		suffix := []string{"_l0", "_l0_reverse"}[d]
		f.Params = append(f.Params,
			Param{Name: "weight_ih" + suffix, Shape: []int{n, l.in}, Init: init},
			Param{Name: "weight_hh" + suffix, Shape: []int{n, h}, Init: init},
			Param{Name: "bias_ih" + suffix, Shape: []int{n}, Init: init},
			Param{Name: "bias_hh" + suffix, Shape: []int{n}, Init: init})
		apartSize := 0
		if apart {
			apartSize = l.steps * n
		}
		f.Keep = append(f.Keep, l.steps*n, apartSize, l.steps*h, l.steps*h*states)
	}
	f.Scratch = l.steps*h + h + h*states + h*max(states, 1) // outputs before, dh, dstate, zeros
	f.MACs = l.dirs * l.steps * n * (l.in + h)
	return f
}

// direction is the memory of one direction in a pass.
type direction struct {
	a, b, h, state     []float32 // (B, T, …)
	weightIH, weightHH []float32
	biasIH, biasHH     []float32
	reverse            bool
	states             int
}

func (l recurrent) direction(p *Pass, d int) direction {
	_, states, _ := l.cell.shape()
	return direction{a: p.Keep(4 * d), b: p.Keep(4*d + 1), h: p.Keep(4*d + 2), state: p.Keep(4*d + 3),
		weightIH: p.Param(4 * d), weightHH: p.Param(4*d + 1), biasIH: p.Param(4*d + 2), biasHH: p.Param(4*d + 3),
		reverse: d == 1, states: states}
}

// at is the position of step i, and that of the step before, -1 if there is none.
func (l recurrent) at(d direction, i int) (now, before int) {
	if !d.reverse {
		return i, i - 1
	}
	now, before = l.steps-1-i, l.steps-i
	if before == l.steps {
		before = -1
	}
	return now, before
}

func (l recurrent) Forward(p *Pass) {
	zeros := l.zeros(p)
	for k := range l.dirs {
		d := l.direction(p, k)
		n := l.gates * l.hidden
		p.Engine().Gemm(d.a, p.X(0), d.weightIH, tensor.Gemm{M: p.Rows() * l.steps, N: n, K: l.in, TransB: true, Bias: d.biasIH})
		for i := range l.steps {
			now, before := l.at(d, i)
			l.recur(p, d, now, before)
			for r := range p.Rows() {
				s := l.step(d, r, now, before, zeros)
				if l.skips(p, r, now) {
					copy(s.h, s.before)
					copy(s.state, s.stateBefore)
					continue
				}
				l.cell.forward(p.Engine(), s)
			}
		}
		l.output(p, d, k)
	}
}

// zeros is the output and the state before the first step.
func (l recurrent) zeros(p *Pass) []float32 {
	_, states, _ := l.cell.shape()
	z := p.Scratch()[p.Rows()*l.hidden*(l.steps+1+states):][:l.hidden*max(states, 1)]
	clear(z)
	return z
}

// recur adds the products of the state before with weight_hh and bias_hh.
func (l recurrent) recur(p *Pass, d direction, now, before int) {
	n := l.gates * l.hidden
	into, accumulate := d.a, true
	if len(d.b) > 0 {
		into, accumulate = d.b, false
	}
	if before < 0 { // the state is zero
		for r := range p.Rows() {
			row := into[(r*l.steps+now)*n:][:n]
			if accumulate {
				p.Engine().Add(row, row, d.biasHH)
			} else {
				copy(row, d.biasHH)
			}
		}
		return
	}
	p.Engine().Gemm(into[now*n:], d.h[before*l.hidden:], d.weightHH, tensor.Gemm{M: p.Rows(), N: n, K: l.hidden, TransB: true,
		Accumulate: accumulate, Bias: d.biasHH, Lda: l.steps * l.hidden, Ldc: l.steps * n})
}

// step is the memory of one step of record r.
func (l recurrent) step(d direction, r, now, before int, zeros []float32) cellStep {
	n, h := l.gates*l.hidden, l.hidden
	at := r*l.steps + now
	s := cellStep{a: d.a[at*n:][:n], h: d.h[at*h:][:h], before: zeros[:h], stateBefore: zeros[:h*d.states]}
	if len(d.b) > 0 {
		s.b = d.b[at*n:][:n]
	}
	if d.states > 0 {
		s.state = d.state[at*h*d.states:][:h*d.states]
	}
	if before >= 0 {
		at := r*l.steps + before
		s.before = d.h[at*h:][:h]
		s.stateBefore = d.state[at*h*d.states:][:h*d.states]
	}
	return s
}

// skips reports whether a position of record r is filling.
func (l recurrent) skips(p *Pass, r, now int) bool {
	return l.padding >= 0 && int(p.Tokens()[r*l.steps+now]) == l.padding
}

// output copies the states of direction k into y.
func (l recurrent) output(p *Pass, d direction, k int) {
	y, h, width := p.Y(), l.hidden, l.dirs*l.hidden
	final, _ := l.at(d, l.steps-1)
	for r := range p.Rows() {
		if l.last {
			copy(y[r*width+k*h:][:h], d.h[(r*l.steps+final)*h:])
			continue
		}
		for t := range l.steps {
			copy(y[(r*l.steps+t)*width+k*h:][:h], d.h[(r*l.steps+t)*h:])
		}
	}
}

func (l recurrent) Backward(p *Pass) {
	for k := range l.dirs {
		l.backwardDirection(p, k)
	}
}

func (l recurrent) backwardDirection(p *Pass, k int) {
	d := l.direction(p, k)
	rows, n, h, eng := p.Rows(), l.gates*l.hidden, l.hidden, p.Engine()
	scratch := p.Scratch()
	befores, dh, dstate := scratch[:rows*l.steps*h], scratch[rows*l.steps*h:][:rows*h], scratch[rows*(l.steps+1)*h:][:rows*h*d.states]
	zeros := l.zeros(p)
	clear(dh)
	clear(dstate)
	l.shift(befores, d, rows)
	da, db := d.a, d.b
	if len(db) == 0 {
		db = da
	}
	for i := l.steps - 1; i >= 0; i-- {
		now, before := l.at(d, i)
		l.addOutput(p, dh, k, now, i == l.steps-1)
		for r := range rows {
			s := l.step(d, r, now, before, zeros)
			s.dh, s.dstate = dh[r*h:][:h], dstate[r*h*d.states:][:h*d.states]
			if l.skips(p, r, now) { // the gradient goes on as it is
				clear(s.a)
				clear(s.b)
				continue
			}
			l.cell.backward(s)
		}
		if before >= 0 {
			eng.Gemm(dh, db[now*n:], d.weightHH, tensor.Gemm{M: rows, N: h, K: n, Accumulate: true, Lda: l.steps * n})
		}
	}
	lanes := p.LaneRows(l.steps)
	eng.ColSumLanes(p.Grad(4*k+3), db, n, lanes)
	eng.ColSumLanes(p.Grad(4*k+2), da, n, lanes)
	eng.GemmLanes(p.Grad(4*k+1), db, befores, n, h, lanes)
	eng.GemmLanes(p.Grad(4*k), da, p.X(0), n, l.in, lanes)
	if dx := p.DX(0); dx != nil {
		eng.Gemm(dx, da, d.weightIH, tensor.Gemm{M: rows * l.steps, N: l.in, K: n, Accumulate: k > 0})
	}
}

// shift sets befores (B, T, H) to the output of the step before each step.
func (l recurrent) shift(befores []float32, d direction, rows int) {
	h := l.hidden
	for r := range rows {
		for i := range l.steps {
			now, before := l.at(d, i)
			to := befores[(r*l.steps+now)*h:][:h]
			if before < 0 {
				clear(to)
			} else {
				copy(to, d.h[(r*l.steps+before)*h:])
			}
		}
	}
}

// addOutput adds the gradient of the layer's output at a position to dh.
func (l recurrent) addOutput(p *Pass, dh []float32, k, now int, final bool) {
	dy, h, width := p.DY(), l.hidden, l.dirs*l.hidden
	if l.last && !final {
		return
	}
	for r := range p.Rows() {
		at := r*width + k*h
		if !l.last {
			at = (r*l.steps+now)*width + k*h
		}
		row := dh[r*h:][:h]
		p.Engine().Add(row, row, dy[at:][:h])
	}
}

// recurrentKinds are the cells that a job can name.
func recurrentKinds() []LayerKind {
	return []LayerKind{
		recurrentKind("rnn", "a state that is mixed with every position of a sequence in turn, through tanh", rnnCell{}),
		recurrentKind("lstm", "a recurrent layer with a gated memory that lasts", lstmCell{}),
		recurrentKind("gru", "a recurrent layer with two gates", gruCell{}),
	}
}
