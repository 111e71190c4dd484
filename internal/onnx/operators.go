package onnx

import (
	"fmt"
	"math"

	"github.com/lockstep-ml/lockstep/pkg/nn"
	pb "github.com/lockstep-ml/lockstep/proto/onnx"
)

// operators says for every kind of layer how it is written.
func operators() map[string]func(*layer) {
	return map[string]func(*layer){
		"dense": (*layer).dense, "conv1d": (*layer).conv, "conv2d": (*layer).conv, "conv_transpose2d": (*layer).convTranspose,
		"max_pool":        func(l *layer) { l.pool("MaxPool") },
		"avg_pool":        func(l *layer) { l.pool("AveragePool", attrInt("count_include_pad", 1)) },
		"global_avg_pool": func(l *layer) { l.globalPool("GlobalAveragePool") },
		"global_max_pool": func(l *layer) { l.globalPool("GlobalMaxPool") },
		"upsample":        (*layer).upsample,
		"flatten":         func(l *layer) { l.last("Flatten", l.in, attrInt("axis", 1)) },
		"reshape":         func(l *layer) { l.reshape(l.in[0], l.out, l.shape) },
		"transpose":       func(l *layer) { l.last("Transpose", l.in, attrInts("perm", 0, 2, 1)) },
		"pad":             (*layer).pad,

		"dropout":         func(l *layer) { l.last("Dropout", []string{l.in[0], l.number("rate", float32(l.Float("rate")))}) },
		"spatial_dropout": func(l *layer) { l.last("Identity", l.in) },
		"gaussian_noise":  func(l *layer) { l.last("Identity", l.in) },
		"gaussian_sample": (*layer).sample,

		"add": (*layer).add, "multiply": func(l *layer) { l.last("Mul", l.in) }, "dot": (*layer).dot, "concat": (*layer).concat,

		"batch_norm": (*layer).batchNorm, "layer_norm": (*layer).layerNorm, "group_norm": (*layer).groupNorm,
		"embedding": (*layer).embedding, "positions": (*layer).positions, "attention": (*layer).attention,
		"rnn": (*layer).recurrent, "lstm": (*layer).recurrent, "gru": (*layer).recurrent,

		"softmax":    func(l *layer) { l.last("Softmax", l.in, attrInt("axis", -1)) },
		"relu":       func(l *layer) { l.last("Relu", l.in) },
		"sigmoid":    func(l *layer) { l.last("Sigmoid", l.in) },
		"tanh":       func(l *layer) { l.last("Tanh", l.in) },
		"softplus":   func(l *layer) { l.last("Softplus", l.in) },
		"leaky_relu": func(l *layer) { l.last("LeakyRelu", l.in, attrFloat("alpha", l.Float("slope"))) },
		"elu":        func(l *layer) { l.last("Elu", l.in, attrFloat("alpha", l.Float("alpha"))) },
		"clip": func(l *layer) {
			l.last("Clip", []string{l.in[0], l.number("min", float32(l.Float("min"))), l.number("max", float32(l.Float("max")))})
		},
		"gelu": (*layer).gelu,
		"silu": func(l *layer) { l.last("Mul", []string{l.in[0], l.step("Sigmoid", "gate", l.in)}) },
	}
}

// size is the number of elements of a shape.
func size(shape []int) int {
	n := 1
	for _, d := range shape {
		n *= d
	}
	return n
}

// pair is a field that is one number for both axes or (height, width).
func pair(a nn.Args, name string) (h, w int) {
	v := a.Ints(name)
	return v[0], v[len(v)-1]
}

// reshape gives every record a shape.
func (l *layer) reshape(x, out string, record []int) string {
	return l.op("Reshape", out, []string{x, l.ints(fmt.Sprint("shape ", record), append([]int{-1}, record...)...)})
}

