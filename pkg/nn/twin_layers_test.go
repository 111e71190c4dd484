package nn

import (
	"math"
	"slices"

	"github.com/lockstep-ml/lockstep/pkg/tensor"
)

// forward computes one layer. A layer that is fused or another name of its input
// has no Layer in the plan; its kind says what it is.
func (l *layer64) forward() {
	fit := l.n.Layer
	if fit == nil {
		fit = l.refit()
	}
	switch f := fit.(type) {
	case nil: // another shape
		copy(l.y, l.x[0])
	case activation:
		for i, v := range l.x[0] {
			l.y[i] = act64(f, v)
		}
	case clip:
		for i, v := range l.x[0] {
			l.y[i] = min(max(v, float64(f.low)), float64(f.high))
		}
	case softmax:
		cols := f.cols
		for r := 0; r < len(l.y); r += cols {
			lse := logSumExp(l.x[0][r:][:cols])
			for i := range cols {
				l.y[r+i] = math.Exp(l.x[0][r+i] - lse)
			}
		}
	case dense:
		l.dense(l.y, l.x[0], l.p[0], f.in, f.out)
		if f.bias {
			addRows(l.y, l.p[1])
		}
	case conv:
		l.conv(f.c, l.x[0], l.y, false)
	case convTranspose:
		l.conv(f.c, l.x[0], l.y, true)
	case pool:
		l.pool(f)
	case dropout, gaussianNoise, sample:
		l.random(f)
	case batchNorm, layerNorm, groupNorm:
		l.normalise(f)
	case attention:
		l.attention(f)
	case recurrent:
		for k := range f.dirs {
			l.recurrent(f, k)
		}
	default:
		l.move(f)
	}
}

// refit is the layer of a node as it was before it was fused; nil if it only gives
// another shape.
func (l *layer64) refit() Layer {
	if slices.Contains([]string{"flatten", "reshape"}, l.n.kind) {
		return nil
	}
	p := l.tr.plan
	var in []Value
	for _, v := range l.n.in {
		in = append(in, p.values[v].Value)
	}
	_, f, err := FitLayer(Node{Kind: l.n.kind, Fields: l.n.args}, p.recipe.Input, in...)
	if err != nil {
		panic(err)
	}
	return f.Layer
}

// dense is y = x wᵀ.
func (l *layer64) dense(y, x, w []float64, in, out int) {
	for r := range len(x) / in {
		for o := range out {
			for i := range in {
				y[r*out+o] += x[r*in+i] * w[o*in+i]
			}
		}
	}
}

func addRows(y, row []float64) {
	for i := range y {
		y[i] += row[i%len(row)]
	}
}

// conv is the convolution c, or, backwards, what it would be the gradient of.
func (l *layer64) conv(c tensor.Conv, x, y []float64, backwards bool) {
	oh, ow, channels, plane := c.OutH(), c.OutW(), c.OutC, c.OutH()*c.OutW()
	if backwards {
		channels, plane = c.InC, c.H*c.W
	}
	perIn, perOut := c.InC/c.Groups, c.OutC/c.Groups
	for i := range l.b.Len() * c.OutC * oh * ow * perIn * c.KH * c.KW {
		kw, kh, ic := i%c.KW, i/c.KW%c.KH, i/c.KW/c.KH%perIn
		at := i / c.KW / c.KH / perIn
		ox, oy, oc, n := at%ow, at/ow%oh, at/ow/oh%c.OutC, at/ow/oh/c.OutC
		ix, iy := ox*c.StrideW-c.PadW+kw*c.DilW, oy*c.StrideH-c.PadH+kh*c.DilH
		if ix < 0 || iy < 0 || ix >= c.W || iy >= c.H {
			continue
		}
		in := ((n*c.InC+oc/perOut*perIn+ic)*c.H+iy)*c.W + ix
		w := l.p[0][((oc*perIn+ic)*c.KH+kh)*c.KW+kw]
		if backwards {
			y[in] += x[at] * w
		} else {
			y[at] += x[in] * w
		}
	}
	if len(l.p) > 1 {
		for i := range y {
			y[i] += l.p[1][i/plane%channels]
		}
	}
}

