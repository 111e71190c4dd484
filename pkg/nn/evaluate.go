package nn

import (
	"errors"
	"fmt"
)

// ErrNoRecords means that an evaluation saw no record with a weight.
var ErrNoRecords = errors.New("no records to evaluate: none has a weight in the loss")

// ResetEval begins an evaluation.
func (t *Trainer) ResetEval() { clear(t.eval) }

// Evaluate applies the network to a batch and adds its loss and metrics to those
// of the lanes. The batches of a lane must come in order; how the lane is cut
// into batches, and which rank has it, does not matter.
func (t *Trainer) Evaluate(b *Batch) error {
	if err := t.check(b); err != nil {
		return err
	}
	for i, lane := range b.Lanes {
		t.eval[lane*t.layout.tally] += float64(b.Rows[i+1] - b.Rows[i])
	}
	t.step.begin()
	for from, to := 0, 0; from < len(b.Lanes); from = to {
		to = t.turn(b, from)
		t.cut(b, from, to)
		if err := t.step.run(t.eval, false); err != nil {
			return err
		}
	}
	return nil
}

// EvalStats are the words of the lanes that this trainer evaluated. The sum over
// the ranks, in the same slice, is what EvalResult needs.
func (t *Trainer) EvalStats() []int32 {
	clear(t.evalOut)
	for lane := range t.plan.spec.Lanes {
		putFloats(t.evalOut[lane*2*t.layout.tally:], t.eval[lane*t.layout.tally:][:t.layout.tally])
	}
	return t.evalOut
}

// EvalResult is the mean loss and the metrics over all lanes. The slice is the
// trainer's.
func (t *Trainer) EvalResult() (loss float64, metrics []float64, err error) {
	t.combine(t.evalOut, 2*t.layout.tally)
	for n := range t.plan.nets {
		if t.total[2+2*n] == 0 {
			return 0, nil, ErrNoRecords
		}
	}
	loss, metrics = t.results()
	return loss, metrics, nil
}

// Predict applies the model to rows records, at most as many as the trainer
// was made for. It reads b.X or b.Tokens. The result (rows, Plan.Output) is the
// trainer's and holds until the next call.
func (t *Trainer) Predict(b *Batch, rows int) ([]float32, error) {
	if t.plan.recipe.Drawn {
		return nil, errors.New("nn: the model reads no records, it makes some; use Sample")
	}
	if n := rows * size(t.plan.in.Shape); rows < 0 || rows > t.maxRows || len(b.X) < n && len(b.Tokens) < n {
		return nil, fmt.Errorf("nn: cannot predict %d rows with %d numbers of input; at most %d rows of %s",
			rows, max(len(b.X), len(b.Tokens)), t.maxRows, shapeString(t.plan.in.Shape))
	}
	net, model := &t.plan.nets[0], &t.step.nets[0]
	model.pass = Pass{t: t, net: model, batch: b, rows: rows, w: t.final()}
	t.acts[net.input] = b.X
	clear(model.layerLoss)
	model.apply(net.from, true, allLayers)
	return t.activation(net.output, rows), nil
}
