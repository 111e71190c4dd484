package tensor

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"math"
	"testing"

	"github.com/lockstep-ml/lockstep/internal/philox"
)

// TestBitsArePinned compares the bits of many operations with those of another
// machine. A compiler that fuses a product into a sum, on arm64 say, shows here.
// If an operation is redefined the sum changes, and with it every trained model:
// then build.Edition must be raised.
func TestBitsArePinned(t *testing.T) {
	const want = "1fa81bd1ba814f48cd47b65c3c6abf7c8bc910267e47849e0351d3cec75adbf8"
	for _, e := range engines(t, 1) {
		h := sha256.New()
		put := func(x []float32) {
			for _, v := range x {
				if err := binary.Write(h, binary.LittleEndian, math.Float32bits(v)); err != nil {
					t.Fatal(err)
				}
			}
		}
		const n = 40
		draw := func(stream, size int) []float32 {
			x := make([]float32, size)
			e.Normal(x, 0.25, 1.5, philox.New(9, philox.Noise, stream, 0, 0), 0)
			return x
		}
		a, b, y := draw(1, n*n), draw(2, n*n), make([]float32, n*n)
		put(a)
		for act := ActReLU; act <= ActSoftplus; act++ {
			e.ActForward(y, a, act)
			put(y)
			e.ActBackward(y, b, a, a, act)
			put(y)
		}
		e.Exp(y, a)
		put(y)
		e.Log(y, y)
		put(y)
		e.NormalCDF(y, a)
		put(y)
		e.Gemm(y, a, b, Gemm{M: n, N: n, K: n, TransB: true, Bias: a[:n], Act: ActTanh})
		put(y)
		e.RowSoftmax(y, a, n, n)
		put(y)
		c := Conv{N: 1, InC: 4, OutC: 4, H: 20, W: 20, KH: 3, KW: 3, PadH: 1, PadW: 1}
		e.ConvForward(y, a, b, a, c, ActSiLU)
		put(y)
		e.ConvBackwardInput(y, a, b, c)
		put(y)
		hat, root, lse := make([]float32, n*n), make([]float32, n), make([]float32, n)
		e.RowNorm(y, hat, root, a, b, b, n, n, 1e-5)
		put(y)
		e.RowLogSumExp(lse, a, n, n)
		put(lse)
		m, v := draw(3, n*n), make([]float32, n*n)
		e.Adam(a, m, v, b, AdamStep{Decay: 0.01, Beta1: 0.9, Rest1: 0.1, Beta2: 0.99, Rest2: 0.01, Shrink: 0.99, Step: 0.1, Root: 2, Epsilon: 1e-6})
		e.SGD(a, m, b, SGDStep{LR: 0.1, Momentum: 0.9, Decay: 0.1, Nesterov: true})
		put(a)
		put(m)
		put(v)
		if got := hex.EncodeToString(h.Sum(nil)); got != want {
			t.Errorf("%s: %s, want %s; if other bits are meant, raise Edition in internal/build", e.ISA(), got, want)
		}
	}
}
