package nn

import (
	"fmt"
	"slices"
)

// Tensors lists the tensors of a model file of this network by name and shape,
// in the order of the model. They have no numbers.
func (p *Plan) Tensors() []Tensor {
	var all []Tensor
	p.eachTensor(func(p *param) { all = append(all, Tensor{Name: p.name, Shape: slices.Clone(p.Shape)}) },
		func(b *buffer) { all = append(all, Tensor{Name: b.name, Shape: slices.Clone(b.Shape)}) })
	return all
}

// eachTensor calls one of the functions for every tensor of a model file, in the
// order of the model.
func (p *Plan) eachTensor(ofParam func(*param), ofBuffer func(*buffer)) {
	i, j := 0, 0
	for n := range p.nodes {
		for ; i < len(p.params) && p.params[i].node == n; i++ {
			ofParam(&p.params[i])
		}
		for ; j < len(p.buffers) && p.buffers[j].node == n; j++ {
			ofBuffer(&p.buffers[j])
		}
	}
}

// StartFrom returns a plan whose trainers begin with these tensors where Init
// would else have drawn or set numbers. Each must be one of Tensors, with its
// shape. Their numbers are not copied.
func (p *Plan) StartFrom(tensors []Tensor) (*Plan, error) {
	shapes := map[string][]int{}
	for _, t := range p.Tensors() {
		shapes[t.Name] = t.Shape
	}
	start := make(map[string][]float32, len(tensors))
	for _, t := range tensors {
		want, ok := shapes[t.Name]
		switch {
		case !ok:
			return nil, fmt.Errorf("nn: tensor %q is not one of this network's", t.Name)
		case !slices.Equal(t.Shape, want) || len(t.F32) != size(want):
			return nil, fmt.Errorf("nn: tensor %q has shape %s; the network needs %s", t.Name, shapeString(t.Shape), shapeString(want))
		case start[t.Name] != nil:
			return nil, fmt.Errorf("nn: tensor %q is given twice", t.Name)
		}
		start[t.Name] = t.F32
	}
	out := *p
	out.start = start
	return &out, nil
}
