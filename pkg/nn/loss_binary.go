package nn

import "github.com/lockstep-ml/lockstep/pkg/tensor"

// binary is the cross-entropy of sigmoid(x) against targets between 0 and 1:
//
//	softplus(x) - y*x, and (softplus(x) - x) weighted for y
type binary struct {
	rows     int     // a record
	size     int     // elements of a row
	positive float32 // weight of the part of y
	class    bool    // the target is one of two classes
}

func binaryKind() lossKind {
	return lossKind{
		Entry: Entry{Name: "binary_cross_entropy", Class: classLoss,
			Summary: "how surprised sigmoid of the output is by yes or no; the target is one of two classes, or numbers from 0 to 1",
			Fields:  []Field{number("positive_weight", 1, "how much a yes counts; more than 1 for rare ones").above(0)}},
		contains: func(l Layer) bool { a, ok := l.(activation); return ok && a.act == tensor.ActSigmoid },
		mixes:    true,
		fit:      fitBinary,
	}
}

func fitBinary(s *LossSite) Loss {
	l := binary{rows: 1, positive: float32(s.Float("positive_weight"))}
	if s.Target.Kind != TargetClass {
		n, ok := s.numbers("binary_cross_entropy")
		l.size = n
		if !ok {
			return nil
		}
		return l
	}
	if s.Target.Classes != 2 {
		s.Fail("binary_cross_entropy tells two classes apart, but the data set has %d; use cross_entropy", s.Target.Classes)
		return nil
	}
	l.class, l.rows, l.size = true, s.Target.Size(), 1
	if size(s.Out) != l.rows {
		s.FailModel("the network gives %s for a record, but binary_cross_entropy needs one number for each target", shapeString(s.Out))
		return nil
	}
	return l
}

func (l binary) Rows() int  { return l.rows }
func (l binary) Count() int { return l.size }

func (l binary) Compute(p *LossPass) {
	soft := p.Scratch
	p.Engine().ActForward(soft, p.X, tensor.ActSoftplus)
	if p.DX != nil {
		p.Engine().ActForward(p.DX, p.X, tensor.ActSigmoid)
	}
	for r := range p.Loss {
		var sum float32
		for i := r * l.size; i < (r+1)*l.size; i++ {
			y := l.target(p, i)
			// y counts positive times: w = 1 + (positive-1)*y.
			w := 1 + float32((l.positive-1)*y)
			sum += float32(w*soft[i]) - float32(float32(l.positive*y)*p.X[i])
			if p.DX != nil {
				p.DX[i] = float32(w*p.DX[i]) - float32(l.positive*y)
			}
		}
		p.Loss[r] = sum
	}
}

func (l binary) target(p *LossPass, i int) float32 {
	if l.class && p.Shares != nil {
		share := p.Shares[i/l.rows]
		return float32(share*float32(p.Classes[i])) + float32((1-share)*float32(p.Others[i]))
	}
	if l.class {
		return float32(p.Classes[i])
	}
	return p.Y[i]
}
