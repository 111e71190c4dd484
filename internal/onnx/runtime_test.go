package onnx

import (
	"testing"

	"github.com/lockstep-ml/lockstep/internal/onnx/onnxtest"
)

func TestEveryLayerInOnnxruntime(t *testing.T) {
	o := onnxtest.New(t)
	ours := map[string][]float32{}
	for _, n := range networks() {
		b, x := n.build(t), n.batch()
		ours[n.name] = n.predict(t, b)
		dims := append([]int{rows}, n.in.Shape...)
		if n.in.Tokens > 0 {
			o.Tokens(t, n.name, b.write(t), x.Tokens, dims...)
		} else {
			o.Numbers(t, n.name, b.write(t), x.X, dims...)
		}
	}
	theirs := o.Run(t)
	for name, y := range ours {
		if d := onnxtest.Difference(y, theirs[name]); !(d <= onnxtest.Tolerance) {
			t.Errorf("%s: differs by %v\nours   %v\ntheirs %v", name, d, y, theirs[name])
		}
	}
}
