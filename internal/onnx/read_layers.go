package onnx

import (
	"math"
	"slices"
)

// readers says for every operator which layer it is.
func readers() map[string]func(*operator) {
	same := func(kind string) func(*operator) {
		return func(o *operator) { o.is(kind, nil, nil, o.flow(0)) }
	}
	return map[string]func(*operator){
		"Conv": (*operator).conv, "ConvTranspose": (*operator).convTranspose,
		"Gemm": (*operator).gemm, "MatMul": (*operator).matMul,
		"Add": (*operator).add, "Sum": (*operator).sum, "Mul": func(o *operator) { o.is("multiply", nil, nil, o.flow(0), o.flow(1)) },
		"Concat":             (*operator).concat,
		"BatchNormalization": (*operator).batchNorm, "LayerNormalization": (*operator).layerNorm, "InstanceNormalization": (*operator).instanceNorm,
		"MaxPool":           func(o *operator) { o.pool("max_pool") },
		"AveragePool":       func(o *operator) { o.pool("avg_pool") },
		"GlobalAveragePool": func(o *operator) { o.globalPool("global_avg_pool") },
		"GlobalMaxPool":     func(o *operator) { o.globalPool("global_max_pool") },
		"ReduceMean":        (*operator).reduceMean,
		"Resize":            (*operator).resize, "Upsample": (*operator).resize,
		"Flatten": (*operator).flatten, "Reshape": (*operator).reshape,
		"Squeeze":   func(o *operator) { o.squeeze(false) },
		"Unsqueeze": func(o *operator) { o.squeeze(true) },
		"Transpose": (*operator).transpose, "Pad": (*operator).pad, "Gather": (*operator).gather,
		"Dropout": (*operator).dropout, "Identity": func(o *operator) { o.gives(o.flow(0)) },
		"Softmax": (*operator).softmax, "Clip": (*operator).clip,
		"Relu": same("relu"), "Sigmoid": same("sigmoid"), "Tanh": same("tanh"), "Softplus": same("softplus"),
		"LeakyRelu": func(o *operator) { o.slope("leaky_relu", "slope", 0.01) },
		"Elu":       func(o *operator) { o.slope("elu", "alpha", 1) },
	}
}

// slope is an activation with an alpha, which is a field of ours.
func (o *operator) slope(kind, field string, unless float32) {
	alpha, fields := o.float("alpha", unless), map[string]any{}
	if alpha < 0 {
		o.failf("its alpha is %v; a negative one is not supported", alpha)
	}
	setUnless(fields, field, decimal(alpha), decimal(unless))
	o.is(kind, fields, nil, o.flow(0))
}

// gemm is dense, for vectors.
func (o *operator) gemm() {
	o.want("transA", 0)
	if o.float("alpha", 1) != 1 || o.float("beta", 1) != 1 {
		o.failf("its alpha and beta must be 1")
	}
	w := o.weight(1, "weight")
	if o.int("transB", 0) == 0 {
		w = o.transposed(w)
	}
	if o.has(2) {
		o.dense(w, o.vector(2, w))
		return
	}
	o.dense(w)
}

// vector is constant input i, a number for each row of w.
func (o *operator) vector(i int, w Tensor) []Tensor {
	b := o.weight(i, "bias")
	if len(w.Shape) == 0 || size(b.Shape) != w.Shape[0] {
		o.failf("its bias has shape %v", b.Shape)
	}
	b.Shape = []int{size(b.Shape)}
	return []Tensor{b}
}

func (o *operator) matMul() { o.dense(o.transposed(o.weight(1, "weight"))) }

func (o *operator) dense(w Tensor, bias ...[]Tensor) {
	x := o.flow(0)
	if o.err != nil {
		return
	}
	if len(w.Shape) != 2 {
		o.failf("its weights have shape %v", w.Shape)
		return
	}
	fields := map[string]any{"units": int64(w.Shape[0])}
	tensors := append([]Tensor{w}, slices.Concat(bias...)...)
	setUnless(fields, "bias", len(tensors) == 2, true)
	o.is("dense", fields, tensors, x)
}

// add adds values, a bias to the layer before, or positions.
func (o *operator) add() {
	names := o.node.GetInput()
	if len(names) != 2 {
		o.failf("it has %d inputs", len(names))
		return
	}
	known := slices.IndexFunc(names, func(name string) bool { _, ok := o.im.constant[name]; return ok })
	if known < 0 {
		o.is("add", nil, nil, o.flow(0), o.flow(1))
		return
	}
	x, t := o.flow(1-known), o.constant(known)
	if o.err != nil || o.addBias(x, names[1-known], t) {
		return
	}
	if shape := x.value.Shape; len(shape) == 2 && len(t.Shape) >= 2 && slices.Equal(t.Shape[len(t.Shape)-2:], shape) && size(t.Shape) == size(shape) {
		t.Name, t.Shape = "weight", shape
		o.is("positions", nil, []Tensor{t}, x)
		return
	}
	o.failf("a constant of shape %v is no bias of the layer before, and no vector for every position", t.Shape)
}

