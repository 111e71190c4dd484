package tensor

import (
	"testing"

	"github.com/lockstep-ml/lockstep/internal/alloctest"
	"github.com/lockstep-ml/lockstep/internal/philox"
)

// TestNothingAllocates runs the operations of a training step, which must reuse
// their memory once they have it.
func TestNothingAllocates(t *testing.T) {
	for _, e := range append(engines(t, 1), engines(t, 2)...) {
		c := Conv{N: 4, InC: 3, OutC: 8, H: 9, W: 9, KH: 3, KW: 3, PadH: 1, PadW: 1, StrideH: 2, StrideW: 2}
		p := Pool{N: 4, C: 8, H: 8, W: 8, KH: 2, KW: 2, StrideH: 2, StrideW: 2}
		x, y, z, u := make([]float32, 4096), make([]float32, 4096), make([]float32, 4096), make([]float32, 4096)
		where, classes := make([]int32, 4096), make([]int32, 64)
		q := &Grad{Int: make([]int32, 4096), Max: make([]float32, 2), Scale: 1}
		rows := []int{0, 2, 4}
		for name, f := range map[string]func(){
			"Gemm":                    func() { e.Gemm(x, y, z, Gemm{M: 32, N: 32, K: 32, TransB: true, Act: ActTanh}) },
			"Gemm of few rows":        func() { e.Gemm(x, y, z, Gemm{M: 5, N: 60, K: 50, TransB: true}) },
			"Gemm of few columns":     func() { e.Gemm(x, y, z, Gemm{M: 70, N: 6, K: 50, TransB: true}) },
			"Gemm of blocks":          func() { e.Gemm(x, y, z, Gemm{M: 200, N: 16, K: 12, TransA: true}) },
			"Gemm of panels":          func() { e.Gemm(x, y, z, Gemm{M: 200, N: 18, K: 12, TransA: true}) },
			"GemmBatch":               func() { e.GemmBatch(x, y, z, Gemm{M: 16, N: 40, K: 20, TransB: true}, 4, 640, 320, 800) },
			"GemmLanes":               func() { e.GemmLanes(q, x, y, 20, 30, rows) },
			"ColSumLanes":             func() { e.ColSumLanes(q, x, 30, rows) },
			"ConvForward":             func() { e.ConvForward(y, x, z, nil, c, ActReLU) },
			"ConvBackwardInput":       func() { e.ConvBackwardInput(x, y, z, c) },
			"ConvBackwardWeightLanes": func() { e.ConvBackwardWeightLanes(q, x, y, c, rows) },
			"narrow gradients": func() {
				e.ConvBackwardWeightLanes(q, x, y, Conv{InC: 1, OutC: 4, H: 10, W: 12, KH: 3, KW: 3, PadH: 1, PadW: 1}, rows)
				e.ConvBackwardWeightLanes(q, x, y, Conv{InC: 2, OutC: 2, H: 10, W: 12, KH: 3, KW: 3, StrideW: 2, Groups: 2}, rows)
			},
			"ConvBiasLanes": func() { e.ConvBiasLanes(q, y, c, rows) },
			"MaxPool":       func() { e.MaxPoolForward(y, where, x, p); e.MaxPoolBackward(x, y, where, p) },
			"AvgPool":       func() { e.AvgPoolForward(y, x, p); e.AvgPoolBackward(x, y, p) },
			"Act":           func() { e.ActForward(y, x, ActGELU); e.ActBackward(x, y, z, z, ActGELU) },
			"SoftmaxCrossEntropy": func() {
				e.SoftmaxCrossEntropy(y, z, x, classes, 64, 64)
				e.SoftmaxCrossEntropy(nil, z, x, classes, 64, 64)
			},
			"DropoutMask": func() { e.DropoutMask(x, 0.5, philox.Stream{}, 1) },
			"optimisers":  func() { e.SGD(x, y, z, SGDStep{Momentum: 1}); e.Adam(x, y, z, u, AdamStep{}) },
			"Dequantise":  func() { e.Dequantise(x, where, 2); e.AddLane(q, 1, x) },
			"sums":        func() { e.Dot(x, y); e.SumSquares(x); e.MaxAbs(x); e.Sum(x) },
		} {
			if n := alloctest.PerRun(5, f); n > 0 {
				t.Errorf("%s, %d threads: %s allocates %v times", e.ISA(), e.Threads(), name, n)
			}
		}
	}
}
