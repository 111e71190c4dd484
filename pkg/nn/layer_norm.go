package nn

import "math"

// rowNorm gives every row mean 0 and variance 1, then scales and shifts it. A
// row is the last axis (layer_norm), or a group of the channels of a record
// (group_norm). With rows of cols elements that have a weight each count:
//
//	x, y, dx, dy  (rows, cols)      weight, bias  (params)
type rowNorm struct {
	each, cols int // rows a record, elements a row
	params     int // elements of weight and of bias
	plane      int // elements of a row that share a weight
	epsilon    float32
}

func layerNormKind() LayerKind {
	return LayerKind{
		Entry: Entry{Name: "layer_norm", Class: classLayer,
			Summary: "gives the last axis mean 0 and variance 1, then a trained scale and shift",
			Fields:  []Field{number("epsilon", 1e-5, "added to the variance").above(0)}},
		Fit: func(s *Site) Fitted {
			in, ok := s.one("layer_norm")
			if !ok {
				return Fitted{}
			}
			if len(in) == 0 {
				s.Fail("", "layer_norm needs an axis, but its input is one number")
				return Fitted{}
			}
			cols := in[len(in)-1]
			return rowNorm{each: size(in) / cols, cols: cols, params: cols, plane: 1, epsilon: float32(s.Float("epsilon"))}.fit(in)
		},
	}
}

func groupNormKind() LayerKind {
	return LayerKind{
		Entry: Entry{Name: "group_norm", Class: classLayer,
			Summary: "gives groups of the channels of every record mean 0 and variance 1, then every channel a trained scale and shift",
			Fields: []Field{
				integer("groups", 8, "number of groups; 1 takes all channels together").min(1).short(),
				number("epsilon", 1e-5, "added to the variance").above(0),
			}},
		Fit: func(s *Site) Fitted {
			in, ok := s.one("group_norm")
			if !ok {
				return Fitted{}
			}
			groups := s.Int("groups")
			if len(in) == 0 || in[0]%groups != 0 {
				s.Fail("groups", "is %d; it must divide the channels of %s", groups, shapeString(in))
				return Fitted{}
			}
			return rowNorm{each: groups, cols: size(in) / groups, params: in[0], plane: size(in[1:]), epsilon: float32(s.Float("epsilon"))}.fit(in)
		},
	}
}

func (l rowNorm) fit(in []int) Fitted {
	shape := []int{l.params}
	return Fitted{Layer: l, Out: in,
		Params: []Param{{Name: "weight", Shape: shape, Init: Init{Kind: "ones"}}, {Name: "bias", Shape: shape, Init: Init{Kind: "zeros"}}},
		Keep:   []int{size(in), l.each}, // xhat, 1/deviation
		// One row of dy*weight, and the sums over the planes of both gradients.
		Scratch: size(in) + 2*l.params,
	}
}

// first is the weight with which a row begins.
func (l rowNorm) first(row int) int { return row * (l.cols / l.plane) % l.params }

func (l rowNorm) Forward(p *Pass) {
	x, y, hat, roots := p.X(0), p.Y(), p.Keep(0), p.Keep(1)
	weight, bias := p.Param(0), p.Param(1)
	each := 1 / float32(l.cols)
	p.Engine().RowSums(roots, x, len(roots), l.cols)
	for r, sum := range roots {
		x, y, hat := x[r*l.cols:][:l.cols], y[r*l.cols:][:l.cols], hat[r*l.cols:][:l.cols]
		mean := float32(sum * each) // the conversion keeps v - mean from being fused
		for i, v := range x {
			hat[i] = v - mean
		}
		variance := float32(p.Engine().Dot(hat, hat) * each)
		root := 1 / float32(math.Sqrt(float64(variance+l.epsilon)))
		roots[r] = root
		at := l.first(r)
		if l.plane == 1 {
			w, b := weight[at:][:l.cols], bias[at:][:l.cols]
			for i, v := range hat {
				h := float32(v * root)
				hat[i] = h
				y[i] = float32(h*w[i]) + b[i]
			}
			continue
		}
		for i, v := range hat {
			h := float32(v * root)
			hat[i] = h
			y[i] = float32(h*weight[at+i/l.plane]) + bias[at+i/l.plane]
		}
	}
}

// Backward is, for every row, with g = dy*weight,
//
//	dx = (g - mean(g) - xhat*mean(g*xhat)) / deviation
func (l rowNorm) Backward(p *Pass) {
	l.backwardParams(p)
	dx := p.DX(0)
	if dx == nil {
		return
	}
	dy, hat, roots, weight := p.DY(), p.Keep(0), p.Keep(1), p.Param(0)
	l.scaleRows(dx, dy, weight)
	sums, each := p.Scratch()[:len(roots)], 1/float32(l.cols)
	p.Engine().RowSums(sums, dx, len(roots), l.cols)
	for r, root := range roots {
		dx, hat := dx[r*l.cols:][:l.cols], hat[r*l.cols:][:l.cols]
		mean := float32(sums[r] * each)
		slope := float32(p.Engine().Dot(dx, hat) * each)
		for i, h := range hat {
			dx[i] = float32(dx[i]-mean-float32(h*slope)) * root
		}
	}
}

// scaleRows sets dx to dy*weight.
func (l rowNorm) scaleRows(dx, dy, weight []float32) {
	for r := 0; r*l.cols < len(dy); r++ {
		dx, dy, at := dx[r*l.cols:][:l.cols], dy[r*l.cols:][:l.cols], l.first(r)
		if l.plane == 1 {
			w := weight[at:][:l.cols]
			for i, v := range dy {
				dx[i] = v * w[i]
			}
			continue
		}
		for i, v := range dy {
			dx[i] = v * weight[at+i/l.plane]
		}
	}
}

// backwardParams adds dy*xhat and dy, summed over all that share a weight.
func (l rowNorm) backwardParams(p *Pass) {
	dy, hat := p.DY(), p.Keep(0)
	if l.plane == 1 && l.cols == l.params {
		product := p.Scratch()[:len(dy)]
		p.Engine().Mul(product, dy, hat)
		p.Engine().ColSumLanes(p.Grad(0), product, l.cols, p.LaneRows(l.each))
		p.Engine().ColSumLanes(p.Grad(1), dy, l.cols, p.LaneRows(l.each))
		return
	}
	// One row of sums over the planes for every record, then the columns.
	dw, db := p.Scratch()[:p.Rows()*l.params], p.Scratch()[p.Rows()*l.params:][:p.Rows()*l.params]
	for i := range dw {
		at := i * l.plane
		dw[i] = p.Engine().Dot(dy[at:][:l.plane], hat[at:][:l.plane])
	}
	p.Engine().RowSums(db, dy, len(db), l.plane)
	p.Engine().ColSumLanes(p.Grad(0), dw, l.params, p.LaneRows(1))
	p.Engine().ColSumLanes(p.Grad(1), db, l.params, p.LaneRows(1))
}
