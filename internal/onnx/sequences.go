package onnx

import (
	"math"

	pb "github.com/lockstep-ml/lockstep/proto/onnx"
)

// attention is written as its definition: for every head a softmax of the
// products of all positions.
func (l *layer) attention() {
	steps, dim, heads := l.shape[0], l.shape[1], l.Int("heads")
	width := dim / heads
	x := l.matMul("in_proj_weight", "in_proj_bias", l.in[0], l.inner("qkv"), true)
	x = l.reshape(x, l.inner("split"), []int{steps, 3, heads, width})
	x = l.step("Transpose", "heads", []string{x}, attrInts("perm", 2, 0, 3, 1, 4)) // (3, N, heads, T, width)
	part := func(name string, i int) string {
		return l.step("Gather", name, []string{x, l.scalar("number of "+name, i)}, attrInt("axis", 0))
	}
	q, k, v := part("q", 0), part("k", 1), part("v", 2)
	scores := l.step("MatMul", "scores", []string{q, l.step("Transpose", "kT", []string{k}, attrInts("perm", 0, 1, 3, 2))})
	scores = l.step("Mul", "scaled", []string{scores, l.number("scale", float32(1/math.Sqrt(float64(width))))})
	if l.Bool("causal") {
		scores = l.hide("later", scores, l.flags("is later", []int{steps, steps}, pairs(steps, func(i, j int) bool { return j > i })))
	}
	if pad := l.Int("padding"); pad >= 0 {
		filling := l.reshape(l.filling(), l.inner("filling of heads"), []int{1, 1, steps})
		others := l.flags("is other", []int{steps, steps}, pairs(steps, func(i, j int) bool { return i != j }))
		scores = l.hide("seen", scores, l.step("And", "is unseen", []string{filling, others}))
	}
	weights := l.step("Softmax", "weights", []string{scores}, attrInt("axis", -1))
	y := l.step("MatMul", "mixed", []string{weights, v})
	y = l.step("Transpose", "positions", []string{y}, attrInts("perm", 0, 2, 1, 3))
	y = l.reshape(y, l.inner("joined"), []int{steps, dim})
	l.matMul("out_proj.weight", "out_proj.bias", y, l.out, true)
}

// hide takes scores out of the softmax.
func (l *layer) hide(name, scores, where string) string {
	return l.step("Where", name, []string{where, l.number("never", float32(math.Inf(-1))), scores})
}

// pairs is a square of flags.
func pairs(n int, is func(i, j int) bool) []byte {
	return fill(n*n, func(at int) byte {
		if is(at/n, at%n) {
			return 1
		}
		return 0
	})
}

// filling tells for every position (N, T) whether its token is padding.
func (l *layer) filling() string {
	return l.step("Equal", "filling", []string{l.tokens, l.scalar("padding", l.Int("padding"))})
}

// cell is the operator of a recurrent layer.
type cell struct {
	op    string
	order []int // our gates in the order of the operator
	extra []*pb.AttributeProto
}

func cells() map[string]cell {
	return map[string]cell{
		"rnn":  {op: "RNN", order: []int{0}},
		"lstm": {op: "LSTM", order: []int{0, 3, 1, 2}},                                                             // ours are i, f, g, o
		"gru":  {op: "GRU", order: []int{1, 0, 2}, extra: []*pb.AttributeProto{attrInt("linear_before_reset", 1)}}, // r, z, n
	}
}

// recurrent is the operator of the cell between two changes of order: the
// operator has time before records.
func (l *layer) recurrent() {
	hidden, dirs := l.Int("units"), 1
	c := cells()[l.kind]
	direction := "forward"
	if l.Bool("bidirectional") {
		dirs, direction = 2, "bidirectional"
	}
	in := l.sites[0].Shape[1]
	gates := len(c.order)
	inputs := []string{l.step("Transpose", "steps", l.in, attrInts("perm", 1, 0, 2)),
		l.gates("W", []int{dirs, gates * hidden, in}, c.order, "weight_ih"),
		l.gates("R", []int{dirs, gates * hidden, hidden}, c.order, "weight_hh"),
		l.gates("B", []int{dirs, 2 * gates * hidden}, c.order, "bias_ih", "bias_hh")}
	padded := l.Int("padding") >= 0
	filling := ""
	if padded {
		filling = l.filling()
		used := l.step("Cast", "used", []string{l.step("Not", "is used", []string{filling})}, attrInt("to", 6)) // int32
		inputs = append(inputs, l.step("ReduceSum", "lengths", []string{used, l.ints("axes", 1)}, attrInt("keepdims", 0)))
	}
	attributes := append(c.extra, attrInt("hidden_size", hidden), attrText("direction", direction))
	all, final := l.inner("all"), l.inner("final")
	l.op(c.op, all, inputs, attributes...)
	last := l.g.nodes[len(l.g.nodes)-1]
	switch {
	case l.Text("output") == "last":
		last.Output = []string{"", final}
		l.reshape(l.step("Transpose", "states", []string{final}, attrInts("perm", 1, 0, 2)), l.out, l.shape)
	default:
		y := l.step("Transpose", "records", []string{all}, attrInts("perm", 2, 0, 1, 3)) // (N, T, dirs, H)
		if padded {
			last.Output = []string{all, final}
			y = l.held(y, filling, final, dirs)
		}
		l.reshape(y, l.out, l.shape)
	}
}

// held keeps the last state at positions of filling, where the operator gives
// zeros. The state that runs backwards is zero there: it has not begun.
func (l *layer) held(y, filling, final string, dirs int) string {
	steps, hidden := l.shape[0], l.Int("units")
	state := l.step("Transpose", "states", []string{final}, attrInts("perm", 1, 0, 2))
	state = l.reshape(state, l.inner("held"), []int{1, dirs, hidden})
	if dirs == 2 {
		state = l.step("Mul", "begun", []string{state, l.numbers("forward", []int{2, 1}, []float32{1, 0})})
	}
	return l.step("Where", "kept", []string{l.reshape(filling, l.inner("where"), []int{steps, 1, 1}), state, y})
}

// gates joins the tensors of both directions, with the gates in the order of the
// operator.
func (l *layer) gates(name string, shape, order []int, tensors ...string) string {
	t := Tensor{Name: l.name + "." + name, Shape: shape}
	for dir := range shape[0] {
		for _, tensor := range tensors {
			ours := l.tensor(tensor + []string{"_l0", "_l0_reverse"}[dir]).F32 // none in a template
			n := len(ours) / len(order)
			for _, g := range order {
				t.F32 = append(t.F32, ours[g*n:][:n]...)
			}
		}
	}
	return l.g.constant(t)
}
