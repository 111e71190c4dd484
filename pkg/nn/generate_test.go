package nn

import (
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/lockstep-ml/lockstep/pkg/tensor"
)

const writerTokens = 7

// writer is a model of windows of 5 tokens that ends in a number for each of
// writerTokens.
func writer(specs ...[]any) checkedNetwork {
	specs = append([][]any{l("embedding", "dim", 6)}, specs...)
	return checkedNetwork{classSpec(2, layers(append(specs, l("dense", "units", writerTokens))...)),
		Input{Shape: []int{5}, Tokens: writerTokens, Target: Target{Kind: TargetClass, Classes: writerTokens, Shape: []int{5}}}}
}

// writers are models that can continue a text.
func writers() map[string]checkedNetwork {
	probabilities := writer(l("gru", "units", 9))
	probabilities.spec.Model = append(probabilities.spec.Model, makeNode("softmax"))
	return map[string]checkedNetwork{
		"attention": writer(l("positions", "name", "x"), l("attention", "heads", 2, "causal", true, "name", "a"), l("add", "from", []string{"x", "a"}),
			l("layer_norm"), l("dense", "units", 8), l("gelu"), l("dropout")),
		"lstm":          writer(l("lstm", "units", 9)),
		"probabilities": probabilities,
		"convolution":   writer(l("transpose"), l("pad", "before", 2, "axis", 1), l("conv1d", "filters", 4), l("tanh"), l("transpose")),
	}
}

// written is what a model adds to a text.
func written(t *testing.T, tr *Trainer, c Choice, n int, text ...int32) []int32 {
	t.Helper()
	g, err := NewGenerator(tr, c, text)
	if err != nil {
		t.Fatal(err)
	}
	added := make([]int32, n)
	for i := range added {
		if added[i], err = g.Next(); err != nil {
			t.Fatal(err)
		}
	}
	return added
}

// The likeliest token is that of a forward pass over the end of the text, whatever
// stands behind it, also when the text is longer than the window.
func TestGeneratorTakesTheLikeliest(t *testing.T) {
	for name, w := range writers() {
		tr := newTrainer(t, mustPlan(t, w.spec, w.in), 1, 1)
		text := []int32{3, 1}
		got := written(t, tr, Choice{First: 2}, 9, text...)
		for i, token := range got {
			end := text[max(0, len(text)-5):]
			window := append(slices.Clone(end), 6, 6, 6, 6, 6)[:5]
			y, err := tr.Predict(&Batch{Tokens: window}, 1)
			if err != nil {
				t.Fatal(err)
			}
			best := int32(2)
			for j := best; j < writerTokens; j++ {
				if row := y[(len(end)-1)*writerTokens:]; row[j] > row[best] {
					best = j
				}
			}
			if token != best {
				t.Errorf("%s: token %d is %d, the likeliest behind %v is %d", name, i, token, text, best)
			}
			text = append(text, token)
		}
		if one := written(t, tr, Choice{TopK: 1, Temperature: 2, Seed: 9, First: 2}, 9, 3, 1); !slices.Equal(one, got) {
			t.Errorf("%s: one of one is %v, the likeliest %v", name, one, got)
		}
	}
}

// What is drawn is the same on every processor, and depends on the seed.
func TestGeneratorDrawsAlikeEverywhere(t *testing.T) {
	want := map[string][]int32{
		"attention":     {4, 2, 1, 1, 2, 5, 4, 1, 5, 6, 5, 0, 3, 1, 1, 1, 2, 1, 3, 2, 3, 5, 1, 4},
		"lstm":          {1, 0, 1, 0, 0, 6, 2, 5, 6, 4, 6, 3, 5, 5, 0, 1, 1, 0, 5, 0, 5, 6, 6, 4},
		"probabilities": {6, 0, 1, 0, 5, 6, 5, 3, 6, 4, 0, 2, 3, 5, 0, 0, 5, 6, 5, 0, 3, 6, 6, 4},
		"convolution":   {3, 5, 2, 3, 4, 0, 6, 3, 4, 5, 2, 1, 3, 0, 3, 0, 1, 4, 0, 2, 3, 4, 0, 1},
	}
	for name, w := range writers() {
		for _, isa := range tensor.ISAs() {
			tr, err := NewTrainer(newEngineOf(t, tensor.Config{ISA: isa, Threads: 2}), mustPlan(t, w.spec, w.in), 1, 1)
			if err != nil {
				t.Fatal(err)
			}
			tr.Init()
			c := Choice{Temperature: 0.7, Seed: 5}
			got := written(t, tr, c, 24, 4)
			if !slices.Equal(got, want[name]) {
				t.Errorf("%s, %s: %#v, want %v", name, isa, got, want[name])
			}
			if longer := written(t, tr, c, 30, 4); !slices.Equal(longer[:24], got) {
				t.Errorf("%s, %s: a longer text begins otherwise", name, isa)
			}
			c.Seed++
			if slices.Equal(written(t, tr, c, 24, 4), got) {
				t.Errorf("%s, %s: another seed draws the same", name, isa)
			}
		}
	}
}

