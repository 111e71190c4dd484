package nn

import (
	"cmp"
	"math"

	"github.com/lockstep-ml/lockstep/internal/philox"
	"github.com/lockstep-ml/lockstep/pkg/tensor"
)

// Init says how a parameter gets its first values.
type Init struct {
	// Kind is one of the words of initNames, or "zeros" or "ones".
	Kind string
	// FanIn and FanOut are the numbers of inputs that one output sums over, and
	// of outputs that one input goes to.
	FanIn, FanOut int
	// Deviation is that of "normal"; 0 means 0.02.
	Deviation float64
}

// usualDeviation is that of normal draws where none is given.
const usualDeviation = 0.02

// deviationField is the field of layers that hold tables of vectors.
func deviationField(def float64) Field {
	return number("deviation", def, "standard deviation of the initial vectors, drawn from a normal distribution").above(0)
}

// initNames are the initialisations that a job can choose for weights.
func initNames() []string {
	return []string{"uniform_fan_in", "he_normal", "he_uniform", "glorot_normal", "glorot_uniform",
		"lecun_normal", "lecun_uniform", "orthogonal", "normal", "zeros"}
}

// initField is the field that chooses the initialisation of a layer's weights.
func initField(def string) Field {
	return word("init", def, initNames(), "initial weights; uniform_fan_in is uniform within 1/sqrt(inputs), also for the bias, which else starts at 0; glorot is Xavier, he is Kaiming")
}

// biasInit is how the bias beside weights w starts: like them for
// uniform_fan_in, at zero otherwise.
func biasInit(w Init) Init {
	if w.Kind == "uniform_fan_in" {
		return w
	}
	return Init{Kind: "zeros"}
}

// Init gives every parameter its first values and forgets all training. They are
// those that the plan starts from, else functions of the seed and the parameter's
// place in the model alone.
func (t *Trainer) Init() {
	t.forgetFeatures()
	for i, p := range t.plan.params {
		w := t.w[p.offset:][:p.Size()]
		p.Init.fill(t.eng, w, p.Shape, philox.New(t.plan.spec.Seed, philox.Init+philox.Purpose(i), 0, 0, 0))
		copy(w, t.plan.start[p.name])
	}
	copy(t.ema, t.w)
	for i, b := range t.plan.buffers {
		t.eng.Fill(t.buffer(i), b.Value)
		copy(t.buffer(i), t.plan.start[b.name])
	}
	for _, slots := range t.slots {
		for _, s := range slots {
			clear(s)
		}
	}
	t.updates[0] = 0
	clear(t.slowing)
	clear(t.stopping)
	clear(t.best)
	for i := range t.exponents {
		t.exponents[i] = lowestExponent
	}
}

// fill draws the first values of a parameter.
func (in Init) fill(eng *tensor.Engine, w []float32, shape []int, s philox.Stream) {
	fanIn, both := float64(in.FanIn), float64(in.FanIn+in.FanOut)
	switch in.Kind {
	case "uniform_fan_in":
		uniform(eng, w, 1/math.Sqrt(fanIn), s)
	case "he_uniform":
		uniform(eng, w, math.Sqrt(6/fanIn), s)
	case "glorot_uniform":
		uniform(eng, w, math.Sqrt(6/both), s)
	case "lecun_uniform":
		uniform(eng, w, math.Sqrt(3/fanIn), s)
	case "he_normal":
		normal(eng, w, math.Sqrt(2/fanIn), s)
	case "glorot_normal":
		normal(eng, w, math.Sqrt(2/both), s)
	case "lecun_normal":
		normal(eng, w, math.Sqrt(1/fanIn), s)
	case "normal":
		normal(eng, w, cmp.Or(in.Deviation, usualDeviation), s)
	case "orthogonal":
		orthogonal(eng, w, shape[0], s)
	case "ones":
		for i := range w {
			w[i] = 1
		}
	default:
		clear(w)
	}
}

// uniform draws from [-limit, limit).
func uniform(eng *tensor.Engine, w []float32, limit float64, s philox.Stream) {
	eng.Uniform(w, float32(-limit), float32(limit), s, 0)
}

func normal(eng *tensor.Engine, w []float32, deviation float64, s philox.Stream) {
	eng.Normal(w, 0, float32(deviation), s, 0)
}

// orthogonal makes the rows of w (or its columns, if there are fewer) orthogonal
// to each other and of length 1, by Gram and Schmidt from normal draws. Products
// are rounded before they are added, so every machine agrees on the bits.
func orthogonal(eng *tensor.Engine, w []float32, rows int, s philox.Stream) {
	cols := len(w) / rows
	n, m := min(rows, cols), max(rows, cols)
	q := make([]float64, n*m)
	normal(eng, w, 1, s)
	for i, v := range w {
		q[i] = float64(v)
	}
	for i := range n {
		v := q[i*m:][:m]
		for range 2 { // the second pass removes what rounding left
			for j := range i {
				u := q[j*m:][:m]
				d := dot64(u, v)
				for k := range v {
					v[k] -= float64(d * u[k])
				}
			}
		}
		norm := math.Sqrt(dot64(v, v))
		for k := range v {
			v[k] /= norm
		}
	}
	for i := range n {
		for k := range m {
			if rows <= cols {
				w[i*cols+k] = float32(q[i*m+k])
			} else {
				w[k*cols+i] = float32(q[i*m+k])
			}
		}
	}
}

func dot64(a, b []float64) float64 {
	sum := 0.0
	for i := range a {
		sum += float64(a[i] * b[i])
	}
	return sum
}