// addBias gives the layer before a bias, if it has none and nobody else reads it.
func (o *operator) addBias(x flow, name string, t Tensor) bool {
	if x.layer < 0 || o.im.uses[name] != 1 || !slices.Equal(x.value.Shape, x.given) {
		return false
	}
	before := &o.im.net.Model[x.layer]
	if biased, given := before.Fields["bias"].(bool); !given || biased {
		return false
	}
	// The channels are the last axis of dense, the first of a record's otherwise.
	want := slices.Repeat([]int{1}, len(x.value.Shape))
	channels := 0
	if before.Kind == "dense" {
		channels = len(want) - 1
	}
	want[channels] = x.value.Shape[channels]
	got := t.Shape
	for len(got) > len(want) && got[0] == 1 {
		got = got[1:]
	}
	for len(got) < len(want) && want[0] == 1 {
		want = want[1:]
	}
	if !slices.Equal(got, want) || t.F32 == nil {
		return false
	}
	delete(before.Fields, "bias")
	o.im.weights[x.layer] = append(o.im.weights[x.layer], Tensor{Name: "bias", Shape: []int{size(t.Shape)}, F32: t.F32})
	o.gives(x)
	return true
}

func (o *operator) sum() {
	in := make([]flow, len(o.node.GetInput()))
	for i := range in {
		in[i] = o.flow(i)
	}
	o.is("add", nil, nil, in...)
}

func (o *operator) concat() {
	in := make([]flow, len(o.node.GetInput()))
	for i := range in {
		in[i] = o.flow(i)
	}
	axis := o.axis(o.int("axis", 0), in)
	fields := map[string]any{}
	setUnless(fields, "axis", int64(axis), int64(0))
	o.is("concat", fields, nil, in...)
}

// axis is an axis of a batch as one of a record.
func (o *operator) axis(axis int, in []flow) int {
	if o.err != nil || len(in) == 0 {
		o.failf("it has no inputs")
		return 0
	}
	rank := len(in[0].value.Shape) + 1
	if axis < 0 {
		axis += rank
	}
	if axis < 1 || axis >= rank {
		o.failf("its axis %d is not one of a record", axis)
		return 0
	}
	return axis - 1
}

func (o *operator) batchNorm() {
	o.float("momentum", 0) // of a training that is over
	o.want("spatial", 1)
	o.want("training_mode", 0)
	o.is("batch_norm", o.epsilon(), []Tensor{o.weight(1, "weight"), o.weight(2, "bias"), o.weight(3, "running_mean"), o.weight(4, "running_var")}, o.flow(0))
}

// epsilon is the shortest decimal that is the file's float32.
func (o *operator) epsilon() map[string]any {
	fields := map[string]any{}
	if e := o.float("epsilon", 1e-5); e != float32(1e-5) {
		fields["epsilon"] = decimal(e)
	}
	return fields
}

func (o *operator) layerNorm() {
	x := o.flow(0)
	if axis := o.int("axis", -1); axis != -1 && axis != len(x.value.Shape) {
		o.failf("its axis is %d; only the last is supported", axis)
	}
	o.want("stash_type", 1)
	o.is("layer_norm", o.epsilon(), []Tensor{o.weight(1, "weight"), o.weight(2, "bias")}, x)
}

// instanceNorm is group_norm with as many groups as channels.
func (o *operator) instanceNorm() {
	fields := o.epsilon()
	w := o.weight(1, "weight")
	fields["groups"] = int64(size(w.Shape))
	o.is("group_norm", fields, []Tensor{w, o.weight(2, "bias")}, o.flow(0))
}

// globalPool keeps the pooled axes as 1 until something flattens them.
func (o *operator) globalPool(kind string) {
	x := o.flow(0)
	f := o.layer(kind, nil, nil, x)
	if o.err != nil {
		return
	}
	shape := slices.Repeat([]int{1}, len(x.value.Shape))
	shape[0] = x.value.Shape[0]
	o.seen(f, shape)
}

// reduceMean over all axes but the channels is a pool.
func (o *operator) reduceMean() {
	x := o.flow(0)
	axes, keep := o.list("axes", 1), o.int("keepdims", 1)
	rank := len(x.value.Shape) + 1
	for i, a := range axes {
		if a < 0 {
			axes[i] += rank
		}
	}
	slices.Sort(axes)
	if rank < 3 || !slices.Equal(axes, fill(rank-2, func(i int) int { return i + 2 })) {
		o.failf("only a mean over all axes behind the channels is supported")
		return
	}
	if keep == 1 {
		o.globalPool("global_avg_pool")
		return
	}
	o.is("global_avg_pool", nil, nil, x)
}

// seen is f in another shape.
func (o *operator) seen(f flow, shape []int) {
	f.value.Shape = shape
	o.gives(f)
}

