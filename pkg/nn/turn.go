package nn

import "fmt"

// checkInput reports what is wrong with the records of a batch, targets aside, before
// anything is computed.
func (t *Trainer) checkInput(b *Batch) error {
	rows, in := b.Len(), t.plan.in
	if len(b.Rows) != len(b.Lanes)+1 || len(b.Lanes) > t.maxLanes {
		return fmt.Errorf("nn: a batch of %d lanes with %d bounds does not fit a trainer for %d lanes", len(b.Lanes), len(b.Rows), t.maxLanes)
	}
	for i, lane := range b.Lanes {
		if b.Rows[i+1]-b.Rows[i] > t.maxRows {
			return fmt.Errorf("nn: a batch of %d rows in lane %d does not fit a trainer for %d rows", b.Rows[i+1]-b.Rows[i], lane, t.maxRows)
		}
		if lane < 0 || lane >= t.plan.spec.Lanes || b.Rows[i+1] < b.Rows[i] {
			return fmt.Errorf("nn: batch with lane %d of %d, rows %v", lane, t.plan.spec.Lanes, b.Rows)
		}
	}
	if in.Tokens > 0 && len(b.Tokens) < rows*size(in.Shape) || in.Tokens == 0 && len(b.X) < rows*size(in.Shape) {
		return fmt.Errorf("nn: a batch of %d rows has too little input for shape %s", rows, shapeString(in.Shape))
	}
	for _, tok := range b.Tokens {
		if tok < 0 || int(tok) >= in.Tokens {
			return fmt.Errorf("nn: token %d is outside the vocabulary of %d", tok, in.Tokens)
		}
	}
	return nil
}

// check is checkInput, and reports what is wrong with the targets too.
func (t *Trainer) check(b *Batch) error {
	if err := t.checkInput(b); err != nil {
		return err
	}
	rows, in := b.Len(), t.plan.in
	n := rows * in.Target.Size()
	if in.Target.Kind == TargetClass && len(b.Classes) < n || in.Target.Kind == TargetValue && len(b.Y) < n || b.Weights != nil && len(b.Weights) < rows {
		return fmt.Errorf("nn: a batch of %d rows has too few targets or weights", rows)
	}
	if b.Shares != nil && (len(b.Shares) < rows || len(b.Others) < len(b.Classes)) {
		return fmt.Errorf("nn: a batch of %d mixed rows has too few shares or targets", rows)
	}
	for _, classes := range [2][]int32{b.Classes, b.Others} {
		for _, c := range classes {
			if int(c) >= in.Target.Classes || c < 0 {
				return fmt.Errorf("nn: class %d is not one of %d", c, in.Target.Classes)
			}
		}
	}
	return nil
}

// turn returns the end of the lanes that are computed together, from lane from
// of b on: as many as fit.
func (t *Trainer) turn(b *Batch, from int) (to int) {
	to = from + 1
	for to < len(b.Lanes) && b.Rows[to+1]-b.Rows[from] <= t.maxRows {
		to++
	}
	return to
}

// cut sets part to lanes from up to to of b and aims the gradients at them.
func (t *Trainer) cut(b *Batch, from, to int) {
	for i := range t.grads {
		t.grads[i].Max = t.maxima[i*t.maxLanes+from : i*t.maxLanes+to]
	}
	first, p := b.Rows[from], &t.part
	rows := append(p.Rows[:0], b.Rows[from:to+1]...)
	for i := range rows {
		rows[i] -= first
	}
	in, target := size(t.plan.in.Shape), t.plan.in.Target.Size()
	*p = Batch{Epoch: b.Epoch, Step: b.Step, Lanes: b.Lanes[from:to], Rows: rows,
		X: after(b.X, first*in), Tokens: after(b.Tokens, first*in),
		Classes: after(b.Classes, first*target), Y: after(b.Y, first*target), Weights: after(b.Weights, first), Records: after(b.Records, first),
		Shares: after(b.Shares, first), Others: after(b.Others, first*target)}
}

// after is x from element n on, nil if there is no x.
func after[T any](x []T, n int) []T {
	if x == nil {
		return nil
	}
	return x[n:]
}
