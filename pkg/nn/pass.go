package nn

import (
	"github.com/lockstep-ml/lockstep/internal/philox"
	"github.com/lockstep-ml/lockstep/pkg/tensor"
)

// Pass is what a layer sees of a batch while it computes: its inputs, outputs,
// parameters and gradients, all of Rows() records, and the lanes in them. Its
// slices belong to the trainer and hold until the next step.
type Pass struct {
	t     *Trainer
	net   *Network
	n     *node
	unit  *unit
	batch *Batch
	train bool
	rows  int
	w     []float32 // the parameters in use
	draws bool      // a code is drawn
	nth   int       // how often the network was applied in this step before
	fixed bool      // backward leaves the parameters alone
}

// Engine computes.
func (p *Pass) Engine() *tensor.Engine { return p.t.eng }

// Rows is the number of records of the batch.
func (p *Pass) Rows() int { return p.rows }

// Training is false when a network is only applied, or the layer is frozen:
// dropout lets all through, batch_norm uses its running statistics.
func (p *Pass) Training() bool { return p.train && p.n.factor > 0 }

// Drawing is false when a model is applied to records: what else is drawn also
// when it is evaluated, as the code of a variational autoencoder, is not.
func (p *Pass) Drawing() bool { return p.draws }

// Weight is the weight of a record in the loss.
func (p *Pass) Weight(row int) float32 {
	if p.batch.Weights == nil {
		return 1
	}
	return p.batch.Weights[row]
}

// AddLoss adds to the loss of a record. Only layers with Fitted.Loss may do so;
// they add the weighted gradient of it in Backward.
func (p *Pass) AddLoss(row int, loss float32) { p.net.layerLoss[row] += loss }

// Inputs is the number of inputs of the layer.
func (p *Pass) Inputs() int { return len(p.n.in) }

// X is input i: rows x the size of its shape.
func (p *Pass) X(i int) []float32 { return p.t.activation(p.n.in[i], p.rows) }

// Tokens is input 0 if it is tokens.
func (p *Pass) Tokens() []int32 { return p.batch.Tokens }

// Y is the output.
func (p *Pass) Y() []float32 { return p.t.activation(p.n.out, p.rows) }

// DY is the gradient by the output. The layer may change it.
func (p *Pass) DY() []float32 { return p.t.gradient(p.n.out, p.rows) }

// DX is where the gradient by input i goes, nil if nobody needs it.
func (p *Pass) DX(i int) []float32 {
	switch d := p.unit.dx[i]; {
	case d.buf == nil:
		return nil
	default:
		return d.buf[:p.rows*p.t.plan.values[p.n.in[i]].size]
	}
}

// adds is whether DX(i) has a gradient already, to which the layer adds its own.
// Only layers that are adders are asked to.
func (p *Pass) adds(i int) bool { return p.unit.dx[i].add }

// addDY makes DY the gradient by input i, or adds it, unless that is the same
// memory.
func (p *Pass) addDY(i int) {
	switch dx := p.DX(i); {
	case dx == nil:
	case p.adds(i):
		p.Engine().Add(dx, dx, p.DY())
	default:
		copy(dx, p.DY())
	}
}

// Param is parameter j.
func (p *Pass) Param(j int) []float32 {
	prm := &p.t.plan.params[p.n.params[j]]
	return p.w[prm.offset:][:prm.Size()]
}

// Grad is where the gradient of parameter j is added up, lane by lane.
func (p *Pass) Grad(j int) *tensor.Grad {
	if p.fixed {
		return &p.t.noGrad
	}
	return &p.t.grads[p.n.params[j]]
}

// Keep is buffer i of Fitted.Keep.
func (p *Pass) Keep(i int) []float32 { return p.unit.keep[i][:p.rows*p.n.Keep[i]] }

// KeepInts is buffer i of Fitted.KeepInts.
func (p *Pass) KeepInts(i int) []int32 { return p.unit.keepInts[i][:p.rows*p.n.KeepInts[i]] }

// KeepLane is buffer i of Fitted.KeepLanes for local lane l.
func (p *Pass) KeepLane(i, l int) []float32 {
	n := p.n.KeepLanes[i]
	return p.unit.keepLanes[i][l*n:][:n]
}

// Buffer is buffer i of Fitted.Buffers. It must not be changed here.
func (p *Pass) Buffer(i int) []float32 { return p.t.buffer(p.n.buffers[i]) }

// Words are the layer's words in the stats of local lane l, zero at first.
func (p *Pass) Words(l int) []int32 {
	return p.t.layerWords(p.t.stats, p.n, p.batch.Lanes[l], p.nth)
}

// Scratch is the buffer of Fitted.Scratch. Other layers use it too.
func (p *Pass) Scratch() []float32 { return p.t.scratch[:p.rows*p.n.Scratch] }

// Packed is where a layer may keep a packed operand during one call.
func (p *Pass) Packed() *tensor.Packed { return &p.t.packed }

// LaneCount is the number of lanes in the batch.
func (p *Pass) LaneCount() int { return len(p.batch.Lanes) }

// Lane is the records of lane i: from up to to.
func (p *Pass) Lane(i int) (from, to int) { return p.batch.Rows[i], p.batch.Rows[i+1] }

// LaneRows is Batch.Rows for layers that have each rows a record. It holds
// until the next call.
func (p *Pass) LaneRows(each int) []int {
	if each == 1 {
		return p.batch.Rows
	}
	rows := p.t.laneRows[:len(p.batch.Rows)]
	for i, r := range p.batch.Rows {
		rows[i] = r * each
	}
	return rows
}

// Stream is the random numbers of this layer for lane i of this step. When a
// network is applied more than once, they are others each time.
func (p *Pass) Stream(i int) philox.Stream {
	purpose := philox.Dropout + philox.Purpose(p.n.number) + philox.Purpose(p.nth)<<24
	return philox.New(p.t.plan.spec.Seed, purpose, p.batch.Epoch, p.batch.Step, p.batch.Lanes[i])
}
