package onnx

import (
	"slices"

	"github.com/lockstep-ml/lockstep/pkg/nn"
	pb "github.com/lockstep-ml/lockstep/proto/onnx"
)

// operator is one node of a file while it is read. The first thing that is wrong
// is kept; what is asked after it gives zeros.
type operator struct {
	im         *importer
	node       *pb.NodeProto
	attributes map[string]*pb.AttributeProto
	err        error
}

func (o *operator) readAttributes() error {
	o.attributes = map[string]*pb.AttributeProto{}
	for _, a := range o.node.GetAttribute() {
		if o.attributes[a.GetName()] != nil {
			return o.im.fail(o.node, "two attributes are named %q", a.GetName())
		}
		o.attributes[a.GetName()] = a
	}
	return nil
}

func (o *operator) failf(format string, args ...any) {
	if o.err == nil {
		o.err = o.im.fail(o.node, format, args...)
	}
}

// finish reports what is wrong, and settings that nobody asked for: they would
// be lost.
func (o *operator) finish() error {
	if o.err != nil {
		return o.err
	}
	for name := range o.attributes {
		return o.im.fail(o.node, "its attribute %q is not supported", name)
	}
	return nil
}

// attribute takes an attribute of a type, nil if it is not given.
func (o *operator) attribute(name string, kind pb.AttributeProto_AttributeType) *pb.AttributeProto {
	a := o.attributes[name]
	delete(o.attributes, name)
	// Old files do not say the type.
	if a != nil && a.GetType() != kind && a.GetType() != pb.AttributeProto_UNDEFINED {
		o.failf("its attribute %q is of type %v, not %v", name, a.GetType(), kind)
		return nil
	}
	return a
}

func (o *operator) int(name string, unless int) int {
	if a := o.attribute(name, pb.AttributeProto_INT); a != nil {
		return int(a.GetI())
	}
	return unless
}

func (o *operator) float(name string, unless float32) float32 {
	if a := o.attribute(name, pb.AttributeProto_FLOAT); a != nil {
		return a.GetF()
	}
	return unless
}

func (o *operator) text(name, unless string) string {
	if a := o.attribute(name, pb.AttributeProto_STRING); a != nil {
		return string(a.GetS())
	}
	return unless
}

// ints is a list of n; nil unless allows any number.
func (o *operator) ints(name string, unless []int) []int {
	a := o.attribute(name, pb.AttributeProto_INTS)
	if a == nil {
		return unless
	}
	v := fill(len(a.GetInts()), func(i int) int { return int(a.GetInts()[i]) })
	if unless != nil && len(v) != len(unless) {
		o.failf("its attribute %q has %d numbers; expected %d", name, len(v), len(unless))
		return unless
	}
	return v
}

// want reports an attribute that says something else than what we compute.
func (o *operator) want(name string, v int) {
	if got := o.int(name, v); got != v {
		o.failf("its attribute %q is %d; only %d is supported", name, got, v)
	}
}

// has reports whether input i is given.
func (o *operator) has(i int) bool {
	return i < len(o.node.GetInput()) && o.node.GetInput()[i] != ""
}

// flow is input i, which depends on the graph's.
func (o *operator) flow(i int) flow {
	if !o.has(i) {
		o.failf("input %d is missing", i)
		return flow{}
	}
	f, ok := o.im.flows[o.node.GetInput()[i]]
	switch {
	case !ok:
		o.failf("input %q is not what an earlier layer gives", o.node.GetInput()[i])
	case f.column >= 0:
		o.failf("input %q is one column of the tokens, which only an embedding reads", o.node.GetInput()[i])
	}
	return f
}

// constant is input i, which is known.
func (o *operator) constant(i int) Tensor {
	if o.has(i) {
		if t, ok := o.im.constant[o.node.GetInput()[i]]; ok {
			return t
		}
	}
	o.failf("input %d is not a constant", i)
	return Tensor{}
}

// numbers is input i, a list of integers.
func (o *operator) numbers(i int) []int {
	t := o.constant(i)
	if t.I32 != nil {
		return fill(len(t.I32), func(i int) int { return int(t.I32[i]) })
	}
	if o.err == nil && t.I64 == nil {
		o.failf("input %d is not integers", i)
	}
	return fill(len(t.I64), func(i int) int { return int(t.I64[i]) })
}

// list is an attribute of older versions, an input of newer ones.
func (o *operator) list(name string, input int) []int {
	if o.has(input) {
		return o.numbers(input)
	}
	return o.ints(name, nil)
}

// gives says what the operator's output is.
func (o *operator) gives(f flow) { o.im.flows[o.node.GetOutput()[0]] = f }