func (l *layer64) pool(f pool) {
	c := f.c
	oh, ow := c.OutH(), c.OutW()
	for at := range l.y {
		ox, oy, plane := at%ow, at/ow%oh, at/ow/oh
		top, sum := math.Inf(-1), 0.0
		for k := range c.KH * c.KW {
			ix, iy := ox*max(c.StrideW, 1)-c.PadW+k%c.KW, oy*max(c.StrideH, 1)-c.PadH+k/c.KW
			if ix >= 0 && iy >= 0 && ix < c.W && iy < c.H {
				v := l.x[0][(plane*c.H+iy)*c.W+ix]
				top, sum = max(top, v), sum+v
			}
		}
		l.y[at] = sum / float64(c.KH*c.KW)
		if f.max {
			l.y[at] = top
		}
	}
}

func (l *layer64) random(f Layer) {
	x, eng := l.x[0], l.tr.eng
	switch f := f.(type) {
	case dropout:
		mask := l.draws(f.size/f.each, func(p *Pass, i int, to []float32) { eng.DropoutMask(to, f.keep, p.Stream(i), 0) })
		for i, v := range x {
			l.y[i] = v * mask[i/f.each]
		}
	case gaussianNoise:
		noise := l.draws(f.size, func(p *Pass, i int, to []float32) { eng.Normal(to, 0, f.deviation, p.Stream(i), 0) })
		for i, v := range x {
			l.y[i] = v + noise[i]
		}
	case sample:
		code := l.draws(f.n, func(p *Pass, i int, to []float32) { eng.Normal(to, 0, 1, p.Stream(i), 0) })
		for i, e := range code {
			r, j := i/f.n, i%f.n
			m, s := x[r*2*f.n+j], softplus64(x[(r*2+1)*f.n+j])
			l.y[i] = m + s*e
			l.extra += l.weight(r) * float64(f.beta) * (0.5*(m*m+s*s-1) - math.Log(s))
		}
	}
}

// normalise: the elements that share a mean, then the scale and shift of each.
func (l *layer64) normalise(f Layer) {
	switch f := f.(type) {
	case layerNorm:
		for r := 0; r < len(l.y); r += f.cols {
			standardise(l.y, l.x[0], span64(r, f.cols), float64(f.epsilon))
		}
		l.affine(f.cols, 1)
	case groupNorm:
		each := f.channels / f.groups * f.plane
		for r := 0; r < len(l.y); r += each {
			standardise(l.y, l.x[0], span64(r, each), float64(f.epsilon))
		}
		l.affine(f.channels, f.plane)
	case batchNorm:
		for lane := range l.b.Lanes {
			for c := range f.channels {
				var at []int
				for r := l.b.Rows[lane]; r < l.b.Rows[lane+1]; r++ {
					at = append(at, span64((r*f.channels+c)*f.plane, f.plane)...)
				}
				switch {
				case l.n.factor > 0:
					standardise(l.y, l.x[0], at, float64(f.epsilon))
				default:
					mean, variance := l.tr.buffer(l.n.buffers[0])[c], l.tr.buffer(l.n.buffers[1])[c]
					for _, i := range at {
						l.y[i] = (l.x[0][i] - float64(mean)) / math.Sqrt(float64(variance)+float64(f.epsilon))
					}
				}
			}
		}
		l.affine(f.channels, f.plane)
	}
}

func span64(from, n int) []int {
	at := make([]int, n)
	for i := range at {
		at[i] = from + i
	}
	return at
}

// standardise gives the elements at some places mean 0 and variance 1.
func standardise(y, x []float64, at []int, epsilon float64) {
	mean, variance := 0.0, 0.0
	for _, i := range at {
		mean += x[i] / float64(len(at))
	}
	for _, i := range at {
		variance += (x[i] - mean) * (x[i] - mean) / float64(len(at))
	}
	for _, i := range at {
		y[i] = (x[i] - mean) / math.Sqrt(variance+epsilon)
	}
}

func (l *layer64) affine(channels, plane int) {
	for i := range l.y {
		c := i / plane % channels
		l.y[i] = l.y[i]*l.p[0][c] + l.p[1][c]
	}
}

func (l *layer64) attention(f attention) {
	t, d, w := f.steps, f.dim, f.width()
	qkv := make([]float64, 3*len(l.y))
	l.dense(qkv, l.x[0], l.p[0], d, 3*d)
	addRows(qkv, l.p[1])
	heads := make([]float64, len(l.y))
	for at := range l.b.Len() * f.heads * t {
		i, h, r := at%t, at/t%f.heads, at/t/f.heads
		of := func(step, part int) []float64 { return qkv[(r*t+step)*3*d+part*d+h*w:][:w] }
		scores := make([]float64, t)
		for j := range scores {
			if f.causal && j > i || f.padding >= 0 && j != i && int(l.b.Tokens[r*t+j]) == f.padding {
				scores[j] = math.Inf(-1)
				continue
			}
			scores[j] = dot64(of(i, 0), of(j, 1)) / math.Sqrt(float64(w))
		}
		lse := logSumExp(scores)
		for j, s := range scores {
			for k, v := range of(j, 2) {
				heads[(r*t+i)*d+h*w+k] += math.Exp(s-lse) * v
			}
		}
	}
	l.dense(l.y, heads, l.p[2], d, d)
	addRows(l.y, l.p[3])
}

