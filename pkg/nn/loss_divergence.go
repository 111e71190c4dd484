package nn

// divergence is the Kullback-Leibler divergence of softmax(x) from a target
// distribution y: sum(y*(log(y) - log(softmax(x)))).
type divergence struct{ size int }

func divergenceKind() lossKind {
	return lossKind{
		Entry: Entry{Name: "kl_divergence", Class: classLoss,
			Summary: "how far softmax of the output is from a target distribution; the target is numbers that sum to 1"},
		contains: isSoftmax,
		fit: func(s *LossSite) Loss {
			n, ok := s.numbers("kl_divergence")
			if !ok {
				return nil
			}
			return divergence{size: n}
		},
	}
}

func (l divergence) Rows() int  { return 1 }
func (l divergence) Count() int { return 1 }

func (l divergence) Compute(p *LossPass) {
	y, rows := p.Y, len(p.Loss)
	eng := p.Engine()
	eng.RowLogSumExp(p.Loss, p.X, rows, l.size)
	if p.DX != nil {
		eng.RowSoftmax(p.DX, p.X, rows, l.size)
	}
	logs := p.Scratch
	eng.Log(logs, y[:len(logs)])
	for r, lse := range p.Loss {
		x, y := p.X[r*l.size:][:l.size], y[r*l.size:][:l.size]
		mass := float32(eng.Sum(y))
		sum := float32(0)
		for i, v := range y {
			if v > 0 {
				sum += float32(v * (logs[r*l.size+i] + (lse - x[i])))
			}
			if p.DX != nil {
				p.DX[r*l.size+i] = float32(p.DX[r*l.size+i]*mass) - v
			}
		}
		p.Loss[r] = sum
	}
}