func (o *operator) flatten() {
	o.want("axis", 1)
	x := o.flow(0)
	o.seen(x, []int{size(x.value.Shape)})
}

// reshape must keep the axis of the records.
func (o *operator) reshape() {
	o.want("allowzero", 0)
	x, shape := o.flow(0), o.list("shape", 1)
	if o.err != nil {
		return
	}
	if len(shape) == 0 || shape[0] > 1 || shape[0] < -1 {
		o.failf("its shape %v does not keep the axis of the records", shape)
		return
	}
	// Axis 0 may stand for any number of records; a -1 behind it is solved alone.
	old := append([]int{1}, x.value.Shape...)
	if shape[0] == -1 {
		shape = append([]int{1}, shape[1:]...)
	}
	if out := o.newShape(old, shape); o.err == nil && out[0] == 1 {
		o.seen(x, out[1:])
	}
}

func (o *operator) squeeze(add bool) {
	x, axes := o.flow(0), o.list("axes", 1)
	shape := o.squeezed(append([]int{2}, x.value.Shape...), axes, add) // 2: records are no axis of 1
	if o.err == nil && shape[0] != 2 {
		o.failf("its axes %v are before that of the records", axes)
	}
	if o.err == nil {
		o.seen(x, shape[1:])
	}
}

func (o *operator) transpose() {
	x, perm := o.flow(0), o.ints("perm", nil)
	switch {
	case o.err != nil:
	case slices.Equal(perm, fill(len(x.value.Shape)+1, func(i int) int { return i })):
		o.gives(x)
	case slices.Equal(perm, []int{0, 2, 1}):
		o.is("transpose", nil, nil, x)
	default:
		o.failf("its perm is %v; only the two axes of a record are swapped", perm)
	}
}

// gather is an embedding, or takes one column of the tokens for one.
func (o *operator) gather() {
	axis := o.int("axis", 0)
	if !o.has(0) || !o.has(1) {
		o.failf("it needs two inputs")
		return
	}
	table, known := o.im.constant[o.node.GetInput()[0]]
	if !known {
		x, at := o.flow(0), o.numbers(1)
		if o.err == nil && (x.layer >= 0 || x.value.Tokens == 0 || len(x.value.Shape) != 1 || axis != 1 || len(at) != 1 || len(o.constant(1).Shape) != 0 || at[0] < 0) {
			o.failf("it must read a table of vectors, or one column of the tokens")
		}
		if o.err == nil {
			x.column = at[0]
			o.gives(x)
		}
		return
	}
	x, ok := o.im.flows[o.node.GetInput()[1]]
	if !ok || axis != 0 || len(table.Shape) != 2 {
		o.failf("only rows of a table of vectors are gathered, by the tokens")
		return
	}
	fields := map[string]any{"dim": int64(table.Shape[1])}
	setUnless(fields, "column", int64(x.column), int64(-1))
	table.Name = "weight"
	o.is("embedding", fields, []Tensor{table}, x)
}

func (o *operator) dropout() {
	rate := o.float("ratio", 0.5)
	if o.has(1) {
		if t := o.constant(1); len(t.F32) == 1 {
			rate = t.F32[0]
		}
	}
	o.int("seed", 0) // of a training that is over
	if o.has(2) && !slices.Equal(o.constant(2).U8, []byte{0}) {
		o.failf("it works in training mode")
	}
	o.is("dropout", map[string]any{"rate": decimal(rate)}, nil, o.flow(0))
}

// softmax works on the last axis. Before version 13 it took all axes from the
// given one on together.
func (o *operator) softmax() {
	x, unless := o.flow(0), -1
	if o.im.m.opset < 13 {
		unless = 1
	}
	if axis := o.int("axis", unless); axis != -1 && axis != len(x.value.Shape) {
		o.failf("its axis is %d; only the last is supported", axis)
	}
	o.is("softmax", nil, nil, x)
}

// clip is relu if it has no upper bound.
func (o *operator) clip() {
	low, high := o.bound("min", 1, float32(math.Inf(-1))), o.bound("max", 2, float32(math.Inf(1)))
	switch x := o.flow(0); {
	case low == 0 && high >= math.MaxFloat32:
		o.is("relu", nil, nil, x)
	case low > -math.MaxFloat32 && high < math.MaxFloat32:
		fields := map[string]any{}
		setUnless(fields, "min", decimal(low), 0.0)
		setUnless(fields, "max", decimal(high), 6.0)
		o.is("clip", fields, nil, x)
	default:
		o.failf("it has one bound, %v to %v; two are needed, or 0 as the lower one", low, high)
	}
}

// bound is an attribute of older versions, an input of newer ones.
func (o *operator) bound(name string, input int, unless float32) float32 {
	if !o.has(input) {
		return o.float(name, unless)
	}
	t := o.constant(input)
	if len(t.F32) != 1 {
		o.failf("its %s is not one number", name)
		return unless
	}
	return t.F32[0]
}