// recurrent runs direction k of every record.
func (l *layer64) recurrent(f recurrent, k int) {
	h, n := f.hidden, f.gates*f.hidden
	wi, wh, bi, bh := l.p[4*k], l.p[4*k+1], l.p[4*k+2], l.p[4*k+3]
	for r := range l.b.Len() {
		state, memory := make([]float64, h), make([]float64, h)
		for i := range f.steps {
			now := i
			if k == 1 {
				now = f.steps - 1 - i
			}
			if f.padding < 0 || int(l.b.Tokens[r*f.steps+now]) != f.padding {
				a, b := slices.Clone(bi), slices.Clone(bh)
				l.dense(a, l.x[0][(r*f.steps+now)*f.in:][:f.in], wi, f.in, n)
				l.dense(b, state, wh, h, n)
				state = cell64(f.cell, a, b, state, memory)
			}
			if !f.last {
				copy(l.y[((r*f.steps+now)*f.dirs+k)*h:], state)
			}
		}
		if f.last {
			copy(l.y[(r*f.dirs+k)*h:], state)
		}
	}
}

// cell64 is one step: the state from the products with the input, a, and with the
// state before, b. The memory of lstm is changed.
func cell64(c cell, a, b, before, memory []float64) []float64 {
	h := len(before)
	state := make([]float64, h)
	gate := func(k, i int) float64 { return a[k*h+i] + b[k*h+i] }
	for i := range state {
		switch c.(type) {
		case rnnCell:
			state[i] = math.Tanh(gate(0, i))
		case lstmCell:
			memory[i] = sigmoid64(gate(1, i))*memory[i] + sigmoid64(gate(0, i))*math.Tanh(gate(2, i))
			state[i] = sigmoid64(gate(3, i)) * math.Tanh(memory[i])
		case gruCell:
			z := sigmoid64(gate(1, i))
			state[i] = (1-z)*math.Tanh(a[2*h+i]+sigmoid64(gate(0, i))*b[2*h+i]) + z*before[i]
		}
	}
	return state
}

// move is the layers that only move, add or multiply numbers.
func (l *layer64) move(f Layer) {
	switch f := f.(type) {
	case embedding:
		for i := range l.b.Len() * f.each {
			token := l.b.Tokens[i]
			if f.column >= 0 {
				token = l.b.Tokens[i*f.columns+f.column]
			}
			copy(l.y[i*f.dim:][:f.dim], l.p[0][int(token)*f.dim:])
		}
	case positions:
		table := doubles(f.fixed)
		if f.fixed == nil {
			table = l.p[0]
		}
		copy(l.y, l.x[0])
		addRows(l.y, table)
	case add:
		for _, x := range l.x {
			addRows(l.y, x)
		}
	case multiply:
		for i := range l.y {
			l.y[i] = l.x[0][i] * l.x[1][i]
		}
	case dot:
		for i := range l.y {
			l.y[i] = dot64(l.x[0][i*f.cols:][:f.cols], l.x[1][i*f.cols:][:f.cols])
		}
	case concat:
		for r, at := 0, 0; at < len(l.y); r++ {
			for i, n := range f.sizes {
				at += copy(l.y[at:], l.x[i][r*n:][:n])
			}
		}
	case pad:
		for i, v := range l.x[0] {
			l.y[i/f.inner*(f.before+f.inner+f.after)+f.before+i%f.inner] = v
		}
	case transpose:
		for i, v := range l.x[0] {
			r, row, col := i/f.cols/f.rows, i/f.cols%f.rows, i%f.cols
			l.y[(r*f.cols+col)*f.rows+row] = v
		}
	case upsample:
		for i := range l.y {
			x, y, plane := i%(f.width*f.side), i/(f.width*f.side)%(f.height*f.side), i/(f.width*f.side*f.height*f.side)
			l.y[i] = l.x[0][(plane*f.height+y/f.side)*f.width+x/f.side]
		}
	default:
		panic("no twin of " + l.n.kind)
	}
}
