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
	cell cell
	cellShape
	steps, in, hidden int
	dirs              int
	last              bool
	padding           int // token whose positions are passed over, -1 is none
	truncate          int // steps after which gradients stop, 0 is never
}

// cell is what happens in one step of some records.
type cell interface {
	shape() cellShape
	// forward computes s.h (and s.state) from the pre-activations in s.a and
	// s.b, which it replaces by what backward needs.
	forward(eng *tensor.Engine, s cellStep)
	// backward replaces s.a and s.b by their gradients, s.dh by the part of the
	// gradient by s.before that does not go through them, and s.dstate by the
	// gradient of the state before.
	backward(eng *tensor.Engine, s cellStep)
}

// cellShape is what a cell needs.
type cellShape struct {
	gates  int // G
	states int // vectors of H that are kept beside the output
	// apart means that the products with the state before are kept apart in b;
	// they are added to a if not.
	apart bool
	// direct means that s.dh is not all zeros after backward.
	direct bool
}

// cellStep is one step of some records, a row each: hidden elements, or gates
// times as many in a and b.
type cellStep struct {
	rows, hidden       int
	a, b               tensor.Strided
	h, before          tensor.Strided // output, and that of the step before
	state, stateBefore tensor.Strided // states vectors each
	dh, dstate         tensor.Strided
}

// row is row r of x, n vectors of it.
func (s cellStep) row(x tensor.Strided, r, n int) []float32 { return x.X[r*x.Step:][:n*s.hidden] }

// recurrentKind is the line of a layer with the given cell.
func recurrentKind(name, summary string, c cell) LayerKind {
	return LayerKind{
		Entry: Entry{Name: name, Class: classLayer, Shapes: "(t, n) -> (t, units); (units) if output is last; twice as many if bidirectional", Summary: summary,
			Fields: []Field{
				integer("units", 0, "length of the state").required().min(1).max(1 << 16).short(),
				word("output", "all", []string{"all", "last"}, "the output of every position, or of the last one"),
				boolean("bidirectional", false, "a second state runs backwards; the outputs are joined"),
				paddingField(),
				integer("truncate", 0, "truncated back-propagation: the state goes on, but gradients stop after every so many positions; 0 is never").min(0),
				word("init", "uniform_fan_in", initNames(), "initial weights of the input; uniform_fan_in is uniform within 1/sqrt(units), also for the bias, which else starts at 0"),
				word("state_init", "uniform_fan_in", initNames(), "the same for the weights of the state before, often orthogonal"),
			}},
		Fit: func(s *Site) Fitted { return fitRecurrent(s, name, c) },
	}
}

func fitRecurrent(s *Site, name string, c cell) Fitted {
	in, ok := s.sequence(name)
	if !ok {
		return Fitted{}
	}
	l := recurrent{cell: c, cellShape: c.shape(), steps: in[0], in: in[1], hidden: s.Int("units"), dirs: 1, last: s.Text("output") == "last", padding: s.padding(in[0]), truncate: s.Int("truncate")}
	if s.Bool("bidirectional") {
		l.dirs = 2
	}
	f := Fitted{Layer: l, Out: []int{l.steps, l.dirs * l.hidden}, Spends: true}
	if l.last {
		f.Out = f.Out[1:]
	}
	n, h := l.gates*l.hidden, l.hidden
	ofInput, ofState := Init{Kind: s.Text("init"), FanIn: l.in, FanOut: n}, Init{Kind: s.Text("state_init"), FanIn: h, FanOut: n}
	if ofInput.Kind == "uniform_fan_in" {
		ofInput.FanIn = h
	}
	apart, last := 0, 0
	if l.apart {
		apart = l.steps * n
	}
	if l.last {
		last = l.steps * h
	}
	for d := range l.dirs {
		suffix := []string{"_l0", "_l0_reverse"}[d]
		f.Params = append(f.Params,
			Param{Name: "weight_ih" + suffix, Shape: []int{n, l.in}, Init: ofInput},
			Param{Name: "weight_hh" + suffix, Shape: []int{n, h}, Init: ofState},
			Param{Name: "bias_ih" + suffix, Shape: []int{n}, Init: biasInit(ofInput)},
			Param{Name: "bias_hh" + suffix, Shape: []int{n}, Init: biasInit(ofState)})
		f.Keep = append(f.Keep, l.steps*n, apart, l.steps*h*l.states, last)
	}
	f.Scratch = l.steps*h + h + h*l.states + h*max(l.states, 1) // outputs before, dh, dstate, zeros
	f.MACs = l.dirs * l.steps * n * (l.in + h)
	return f
}

