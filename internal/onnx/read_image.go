package onnx

import (
	"slices"
	"strconv"
)

// decimal is the shortest decimal that becomes v as a float32.
func decimal(v float32) float64 {
	d, err := strconv.ParseFloat(strconv.FormatFloat(float64(v), 'g', -1, 32), 64)
	if err != nil {
		return float64(v)
	}
	return d
}

// window is what filters and pools have in common, for every axis of an image.
type window struct {
	size, stride, dilation []int
	before, after          []int // padding
}

// window reads the attributes of a window over the axes of x. kernel is what the
// weights say of its size, nil if they do not.
func (o *operator) window(x flow, kernel []int) (w window) {
	axes := len(x.value.Shape) - 1
	if o.err == nil && axes != 1 && axes != 2 {
		o.failf("its input is %v; expected channels and one or two axes", x.value.Shape)
	}
	if o.err != nil {
		return w
	}
	one := slices.Repeat([]int{1}, axes)
	w.size = o.ints("kernel_shape", nil)
	if w.size == nil {
		w.size = kernel
	}
	w.stride, w.dilation = o.ints("strides", one), o.ints("dilations", one)
	pads := o.ints("pads", make([]int, 2*axes))
	auto := o.text("auto_pad", "NOTSET")
	if len(w.size) != axes || kernel != nil && !slices.Equal(w.size, kernel) {
		o.failf("its window is %v, its weights %v", w.size, kernel)
		return w
	}
	w.before, w.after = pads[:axes], pads[axes:]
	for i := range axes {
		if least := min(w.size[i], w.stride[i], w.dilation[i]); least < 1 || max(w.size[i], w.stride[i], w.dilation[i]) > 1<<12 {
			o.failf("its window of %v, strides %v, dilations %v is not supported", w.size, w.stride, w.dilation)
			return w
		}
		if auto == "SAME_UPPER" || auto == "SAME_LOWER" {
			w.same(i, x.value.Shape[i+1], auto == "SAME_LOWER")
		}
		if w.before[i] < 0 || w.after[i] < 0 {
			o.failf("its padding is negative")
		}
	}
	if !slices.Contains([]string{"NOTSET", "VALID", "SAME_UPPER", "SAME_LOWER", ""}, auto) {
		o.failf("its auto_pad is %q", auto)
	}
	return w
}

// same pads axis i so that the output is as large as the input over the stride.
func (w *window) same(i, in int, lower bool) {
	out := (in + w.stride[i] - 1) / w.stride[i]
	total := max((out-1)*w.stride[i]+(w.size[i]-1)*w.dilation[i]+1-in, 0)
	w.before[i], w.after[i] = total/2, total-total/2
	if lower {
		w.before[i], w.after[i] = w.after[i], w.before[i]
	}
}

// even makes the padding alike on both sides: what is more on one side becomes a
// layer of its own.
func (o *operator) even(x flow, w *window) flow {
	for i := range w.before {
		least := min(w.before[i], w.after[i])
		x = o.zeros(x, i+1, w.before[i]-least, w.after[i]-least)
		w.before[i] = least
	}
	return x
}

// zeros pads an axis of a record.
func (o *operator) zeros(x flow, axis, before, after int) flow {
	if before == 0 && after == 0 {
		return x
	}
	fields := map[string]any{}
	setUnless(fields, "axis", int64(axis), int64(0))
	setUnless(fields, "before", int64(before), int64(0))
	setUnless(fields, "after", int64(after), int64(0))
	return o.layer("pad", fields, nil, x)
}

// conv is conv1d or conv2d.
func (o *operator) conv() {
	x, weight := o.flow(0), o.weight(1, "weight")
	if o.err == nil && len(weight.Shape) < 3 {
		o.failf("its weights have shape %v", weight.Shape)
	}
	if o.err != nil {
		return
	}
	w := o.window(x, weight.Shape[2:])
	groups := o.int("group", 1)
	x = o.even(x, &w)
	if o.err != nil {
		return
	}
	fields := map[string]any{"filters": int64(weight.Shape[0])}
	setUnless(fields, "groups", int64(groups), int64(1))
	tensors := []Tensor{weight}
	if o.has(2) {
		tensors = append(tensors, o.weight(2, "bias"))
	} else {
		fields["bias"] = false
	}
	kind := "conv1d"
	if len(w.size) == 2 {
		kind = "conv2d"
	}
	setUnlessBoth(fields, "kernel", w.size, 3)
	setUnlessBoth(fields, "stride", w.stride, 1)
	setUnlessBoth(fields, "padding", w.before, 0)
	setUnlessBoth(fields, "dilation", w.dilation, 1)
	o.is(kind, fields, tensors, x)
}