// Tokens come as often as the temperature makes of their probabilities.
func TestGeneratorDrawsFairly(t *testing.T) {
	w := writers()["lstm"]
	tr := newTrainer(t, mustPlan(t, w.spec, w.in), 1, 1)
	y := []float32{50, 1, float32(math.Inf(-1)), 2, 1, 0, -1}
	for _, c := range []struct {
		choice Choice
		may    []int // the tokens that can be drawn
	}{
		{Choice{Temperature: 1, First: 1}, []int{1, 3, 4, 5, 6}},
		{Choice{Temperature: 0.5, First: 1}, []int{1, 3, 4, 5, 6}},
		{Choice{Temperature: 2, First: 1, TopK: 2}, []int{1, 3}}, // of equal ones the first
		{Choice{Temperature: 1, First: 4, TopK: 99}, []int{4, 5, 6}},
		{Choice{Temperature: 1e-300, First: 1}, []int{3}},
		{Choice{}, []int{0}},
	} {
		g, err := NewGenerator(tr, c.choice, []int32{0})
		if err != nil {
			t.Fatal(err)
		}
		sum := 0.0
		for _, i := range c.may {
			sum += math.Exp(float64(y[i]-y[c.may[0]]) / max(c.choice.Temperature, 1e-9))
		}
		const draws = 20000
		var count [writerTokens]float64
		for range draws {
			token, err := g.choose(y)
			if err != nil {
				t.Fatal(err)
			}
			count[token]++
			g.drawn++
		}
		for i, n := range count {
			want := 0.0
			if len(c.may) == 1 && slices.Contains(c.may, i) {
				want = draws
			} else if slices.Contains(c.may, i) {
				want = draws * math.Exp(float64(y[i]-y[c.may[0]])/c.choice.Temperature) / sum
			}
			if math.Abs(n-want) > 4*math.Sqrt(want) { // a deviation is at most the root
				t.Errorf("%+v: token %d comes %v times, want about %.0f", c.choice, i, n, want)
			}
		}
	}
}

func TestGeneratorRefuses(t *testing.T) {
	class := checkedNetwork{classSpec(2, layers(l("embedding", "dim", 6), l("lstm", "units", 5, "output", "last"), l("dense", "units", 3))),
		Input{Shape: []int{5}, Tokens: 7, Target: Target{Kind: TargetClass, Classes: 3}}}
	good := writers()["lstm"]
	bad := "cannot be made"
	for name, c := range map[string]struct {
		network checkedNetwork
		choice  Choice
		text    []int32
		want    string
	}{
		"attention that looks ahead": {writer(l("attention", "heads", 2)), Choice{}, []int32{1}, "causal: true"},
		"two directions":             {writer(l("gru", "units", 3, "bidirectional", true)), Choice{}, []int32{1}, "must not be bidirectional"},
		"a filter to both sides":     {writer(l("transpose"), l("conv1d", "filters", 4, "same", true), l("transpose")), Choice{}, []int32{1}, "its first 1 of 5 positions"},
		"a class of the text":        {class, Choice{}, []int32{1}, "it gives (3)"},
		"numbers":                    {networks()["sequence"], Choice{}, []int32{1}, "reads no text"},
		"no text":                    {good, Choice{}, nil, "one or more tokens"},
		"an unknown token":           {good, Choice{}, []int32{7}, "one or more tokens of 0 to 6"},
		"a negative token":           {good, Choice{}, []int32{-1}, "one or more tokens of 0 to 6"},
		"a negative temperature":     {good, Choice{Temperature: -1}, []int32{1}, bad},
		"no temperature":             {good, Choice{Temperature: math.NaN()}, []int32{1}, bad},
		"an endless temperature":     {good, Choice{Temperature: math.Inf(1)}, []int32{1}, bad},
		"a negative number of them":  {good, Choice{TopK: -1}, []int32{1}, bad},
		"nothing to choose":          {good, Choice{First: 7}, []int32{1}, bad},
	} {
		tr := newTrainer(t, mustPlan(t, c.network.spec, c.network.in), 1, 1)
		if _, err := NewGenerator(tr, c.choice, c.text); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want %q", name, err, c.want)
		}
	}
}

// Weights that training has ruined are told, not drawn by.
func TestGeneratorOfRuinedWeights(t *testing.T) {
	w := writers()["attention"]
	tr := newTrainer(t, mustPlan(t, w.spec, w.in), 1, 1)
	g, err := NewGenerator(tr, Choice{Temperature: 1}, []int32{1})
	if err != nil {
		t.Fatal(err)
	}
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	for _, y := range [][]float32{{0, nan, 2}, {nan, 1, 2}, {0, inf, 2}, {-inf, -inf, -inf}} {
		if token, err := g.choose(y); err == nil {
			t.Errorf("token %d of %v", token, y)
		}
	}
	for i := range tr.w {
		tr.w[i] = nan
	}
	if token, err := g.Next(); err == nil {
		t.Errorf("token %d of nothing but NaN", token)
	}
}
