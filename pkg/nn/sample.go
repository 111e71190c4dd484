package nn

import (
	"fmt"

	"github.com/lockstep-ml/lockstep/internal/philox"
)

// sampleUse keeps what Sample draws apart from what recipes draw.
const sampleUse = 1 << 15

// Latent is how many normal numbers Trainer.Sample makes a record of: the size of
// a GAN's input, or of the code of a variational autoencoder. It is 0 if the model
// has no place for them.
func (p *Plan) Latent() int {
	if v := p.latent(); v >= 0 {
		return p.values[v].size
	}
	return 0
}

// Drawn reports whether the model reads normal numbers, not records.
func (p *Plan) Drawn() bool { return p.recipe.Drawn }

// OwnTarget reports whether the model's output is to be the record that it reads.
func (p *Plan) OwnTarget() bool { return p.recipe.OwnTarget }

// latent is the value that has nearly the distribution of normal numbers, on
// which alone the output depends; -1 if there is none.
func (p *Plan) latent() int {
	net := &p.nets[0]
	if p.recipe.Drawn {
		return net.input
	}
	for i := net.to - 1; i >= net.from; i-- {
		n := &p.nodes[i]
		if n.Drawn {
			return n.out
		}
		for _, v := range n.in {
			if !p.drawnBefore(i, v) {
				return -1
			}
		}
	}
	return -1
}

// drawnBefore reports whether value v is, or follows, the last drawn value that a
// node before i gives.
func (p *Plan) drawnBefore(i, v int) bool {
	for i--; i >= p.nets[0].from; i-- {
		if p.nodes[i].Drawn {
			return v >= p.nodes[i].out
		}
	}
	return false
}

// Sample makes rows new records of normal numbers, the model's (rows,
// Plan.Output). Record i of them is a function of seed and first+i. The result is
// the trainer's and holds until the next call.
func (t *Trainer) Sample(seed uint64, first, rows int) ([]float32, error) {
	size := t.plan.Latent()
	z := make([]float32, max(rows, 0)*size)
	for i := range rows {
		t.eng.Normal(z[i*size:][:size], 0, 1, philox.New(seed, philox.Noise+sampleUse, 0, 0, first+i), 0)
	}
	return t.Decode(z, rows)
}

// Decode makes rows records of z, Plan.Latent numbers for each, as Sample does of
// normal numbers. The result is the trainer's and holds until the next call.
func (t *Trainer) Decode(z []float32, rows int) ([]float32, error) {
	v := t.plan.latent()
	if v < 0 {
		return nil, fmt.Errorf("nn: the model has no place to draw samples at: it is no GAN, and has no gaussian_sample layer on which all that follows depends")
	}
	if rows < 0 || rows > t.maxRows || len(z) != rows*t.plan.Latent() {
		return nil, fmt.Errorf("nn: cannot make %d records of %d numbers at once; at most %d, each of %d", rows, len(z), t.maxRows, t.plan.Latent())
	}
	net, model := &t.plan.nets[0], &t.step.nets[0]
	model.pass = Pass{t: t, net: model, batch: &Batch{}, rows: rows, w: t.final()}
	from := net.from
	if v == net.input {
		t.acts[v] = z
	} else {
		copy(t.activation(v, rows), z)
		from = t.plan.values[v].node + 1
	}
	model.apply(from, true, allLayers)
	return t.activation(net.output, rows), nil
}

// Reconstruct applies the model of an autoencoder to a batch of records as an
// evaluation does. seen is what it read, the records or, if it learns to repair
// them, the records with noise; made is its output. Both are the trainer's and
// hold until the next call. Targets need not be in the batch.
func (t *Trainer) Reconstruct(b *Batch) (seen, made []float32, err error) {
	if !t.plan.recipe.OwnTarget {
		return nil, nil, fmt.Errorf("nn: the model is no autoencoder, so its output is no record")
	}
	if err := t.checkInput(b); err != nil {
		return nil, nil, err
	}
	if b.Len() > t.maxRows {
		return nil, nil, fmt.Errorf("nn: cannot reconstruct %d records at once; at most %d", b.Len(), t.maxRows)
	}
	t.step.begin()
	t.cut(b, 0, len(b.Lanes))
	if err := t.step.run(make([]float64, len(t.eval)), false); err != nil {
		return nil, nil, err
	}
	net, model := &t.plan.nets[0], &t.step.nets[0]
	clear(model.layerLoss)
	model.apply(net.from, true, allLayers)
	return t.acts[net.input][:b.Len()*size(net.Input.Shape)], t.activation(net.output, b.Len()), nil
}