// setUnlessBoth sets a field of height and width that is not its default.
func setUnlessBoth(fields map[string]any, name string, value []int, unless int64) {
	if v := both(value); v != any(unless) {
		fields[name] = v
	}
}

func (o *operator) convTranspose() {
	x, weight := o.flow(0), o.weight(1, "weight")
	if o.err == nil && (len(weight.Shape) != 4 || len(x.value.Shape) != 3) {
		o.failf("its input is %v, its weights %v; expected images", x.value.Shape, weight.Shape)
	}
	if o.err != nil {
		return
	}
	if auto := o.text("auto_pad", "NOTSET"); auto != "NOTSET" {
		o.failf("its auto_pad is %q", auto)
	}
	w := o.window(x, weight.Shape[2:])
	groups, more := o.int("group", 1), o.ints("output_padding", []int{0, 0})
	if o.err != nil {
		return
	}
	if !slices.Equal(w.before, w.after) || groups < 1 {
		o.failf("its padding %v and %v must be alike, its group %d at least 1", w.before, w.after, groups)
		return
	}
	fields := map[string]any{"filters": int64(weight.Shape[1]) * int64(groups)}
	setUnless(fields, "groups", int64(groups), int64(1))
	tensors := []Tensor{weight}
	if o.has(2) {
		tensors = append(tensors, o.weight(2, "bias"))
	} else {
		fields["bias"] = false
	}
	setUnlessBoth(fields, "kernel", w.size, 4)
	setUnlessBoth(fields, "stride", w.stride, 2)
	setUnlessBoth(fields, "padding", w.before, 1)
	setUnlessBoth(fields, "output_padding", more, 0)
	setUnlessBoth(fields, "dilation", w.dilation, 1)
	o.is("conv_transpose2d", fields, tensors, x)
}

func (o *operator) pool(kind string) {
	x := o.flow(0)
	w := o.window(x, nil)
	o.want("ceil_mode", 0)
	counted := 1
	if kind == "max_pool" {
		o.want("storage_order", 0)
	} else {
		counted = o.int("count_include_pad", 0)
	}
	if o.err != nil {
		return
	}
	padded := slices.Max(slices.Concat(w.before, w.after)) > 0
	switch {
	case slices.Max(w.dilation) > 1:
		o.failf("its dilations are %v; only 1 is supported", w.dilation)
	case padded && counted == 0:
		o.failf("its mean does not count the padding")
	case kind == "max_pool" && !slices.Equal(w.before, w.after):
		o.failf("its padding %v and %v must be alike", w.before, w.after)
	}
	x = o.even(x, &w)
	if o.err != nil {
		return
	}
	fields := map[string]any{"size": both(w.size)}
	if !slices.Equal(w.stride, w.size) {
		fields["stride"] = both(w.stride)
	}
	setUnlessBoth(fields, "padding", w.before, 0)
	o.is(kind, fields, nil, x)
}

// resize repeats pixels.
func (o *operator) resize() {
	x := o.flow(0)
	mode, nearest := o.text("mode", "nearest"), o.text("nearest_mode", "floor")
	where := o.text("coordinate_transformation_mode", "asymmetric")
	o.float("cubic_coeff_a", 0)
	scales := 2
	if o.node.GetOpType() == "Upsample" || o.im.m.opset < 11 {
		scales = 1
	}
	t := o.constant(scales)
	if o.err == nil && (len(t.F32) != 4 || len(x.value.Shape) != 3 || o.has(3)) {
		o.failf("its scales are %v of %v; expected those of images", t.F32, x.value.Shape)
	}
	if o.err != nil {
		return
	}
	factor := int64(t.F32[2])
	if mode != "nearest" || nearest != "floor" || where != "asymmetric" || !slices.Equal(t.F32, []float32{1, 1, float32(factor), float32(factor)}) {
		o.failf("only pixels that are repeated alike in height and width are supported")
		return
	}
	o.is("upsample", map[string]any{"factor": factor}, nil, x)
}

// pad adds zeros.
func (o *operator) pad() {
	x, pads := o.flow(0), o.list("pads", 1)
	if mode := o.text("mode", "constant"); mode != "constant" {
		o.failf("its mode is %q", mode)
	}
	value := o.float("value", 0)
	if o.has(2) {
		if t := o.constant(2); len(t.F32) == 1 {
			value = t.F32[0]
		}
	}
	rank := len(x.value.Shape) + 1
	if o.err == nil && (value != 0 || len(pads) != 2*rank || pads[0] != 0 || pads[rank] != 0 || o.has(3)) {
		o.failf("its pads are %v with %v; expected zeros around the axes of a record", pads, value)
	}
	if o.err != nil {
		return
	}
	for axis := range rank - 1 {
		x = o.zeros(x, axis, pads[axis+1], pads[rank+axis+1])
	}
	o.gives(x)
}
