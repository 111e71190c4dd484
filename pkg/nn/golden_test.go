package nn

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// golden is a network trained by PyTorch; testdata/golden.py and golden_recipes.py
// write it.
type golden struct {
	Name   string
	Model  [][2]any
	Input  []int
	Tokens int
	Target struct {
		Kind    string
		Classes int
		Shape   []int
		Mixed   bool
		Simplex bool // the numbers of a target sum to 1
	}
	Loss, Optimizer, Schedule [2]any
	Recipe                    *[2]any
	Batch, Steps, Lanes       int
	Epoch                     int // steps of an epoch, 0 is all
	Curve, Chain              bool
	Losses                    []float64
	Numbers                   [][]float64 // of the recipe, in every step
	// Gradients, Parameters and Buffers are in the order of the model.
	Gradients, Parameters, Buffers [][]float64
}

// noise repeats the function of golden.py.
func noise(seed, n int) []float32 {
	out := make([]float32, n)
	for i := range out {
		x := uint32(i)*0x9E3779B1 + uint32(seed)*0x85EBCA77
		x ^= x >> 15
		x *= 0x2C1B3C6D
		x ^= x >> 12
		x *= 0x297A2D39
		x ^= x >> 15
		out[i] = float32(x>>8)*0x1p-23 - 1
	}
	return out
}

func goldenNode(pair [2]any) Node {
	n := Node{Kind: pair[0].(string), Path: pair[0].(string), Fields: map[string]any{}}
	for k, v := range pair[1].(map[string]any) {
		switch k {
		case "name":
			n.Name = v.(string)
		case "from":
			for _, f := range v.([]any) {
				n.From = append(n.From, f.(string))
			}
		case "discriminator":
			var layers []Node
			for _, l := range v.([]any) {
				layers = append(layers, goldenNode([2]any(l.([]any))))
			}
			n.Fields[k] = layers
		case "optimizer":
			n.Fields[k] = goldenNode([2]any(v.([]any)))
		default:
			n.Fields[k] = v
		}
	}
	return n
}

func (g *golden) plan(t *testing.T, exact bool) *Plan {
	spec := Spec{Loss: goldenNode(g.Loss), Optimizer: goldenNode(g.Optimizer), Schedule: goldenNode(g.Schedule),
		Lanes: g.Lanes, Exact: exact, Epochs: 1, StepsPerEpoch: g.Steps}
	if g.Recipe != nil {
		spec.Recipe = goldenNode(*g.Recipe)
	}
	if g.Epoch > 0 {
		spec.Epochs, spec.StepsPerEpoch = g.Steps/g.Epoch, g.Epoch
	}
	for _, n := range g.Model {
		spec.Model = append(spec.Model, goldenNode(n))
	}
	return mustPlan(t, spec, Input{Shape: g.Input, Tokens: g.Tokens,
		Target: Target{Kind: TargetKind(g.Target.Kind), Classes: g.Target.Classes, Shape: g.Target.Shape, Mixed: g.Target.Mixed}})
}

func fillGolden(tr *Trainer) {
	for j, prm := range tr.plan.params {
		p := prm.view("", tr.w)
		v := noise(1000+j, len(p.F32))
		for i := range v {
			switch {
			case len(p.Shape) > 1:
				v[i] *= float32(1 / math.Sqrt(float64(size(p.Shape[1:]))))
			case strings.HasSuffix(p.Name, "weight"):
				v[i] = float32(v[i]*0.1) + 1
			default:
				v[i] *= 0.1
			}
		}
		copy(p.F32, v)
	}
}

func (g *golden) batch(step int) *Batch {
	b := &Batch{Step: step, Lanes: []int{0}, Rows: []int{0, g.Batch}}
	if g.Lanes == 2 {
		b.Lanes, b.Rows = []int{0, 1}, []int{0, (g.Batch + 1) / 2, g.Batch}
	}
	if g.Chain {
		g.chain(b, noise(2*step, g.Batch*(g.Input[0]+1)))
		return b
	}
	n := size(g.Input)
	x := noise(2*step, g.Batch*n)
	y := noise(2*step+1, g.Batch*size(g.Target.Shape))
	if g.Tokens > 0 {
		for _, v := range x {
			b.Tokens = append(b.Tokens, min(int32((v*0.5+0.5)*float32(g.Tokens)), int32(g.Tokens-1)))
		}
		x = nil
	}
	if g.Target.Kind == "class" {
		for _, v := range y {
			b.Classes = append(b.Classes, int32((v*0.5+0.5)*float32(g.Target.Classes)))
		}
		for r := 0; r < len(y) && g.Target.Mixed; r++ {
			b.Others = append(b.Others, (b.Classes[r]+1)%int32(g.Target.Classes))
			b.Shares = append(b.Shares, 1-float32(r)/12)
		}
		if g.Tokens == 0 && len(g.Target.Shape) == 0 {
			for r, c := range b.Classes {
				pattern := noise(500+int(c), n)
				for i := range n {
					x[r*n+i] = float32(0.5*x[r*n+i]) + pattern[i]
				}
			}
		}
	} else if g.Target.Kind == "value" {
		b.Y = y
		for r := 0; g.Target.Simplex && r < g.Batch; r++ {
			row := y[r*len(y)/g.Batch:][:len(y)/g.Batch]
			for i := range row {
				row[i]++
			}
			shares(row)
		}
	}
	b.X = x
	return b
}

