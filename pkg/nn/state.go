package nn

import (
	"fmt"
	"slices"
)

// Tensor is a named view of a part of a trainer's state. Exactly one of its
// slices is set.
type Tensor struct {
	Name  string
	Shape []int
	F32   []float32
	I32   []int32
}

// ParamTensors are the parameters and buffers, in the order of the model:
// "0.weight". This is what a model file holds. Where the job asks for a running
// mean of the parameters, it is that; where it restores the best, it is what was
// evaluated best so far.
func (t *Trainer) ParamTensors() []Tensor {
	if t.best != nil && t.stopping[watchSeen] > 0 {
		return t.model(t.best[:len(t.w)], t.best[len(t.w):])
	}
	return t.model(t.final(), t.buffers)
}

// model is the tensors of a model file with parameters w and buffers values.
func (t *Trainer) model(w, values []float32) []Tensor {
	var all []Tensor
	t.plan.eachTensor(func(p *param) { all = append(all, p.view("", w)) }, func(b *buffer) {
		all = append(all, Tensor{Name: b.name, Shape: slices.Clone(b.Shape), F32: values[b.offset:][:size(b.Shape)]})
	})
	return all
}

// State is everything that decides how training goes on: parameters, optimiser
// slots, exponents, the number of updates, and what evaluations led to. The tensors are views: to write
// into them is to change the state.
func (t *Trainer) State() []Tensor {
	all := t.model(t.w, t.buffers)
	if t.ema != nil {
		for _, p := range t.plan.params {
			all = append(all, p.view("mean.", t.ema))
		}
	}
	for n, net := range t.plan.nets {
		for i, name := range net.opt.slots() {
			for _, p := range t.plan.params {
				if p.factor > 0 && t.plan.nodes[p.node].net == n {
					p.offset -= net.begin
					all = append(all, p.view("optimizer."+name+".", t.slots[n][i]))
				}
			}
		}
	}
	all = append(all, Tensor{Name: "optimizer.updates", Shape: []int{1}, I32: t.updates})
	if len(t.exponents) > 0 {
		all = append(all, Tensor{Name: "exponents", Shape: []int{len(t.exponents)}, I32: t.exponents})
	}
	return append(all, t.watchTensors()...)
}

// view is the parameter in a flat buffer.
func (p param) view(prefix string, flat []float32) Tensor {
	return Tensor{Name: prefix + p.name, Shape: slices.Clone(p.Shape), F32: flat[p.offset:][:p.Size()]}
}

// SetState copies the tensors of another trainer of the same plan, or those of
// a checkpoint. The names and shapes must be exactly those of State; otherwise
// nothing is changed.
func (t *Trainer) SetState(from []Tensor) error {
	t.forgetFeatures()
	return setTensors(t.State(), from)
}

// SetParams copies the tensors of a model file into the parameters. The names
// and shapes must be exactly those of ParamTensors; otherwise nothing is
// changed.
func (t *Trainer) SetParams(from []Tensor) error {
	t.forgetFeatures()
	err := setTensors(t.model(t.w, t.buffers), from)
	if err == nil {
		copy(t.ema, t.w)
	}
	return err
}

func setTensors(to, from []Tensor) error {
	byName := make(map[string]Tensor, len(from))
	for _, f := range from {
		byName[f.Name] = f
	}
	for _, w := range to {
		f, ok := byName[w.Name]
		switch {
		case !ok:
			return fmt.Errorf("nn: tensor %q is missing", w.Name)
		case !slices.Equal(f.Shape, w.Shape) || len(f.F32) != len(w.F32) || len(f.I32) != len(w.I32):
			return fmt.Errorf("nn: tensor %q has shape %s; the network needs %s", w.Name, shapeString(f.Shape), shapeString(w.Shape))
		}
		delete(byName, w.Name)
	}
	for name := range byName {
		return fmt.Errorf("nn: tensor %q is not one of this network's", name)
	}
	for _, w := range to {
		i := slices.IndexFunc(from, func(f Tensor) bool { return f.Name == w.Name })
		copy(w.F32, from[i].F32)
		copy(w.I32, from[i].I32)
	}
	return nil
}
