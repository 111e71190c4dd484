package tensor

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/lockstep-ml/lockstep/internal/philox"
)

func TestRandomNumbersAreThoseOfTheStream(t *testing.T) {
	eachEngine(t, func(t *testing.T, e *Engine, r *rand.Rand) {
		for _, base := range []uint64{0, 3, 1<<34 - 20, 5 << 33} {
			s := philox.New(r.Uint64(), philox.Noise, 1, 2, 3)
			n := 1 + r.IntN(5000)
			mask, u, normal := make([]float32, n), make([]float32, n), make([]float32, n)
			e.DropoutMask(mask, 0.3, s, base)
			e.Uniform(u, -1, 2, s, base)
			e.Normal(normal, 0, 1, s, base)
			var mean, square float64
			for i := range mask {
				w := s.Float32(base + uint64(i))
				keep := float32(0)
				if w < 0.3 {
					keep = 1 / float32(0.3)
				}
				mustEqual(t, "draws", []float32{mask[i], u[i]}, []float32{keep, fma32(w, 3, -1)})
				mean += float64(normal[i])
				square += float64(normal[i]) * float64(normal[i])
			}
			// Five standard deviations of the mean and of the mean square.
			if bound := 5 / math.Sqrt(float64(n)); math.Abs(mean/float64(n)) > bound || math.Abs(square/float64(n)-1) > bound*math.Sqrt2 {
				t.Errorf("mean %g, mean square %g of %d normal numbers", mean/float64(n), square/float64(n), n)
			}
		}
	})
}
