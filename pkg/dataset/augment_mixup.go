package dataset

import (
	"math"

	"github.com/lockstep-ml/lockstep/pkg/nn"
)

const mixupName = "mixup"

// mixup mixes every record with the next one of its micro-batch, the last with the
// first: the record gets a share, the larger one, of the mix, and so do its
// targets. Records are dealt in random order, so the next is any other.
type mixup struct{ alpha float64 }

func mixupKind() augmentKind {
	return augmentKind{
		Entry: nn.Entry{Name: mixupName, Summary: "mixes each record and its target with those of another of the same micro-batch",
			Fields: []nn.Field{
				{Name: "alpha", Type: "number", Default: 0.2, Short: true, Above: bound(0), Max: bound(2),
					Summary: "the share of the other is drawn from the beta distribution (alpha, alpha), and is the smaller one: near 0 for a small alpha, anything to 1/2 for 1"},
			}},
		fit: func(s *augmentSite) augmenter {
			s.floats(mixupName)
			return mixup{s.Float("alpha")}
		},
	}
}

func (a mixup) apply(m *microBatch) {
	for row := range m.rows {
		m.shares[row] = float32(a.share(m.draws, row))
	}
	m.mixNext(m.x)
	m.mixNext(m.y)
	m.mixNext(m.weights)
	each := len(m.classes) / m.rows
	copy(m.others, m.classes[each:])
	copy(m.others[len(m.classes)-each:], m.classes[:each])
}

// mixNext mixes every row of x, of which there may be none, with the next one.
func (m *microBatch) mixNext(x []float32) {
	each := len(x) / m.rows
	first := m.spare[:each]
	copy(first, x)
	for row, share := range m.shares {
		next := first
		if row+1 < m.rows {
			next = x[(row+1)*each : (row+2)*each]
		}
		for i, v := range next {
			at := &x[row*each+i]
			*at = float32(share**at) + float32((1-share)*v)
		}
	}
}

// share draws from the beta distribution by Jöhnk's method: with U and V uniform,
// U^(1/a) / (U^(1/a) + V^(1/a)) has it, given that the sum is at most 1. The
// larger of the result and what is left is returned.
func (a mixup) share(d draws, row int) float64 {
	for i := 0; ; i++ {
		w := d.block(row, i)
		u, v := log(unit(w[0])+0x1p-33)/a.alpha, log(unit(w[1])+0x1p-33)/a.alpha
		if exp(u)+exp(v) <= 1 {
			return 1 / (1 + exp(-math.Abs(u-v)))
		}
	}
}