// shares makes of numbers at least 0 numbers that sum to 1.
func shares(y []float32) {
	sum := float32(0)
	for _, v := range y {
		sum += v
	}
	for i := range y {
		y[i] /= sum
	}
}

// chain is tokens that follow from the one before and a coin; the target is the
// next one.
func (g *golden) chain(b *Batch, coins []float32) {
	steps := g.Input[0]
	for r := range g.Batch {
		coins := coins[r*(steps+1):][:steps+1]
		token := int32((coins[0]*0.5 + 0.5) * float32(g.Tokens))
		for _, coin := range coins[1:] {
			b.Tokens = append(b.Tokens, token)
			token = 3*token + 1
			if coin > 0 {
				token++
			}
			token %= int32(g.Tokens)
			b.Classes = append(b.Classes, token)
		}
	}
}

// The loss of ten steps, the first gradient and the last parameters are those
// of PyTorch; of the large networks, the loss of fifty steps.
//
// Both compute in float32. A gradient is a sum of fewer than 2^10 terms, so the
// two differ by less than 2^-14 of its largest element. Over ten steps such
// differences may grow by the curvature, about tenfold; Adam turns differences
// of small gradients into differences of steps.
func TestGolden(t *testing.T) {
	files, err := filepath.Glob("testdata/golden/*.json")
	if err != nil || len(files) == 0 {
		t.Fatal("no golden files", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".json"), func(t *testing.T) {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			var g golden
			if err := json.Unmarshal(data, &g); err != nil {
				t.Fatal(err)
			}
			g.compare(t, true)
			g.compare(t, false)
		})
	}
}

// step does step s and returns the exponents that it was done with.
func (g *golden) step(tr *Trainer, s int) (exponents []int32, o Outcome, err error) {
	for o.Repeat = true; o.Repeat && err == nil; {
		if err = tr.Gradient(g.batch(s), nil); err == nil {
			exponents = slices.Clone(tr.exponents)
			o, err = tr.Commit()
		}
	}
	return exponents, o, err
}

// lastGradient is the mean gradient by parameter j in the last step.
func lastGradient(tr *Trainer, j int, exponents []int32) []float32 {
	p := tr.plan.params[j]
	g := slices.Clone(tr.floats[p.offset:][:p.Size()])
	if tr.plan.spec.Exact {
		now := tr.exponents
		tr.exponents = exponents
		tr.meanExact(g, j, 0)
		tr.exponents = now
	}
	return g
}

func (g *golden) compare(t *testing.T, exact bool) {
	tr := newTrainer(t, g.plan(t, exact), g.Batch, g.Lanes)
	fillGolden(tr)
	for s := range g.Steps {
		if g.Curve && s == 2 && (testing.Short() || tr.eng.ISA() == "portable") {
			return // the large networks take too long without SIMD
		}
		exponents, o, err := g.step(tr, s)
		if err != nil {
			t.Fatal(err)
		}
		tolerance := 1e-5 * (1 + math.Abs(g.Losses[s]))
		if g.Curve {
			tolerance = 1e-3 * math.Abs(g.Losses[s])
		}
		if math.Abs(o.Loss-g.Losses[s]) > tolerance {
			t.Fatalf("step %d: loss %.8g, PyTorch %.8g", s, o.Loss, g.Losses[s])
		}
		if g.Numbers != nil {
			near(t, "numbers", float32s(o.Metrics), g.Numbers[s], tolerance)
		}
		if s == 0 && !g.Curve && !g.changesGradient() {
			for j, p := range tr.plan.params {
				near(t, "gradient of "+p.name, lastGradient(tr, j, exponents), g.Gradients[j], 1e-4)
			}
		}
	}
	if g.Curve {
		return
	}
	for j, p := range tr.plan.params {
		near(t, p.name, p.view("", tr.w).F32, g.Parameters[j], 1e-3)
	}
	for j := range tr.plan.buffers {
		near(t, tr.plan.buffers[j].name, tr.buffer(j), g.Buffers[j], 1e-4)
	}
}

// changesGradient reports whether an update leaves something else than the mean
// gradient in its buffer.
func (g *golden) changesGradient() bool {
	return strings.HasPrefix(g.Name, "clip_") || g.Name == "lamb" || g.Name == "elastic_net"
}

func float32s(x []float64) []float32 {
	y := make([]float32, len(x))
	for i, v := range x {
		y[i] = float32(v)
	}
	return y
}

// near compares with the largest element as scale.
func near(t *testing.T, what string, got []float32, want []float64, tolerance float64) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s: %d elements, PyTorch has %d", what, len(got), len(want))
	}
	scale := 1e-2
	for _, w := range want {
		scale = max(scale, math.Abs(w))
	}
	for i, w := range want {
		if math.Abs(float64(got[i])-w) > tolerance*scale {
			t.Fatalf("%s[%d] = %g, PyTorch %g", what, i, got[i], w)
		}
	}
}