// track has a vector of H numbers for every record and position.
type track struct {
	x                []float32
	record, position int // distances in x
}

func (t track) at(r, i, n int) []float32 { return t.x[r*t.record+i*t.position:][:n] }

// all is position i of all records from r on.
func (t track) all(r, i int) tensor.Strided {
	return tensor.Strided{X: t.x[r*t.record+i*t.position:], Step: t.record}
}

// direction is the memory of one direction in a pass.
type direction struct {
	a, b, state        []float32 // (B, T, …)
	h                  track
	weightIH, weightHH []float32
	biasIH, biasHH     []float32
	reverse            bool
}

func (l recurrent) direction(p *Pass, k int) direction {
	d := direction{a: p.Keep(4 * k), b: p.Keep(4*k + 1), state: p.Keep(4*k + 2),
		weightIH: p.Param(4 * k), weightHH: p.Param(4*k + 1), biasIH: p.Param(4*k + 2), biasHH: p.Param(4*k + 3),
		reverse: k == 1}
	if l.last {
		d.h = track{x: p.Keep(4*k + 3), record: l.steps * l.hidden, position: l.hidden}
	} else {
		d.h = l.outputs(p.Y(), k)
	}
	return d
}

// outputs are the numbers of direction k in the output or its gradient, of all
// positions.
func (l recurrent) outputs(y []float32, k int) track {
	width := l.dirs * l.hidden
	return track{x: y[k*l.hidden:], record: l.steps * width, position: width}
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
	zeros, eng, n := l.zeros(p), p.Engine(), l.gates*l.hidden
	for k := range l.dirs {
		d := l.direction(p, k)
		eng.Gemm(d.a, p.X(0), d.weightIH, tensor.Gemm{M: p.Rows() * l.steps, N: n, K: l.in, TransB: true, Bias: d.biasIH})
		eng.Pack(p.Packed(), d.weightHH, tensor.Gemm{N: n, K: l.hidden, TransB: true})
		for i := range l.steps {
			now, before := l.at(d, i)
			l.recur(p, d, now, before)
			for from, to := 0, 0; from < p.Rows(); from = to {
				var skips bool
				to, skips = l.run(p, from, now)
				s := l.step(d, from, to, now, before, zeros)
				if !skips {
					l.cell.forward(eng, s)
				}
				for r := 0; r < s.rows && skips; r++ {
					copy(s.row(s.h, r, 1), s.row(s.before, r, 1))
					copy(s.row(s.state, r, l.states), s.row(s.stateBefore, r, l.states))
				}
			}
		}
		if l.last {
			final, _ := l.at(d, l.steps-1)
			for r := range p.Rows() {
				copy(p.Y()[(r*l.dirs+k)*l.hidden:], d.h.at(r, final, l.hidden))
			}
		}
	}
}

// zeros is the output and the state before the first step.
func (l recurrent) zeros(p *Pass) []float32 {
	z := p.Scratch()[p.Rows()*l.hidden*(l.steps+1+l.states):][:l.hidden*max(l.states, 1)]
	clear(z)
	return z
}

// recur adds the products of the state before with the packed weight_hh, and
// bias_hh.
func (l recurrent) recur(p *Pass, d direction, now, before int) {
	n, into := l.gates*l.hidden, d.a
	if l.apart {
		into = d.b
	}
	if before >= 0 {
		p.Engine().GemmPacked(into[now*n:], d.h.x[before*d.h.position:], p.Packed(), tensor.Gemm{M: p.Rows(),
			Accumulate: !l.apart, Bias: d.biasHH, Lda: d.h.record, Ldc: l.steps * n})
		return
	}
	for r := range p.Rows() { // the state is zero
		row := into[(r*l.steps+now)*n:][:n]
		if l.apart {
			copy(row, d.biasHH)
		} else {
			p.Engine().Add(row, row, d.biasHH)
		}
	}
}

// step is the memory of one step of records from up to to.
func (l recurrent) step(d direction, from, to, now, before int, zeros []float32) cellStep {
	h := l.hidden
	at := func(x []float32, position, each int) tensor.Strided {
		return track{x: x, record: l.steps * each, position: each}.all(from, position)
	}
	s := cellStep{rows: to - from, hidden: h, a: at(d.a, now, l.gates*h), h: d.h.all(from, now), before: tensor.Strided{X: zeros},
		state: at(d.state, now, h*l.states), stateBefore: tensor.Strided{X: zeros}}
	if l.apart {
		s.b = at(d.b, now, l.gates*h)
	}
	if before >= 0 {
		s.before, s.stateBefore = d.h.all(from, before), at(d.state, before, h*l.states)
	}
	return s
}