// layer adds a layer of which the output is f.
func (o *operator) layer(kind string, fields map[string]any, tensors []Tensor, in ...flow) flow {
	if o.err != nil {
		return flow{}
	}
	f, err := o.im.add(o.node.GetName(), nn.Node{Kind: kind, Fields: fields}, tensors, in...)
	if err != nil {
		o.failf("%v", err)
	}
	return f
}

// is adds the layer that the operator is.
func (o *operator) is(kind string, fields map[string]any, tensors []Tensor, in ...flow) {
	o.gives(o.layer(kind, fields, tensors, in...))
}

// weight is constant input i under the name and in the shape that the layer
// wants.
func (o *operator) weight(i int, name string) Tensor {
	t := o.constant(i)
	t.Name = name
	return t
}

// both is how a field of height and width is written.
func both(v []int) any {
	if v[0] == v[len(v)-1] {
		return int64(v[0])
	}
	return fill(len(v), func(i int) any { return int64(v[i]) })
}

// setUnless sets a field that is not its default.
func setUnless(fields map[string]any, name string, value, unless any) {
	if value != unless {
		fields[name] = value
	}
}

// isConstant reports whether all inputs are constants, or there are none.
func (o *operator) isConstant() bool {
	return !slices.ContainsFunc(o.node.GetInput(), func(name string) bool {
		_, ok := o.im.constant[name]
		return name != "" && !ok
	})
}

// fold computes a constant.
func (o *operator) fold() {
	var t Tensor
	switch kind := o.node.GetOpType(); kind {
	case "Constant":
		a := o.attribute("value", pb.AttributeProto_TENSOR)
		if a == nil {
			o.failf("it has no tensor")
			return
		}
		if t, o.err = decode(a.GetT()); o.err != nil {
			return
		}
	case "Identity":
		t = o.constant(0)
	case "Transpose":
		t = o.transposed(o.constant(0))
	case "Reshape":
		t = o.constant(0)
		o.want("allowzero", 0)
		t.Shape = o.newShape(t.Shape, o.list("shape", 1))
	case "Squeeze", "Unsqueeze":
		t = o.constant(0)
		t.Shape = o.squeezed(t.Shape, o.list("axes", 1), kind == "Unsqueeze")
	default:
		o.failf("it computes a constant, and only changes of shape are supported")
	}
	o.im.constant[o.node.GetOutput()[0]] = t
}

// transposed swaps the axes of a matrix.
func (o *operator) transposed(t Tensor) Tensor {
	perm := o.ints("perm", nil)
	if len(t.Shape) != 2 || len(t.F32) != size(t.Shape) || perm != nil && !slices.Equal(perm, []int{1, 0}) {
		o.failf("of constants only matrices of float32 are transposed")
		return t
	}
	rows, cols := t.Shape[0], t.Shape[1]
	data := t.F32
	t.Shape = []int{cols, rows}
	t.F32 = fill(len(data), func(i int) float32 { return data[i%rows*cols+i/rows] })
	return t
}

// newShape is the shape that a Reshape gives to what has shape old: 0 keeps an
// axis, -1 follows from the others.
func (o *operator) newShape(old, shape []int) []int {
	out, free, product := slices.Clone(shape), -1, 1
	for i, d := range out {
		if d == 0 && i < len(old) {
			out[i] = old[i]
			d = old[i]
		}
		switch {
		case d == -1 && free < 0:
			free = i
		case d < 1 || d > maxRecord || product > maxRecord/d:
			o.failf("its shape %v is not one of %v", shape, old)
			return old
		default:
			product *= d
		}
	}
	if free >= 0 {
		out[free] = size(old) / product
	}
	if size(out) != size(old) {
		o.failf("its shape %v is not one of %v", shape, old)
		return old
	}
	return out
}

// squeezed removes axes of 1, or adds them.
func (o *operator) squeezed(shape, axes []int, add bool) []int {
	if len(axes) == 0 {
		o.failf("it names no axes")
		return shape
	}
	rank := len(shape)
	if add {
		rank += len(axes)
	}
	at := map[int]bool{}
	for _, a := range axes {
		if a < 0 {
			a += rank
		}
		if a < 0 || a >= rank || at[a] {
			o.failf("its axes are %v of %v", axes, shape)
			return shape
		}
		at[a] = true
	}
	var out []int
	for i := range rank {
		switch {
		case add && at[i]:
			out = append(out, 1)
		case add:
			out = append(out, shape[i-countBelow(at, i)])
		case !at[i]:
			out = append(out, shape[i])
		case shape[i] != 1:
			o.failf("axis %d of %v is not 1", i, shape)
		}
	}
	return out
}

func countBelow(at map[int]bool, i int) int {
	n := 0
	for a := range at {
		if a < i {
			n++
		}
	}
	return n
}