// dense is Gemm for vectors. A sequence of vectors is a MatMul, whose weights are
// the other way round.
func (l *layer) dense() {
	x := l.in[0]
	if len(l.sites[0].Shape) == 2 {
		l.matMul("weight", "bias", x, l.out, l.Bool("bias"))
		return
	}
	if len(l.sites[0].Shape) == 0 {
		x = l.reshape(x, l.inner("x"), []int{1})
	}
	inputs := []string{x, l.weight("weight")}
	if l.Bool("bias") {
		inputs = append(inputs, l.weight("bias"))
	}
	l.last("Gemm", inputs, attrInt("transB", 1))
}

// matMul is out = x weightᵀ + bias, over the last axis of x.
func (l *layer) matMul(weight, bias, x, out string, biased bool) string {
	inputs := []string{x, l.step("Transpose", weight+"T", []string{l.weight(weight)}, attrInts("perm", 1, 0))}
	if !biased {
		return l.op("MatMul", out, inputs)
	}
	return l.op("Add", out, []string{l.step("MatMul", weight+" x", inputs), l.weight(bias)})
}

// conv has one or two axes beside the channels.
func (l *layer) conv() {
	inputs := []string{l.in[0], l.weight("weight")}
	if l.Bool("bias") {
		inputs = append(inputs, l.weight("bias"))
	}
	if l.kind == "conv1d" {
		p := l.Int("padding")
		if l.Bool("same") {
			p = l.Int("dilation") * (l.Int("kernel") - 1) / 2
		}
		l.last("Conv", inputs, attrInts("kernel_shape", l.Int("kernel")), attrInts("strides", l.Int("stride")), attrInts("pads", p, p),
			attrInts("dilations", l.Int("dilation")), attrInt("group", l.Int("groups")))
		return
	}
	kh, kw := pair(l.Args, "kernel")
	dh, dw := pair(l.Args, "dilation")
	ph, pw := pair(l.Args, "padding")
	if l.Bool("same") {
		ph, pw = dh*(kh-1)/2, dw*(kw-1)/2
	}
	sh, sw := pair(l.Args, "stride")
	l.last("Conv", inputs, attrInts("kernel_shape", kh, kw), attrInts("strides", sh, sw), attrInts("pads", ph, pw, ph, pw),
		attrInts("dilations", dh, dw), attrInt("group", l.Int("groups")))
}

func (l *layer) convTranspose() {
	inputs := []string{l.in[0], l.weight("weight")}
	if l.Bool("bias") {
		inputs = append(inputs, l.weight("bias"))
	}
	kh, kw := pair(l.Args, "kernel")
	sh, sw := pair(l.Args, "stride")
	ph, pw := pair(l.Args, "padding")
	dh, dw := pair(l.Args, "dilation")
	ah, aw := pair(l.Args, "output_padding")
	l.last("ConvTranspose", inputs, attrInts("kernel_shape", kh, kw), attrInts("strides", sh, sw), attrInts("pads", ph, pw, ph, pw),
		attrInts("dilations", dh, dw), attrInts("output_padding", ah, aw), attrInt("group", l.Int("groups")))
}

func (l *layer) pool(kind string, more ...*pb.AttributeProto) {
	kh, kw := pair(l.Args, "size")
	sh, sw := pair(l.Args, "stride")
	if sh == 0 {
		sh = kh
	}
	if sw == 0 {
		sw = kw
	}
	ph, pw := pair(l.Args, "padding")
	l.last(kind, l.in, append(more, attrInts("kernel_shape", kh, kw), attrInts("strides", sh, sw), attrInts("pads", ph, pw, ph, pw))...)
}

func (l *layer) globalPool(kind string) {
	l.last("Flatten", []string{l.step(kind, "pool", l.in)}, attrInt("axis", 1))
}

func (l *layer) upsample() {
	f := float32(l.Int("factor"))
	scales := l.numbers("scales", []int{4}, []float32{1, 1, f, f})
	l.last("Resize", []string{l.in[0], "", scales}, attrText("mode", "nearest"),
		attrText("coordinate_transformation_mode", "asymmetric"), attrText("nearest_mode", "floor"))
}