// run is the end of a run of records, from one on, of which a position is filling,
// or of which it is not.
func (l recurrent) run(p *Pass, from, now int) (to int, skips bool) {
	if l.padding < 0 {
		return p.Rows(), false
	}
	filling := func(r int) bool { return int(p.Tokens()[r*l.steps+now]) == l.padding }
	for to, skips = from+1, filling(from); to < p.Rows() && filling(to) == skips; to++ {
	}
	return to, skips
}

func (l recurrent) Backward(p *Pass) {
	for k := range l.dirs {
		l.backwardDirection(p, k)
	}
}

func (l recurrent) backwardDirection(p *Pass, k int) {
	d := l.direction(p, k)
	rows, n, h, eng := p.Rows(), l.gates*l.hidden, l.hidden, p.Engine()
	db := d.a
	if l.apart {
		db = d.b
	}
	l.backwardSteps(p, d, db, l.gradients(p, k))
	befores := p.Scratch()[:rows*l.steps*h]
	l.shift(befores, d, rows)
	lanes := p.LaneRows(l.steps)
	eng.ColSumLanes(p.Grad(4*k+3), db, n, lanes)
	eng.ColSumLanes(p.Grad(4*k+2), d.a, n, lanes)
	eng.GemmLanes(p.Grad(4*k+1), db, befores, n, h, lanes)
	eng.GemmLanes(p.Grad(4*k), d.a, p.X(0), n, l.in, lanes)
	if dx := p.DX(0); dx != nil {
		eng.Gemm(dx, d.a, d.weightIH, tensor.Gemm{M: rows * l.steps, N: l.in, K: n, Accumulate: k > 0})
	}
}

// gradients is where the gradients by the outputs of direction k are added up:
// in the gradient by the layer's output itself, or, of the last one, all in the
// same place.
func (l recurrent) gradients(p *Pass, k int) track {
	if !l.last {
		return l.outputs(p.DY(), k)
	}
	rows, h := p.Rows(), l.hidden
	dh := track{x: p.Scratch()[rows*l.steps*h:][:rows*h], record: h}
	for r := range rows {
		copy(dh.at(r, 0, h), p.DY()[(r*l.dirs+k)*h:])
	}
	return dh
}

// backwardSteps goes back through the steps; db is what the products with
// weight_hh went into.
func (l recurrent) backwardSteps(p *Pass, d direction, db []float32, dh track) {
	rows, n, h, eng := p.Rows(), l.gates*l.hidden, l.hidden, p.Engine()
	zeros := l.zeros(p)
	dstate := p.Scratch()[rows*(l.steps+1)*h:][:rows*h*l.states]
	clear(dstate)
	eng.Pack(p.Packed(), d.weightHH, tensor.Gemm{N: h, K: n})
	for i := l.steps - 1; i >= 0; i-- {
		now, before := l.at(d, i)
		stops := l.truncate > 0 && i%l.truncate == 0
		for from, to := 0, 0; from < rows; from = to {
			var skips bool
			to, skips = l.run(p, from, now)
			s := l.step(d, from, to, now, before, zeros)
			s.dh, s.dstate = dh.all(from, now), tensor.Strided{X: dstate[from*h*l.states:], Step: h * l.states}
			if !skips {
				l.cell.backward(eng, s)
			}
			for r := 0; r < s.rows && skips; r++ { // the gradient goes on as it is
				clear(s.row(s.a, r, l.gates))
				if l.apart {
					clear(s.row(s.b, r, l.gates))
				}
			}
			if before >= 0 && !stops && dh.position > 0 && (skips || l.direct) {
				eng.AddStrided(dh.all(from, before), s.dh, s.rows, h)
			}
		}
		if stops {
			l.stop(dh, dstate, rows)
		} else if before >= 0 {
			eng.GemmPacked(dh.x[before*dh.position:], db[now*n:], p.Packed(), tensor.Gemm{M: rows, Accumulate: true, Lda: l.steps * n, Ldc: dh.record})
		}
	}
}

// stop forgets the gradients by the state before a step. Those by the outputs
// before stay, unless there are none.
func (l recurrent) stop(dh track, dstate []float32, rows int) {
	clear(dstate)
	for r := 0; r < rows && dh.position == 0; r++ {
		clear(dh.at(r, 0, l.hidden))
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
				copy(to, d.h.at(r, before, h))
			}
		}
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