// pad names the zeros before all axes of a batch, then those behind.
func (l *layer) pad() {
	axis, rank := l.Int("axis")+1, len(l.shape)+1
	if axis == 0 {
		axis = rank - 1
	}
	pads := make([]int, 2*rank)
	pads[axis], pads[rank+axis] = l.Int("before"), l.Int("after")
	l.last("Pad", []string{l.in[0], l.ints("pads", pads...)})
}

// sample gives the means, the first half.
func (l *layer) sample() {
	l.last("Slice", []string{l.in[0], l.ints("from", 0), l.ints("to", l.shape[0]), l.ints("axes", 1)})
}

// add adds in the order of the inputs.
func (l *layer) add() {
	sum := l.in[0]
	for i, x := range l.in[1:] {
		out := l.inner(fmt.Sprint("sum", i))
		if i == len(l.in)-2 {
			out = l.out
		}
		sum = l.op("Add", out, []string{sum, x})
	}
}

func (l *layer) dot() {
	l.last("ReduceSum", []string{l.step("Mul", "product", l.in), l.ints("axes", -1)}, attrInt("keepdims", 1))
}

func (l *layer) concat() {
	axis := l.Int("axis")
	if axis >= 0 {
		axis++ // that of the records
	}
	l.last("Concat", l.in, attrInt("axis", axis))
}

func (l *layer) batchNorm() {
	l.last("BatchNormalization", []string{l.in[0], l.weight("weight"), l.weight("bias"), l.weight("running_mean"), l.weight("running_var")},
		attrFloat("epsilon", l.Float("epsilon")))
}

func (l *layer) layerNorm() {
	l.last("LayerNormalization", []string{l.in[0], l.weight("weight"), l.weight("bias")},
		attrInt("axis", -1), attrFloat("epsilon", l.Float("epsilon")))
}

// groupNorm normalises the groups as if they were channels, then scales and
// shifts the channels.
func (l *layer) groupNorm() {
	groups, channels := l.Int("groups"), l.shape[0]
	one := make([]float32, groups)
	for i := range one {
		one[i] = 1
	}
	x := l.reshape(l.in[0], l.inner("groups"), []int{groups, size(l.shape) / groups})
	x = l.step("InstanceNormalization", "hat", []string{x, l.numbers("one", []int{groups}, one), l.numbers("zero", []int{groups}, make([]float32, groups))},
		attrFloat("epsilon", l.Float("epsilon")))
	x = l.reshape(x, l.inner("channels"), l.shape)
	each := make([]int, len(l.shape)) // (C, 1, 1)
	for i := range each {
		each[i] = 1
	}
	each[0] = channels
	by := l.ints("each", each...)
	x = l.step("Mul", "scaled", []string{x, l.step("Reshape", "scale", []string{l.weight("weight"), by})})
	l.last("Add", []string{x, l.step("Reshape", "shift", []string{l.weight("bias"), by})})
}

func (l *layer) embedding() {
	tokens := l.in[0]
	if c := l.Int("column"); c >= 0 {
		tokens = l.step("Gather", "tokens", []string{tokens, l.scalar("column", c)}, attrInt("axis", 1))
	}
	l.last("Gather", []string{l.weight("weight"), tokens}, attrInt("axis", 0))
}

func (l *layer) positions() {
	table := ""
	if l.Text("kind") == "sinusoidal" {
		table = l.numbers("table", l.shape, nn.Sinusoids(l.shape[0], l.shape[1]))
	} else {
		table = l.weight("weight")
	}
	l.last("Add", []string{l.in[0], table})
}

// gelu is x/2 (1 + erf(x/sqrt 2)).
func (l *layer) gelu() {
	x := l.in[0]
	erf := l.step("Erf", "erf", []string{l.step("Div", "scaled", []string{x, l.number("root", math.Sqrt2)})})
	twice := l.step("Mul", "twice", []string{x, l.step("Add", "weight", []string{erf, l.number("one", 1)})})
	l.last("Mul", []string{twice, l.number("half", 0.5)})
}
