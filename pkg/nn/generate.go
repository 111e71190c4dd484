package nn

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/lockstep-ml/lockstep/internal/philox"
)

// Choice says how the next token of a text is chosen by what the model gives.
type Choice struct {
	// Temperature divides the logarithms of the probabilities: below 1 it is the
	// likely tokens that gain. 0 takes the likeliest.
	Temperature float64
	// TopK leaves only so many of the likeliest; 0 leaves all.
	TopK int
	// Seed decides what is drawn.
	Seed uint64
	// First is the first token that may be chosen.
	First int32
}

// Generator continues a text, one token after the other, by a model that says at
// every position of a window which token comes next. Each costs a forward pass of
// the window. What it draws depends on the model, the text and the choice only.
type Generator struct {
	trainer *Trainer
	choice  Choice
	batch   Batch // the window: the end of the text, and behind it anything
	known   int   // tokens of the text in the window
	drawn   uint64

	order   []int32 // scratch
	weights []float64
}

// NewGenerator begins behind a text of at least one token. It refuses models
// that cannot continue one. The trainer must not be used otherwise meanwhile.
func NewGenerator(t *Trainer, c Choice, text []int32) (*Generator, error) {
	in, out := t.plan.in, t.plan.Output()
	switch {
	case in.Tokens == 0 || len(in.Shape) != 1:
		return nil, errors.New("the model reads no text")
	case !slices.Equal(out, []int{in.Shape[0], in.Tokens}):
		return nil, fmt.Errorf("the model does not continue a text: it gives %s, but expected was a number for each of %d tokens at each of %d positions",
			shapeString(out), in.Tokens, in.Shape[0])
	case !(c.Temperature >= 0) || math.IsInf(c.Temperature, 0) || c.TopK < 0 || c.First < 0 || int(c.First) >= in.Tokens:
		return nil, fmt.Errorf("nn: a choice of %+v cannot be made", c)
	case len(text) == 0 || slices.Min(text) < 0 || int(slices.Max(text)) >= in.Tokens:
		return nil, fmt.Errorf("nn: a text to continue has one or more tokens of 0 to %d", in.Tokens-1)
	}
	g := &Generator{trainer: t, choice: c, batch: Batch{Tokens: make([]int32, in.Shape[0])}}
	if err := g.tryOrder(); err != nil {
		return nil, err
	}
	g.known = copy(g.batch.Tokens, text[max(0, len(text)-in.Shape[0]):])
	return g, nil
}

// tryOrder refuses a model that looks ahead: one where other tokens from some
// position on change what it gives before. That is tried out, so it holds for
// layers of any kind.
func (g *Generator) tryOrder() error {
	window, n := g.batch.Tokens, int32(g.trainer.plan.in.Tokens)
	draws := philox.New(0, philox.Tokens+1, 0, 0, 0)
	for i := range window {
		window[i] = int32(draws.Uint32(uint64(i)) % uint32(n))
	}
	y, err := g.trainer.Predict(&g.batch, 1)
	if err != nil {
		return err
	}
	first := slices.Clone(y)
	for cut := 1; cut < len(window); cut *= 2 {
		kept := slices.Clone(window[cut:])
		for i := range kept {
			window[cut+i] = (kept[i] + 1) % n
		}
		if y, err = g.trainer.Predict(&g.batch, 1); err != nil {
			return err
		}
		copy(window[cut:], kept)
		if slices.CompareFunc(y[:cut*int(n)], first[:cut*int(n)], cmp.Compare) != 0 {
			return fmt.Errorf("the model does not continue a text: what it gives at its first %d of %d positions depends on later ones; "+
				"attention needs causal: true, and recurrent layers must not be bidirectional", cut, len(window))
		}
	}
	return nil
}

// Next chooses the token that follows the text, and adds it.
func (g *Generator) Next() (int32, error) {
	y, err := g.trainer.Predict(&g.batch, 1)
	if err != nil {
		return 0, err
	}
	n := g.trainer.plan.in.Tokens
	token, err := g.choose(y[(g.known-1)*n:][:n])
	if err != nil {
		return 0, err
	}
	window := g.batch.Tokens
	if g.known == len(window) {
		g.known = copy(window, window[1:])
	}
	window[g.known] = token
	g.known++
	g.drawn++
	return token, nil
}

// choose takes one of the tokens by what the model gives for each.
func (g *Generator) choose(y []float32) (int32, error) {
	order := g.order[:0]
	for i := g.choice.First; int(i) < len(y); i++ {
		order = append(order, i)
	}
	g.order = order
	slices.SortFunc(order, func(a, b int32) int { return cmp.Or(cmp.Compare(y[b], y[a]), cmp.Compare(a, b)) })
	best, last := g.log(y[order[0]]), float64(y[order[len(order)-1]])
	switch {
	case math.IsNaN(last): // NaN is behind all numbers
		return 0, errors.New("the model gives NaN for a token")
	case math.IsInf(best, 0):
		return 0, fmt.Errorf("the model gives %v for the likeliest token", best)
	}
	if g.choice.Temperature == 0 {
		return order[0], nil
	}
	if g.choice.TopK > 0 {
		order = order[:min(g.choice.TopK, len(order))]
	}
	weights, sum := g.weights[:0], 0.0
	for _, i := range order {
		w := exp64((g.log(y[i]) - best) / g.choice.Temperature)
		weights = append(weights, w)
		sum += w
	}
	g.weights = weights
	i, upTo := 0, weights[0]
	for at := g.draw() * sum; upTo <= at; upTo += weights[i] { // at < sum, as the draw is below 1
		i++
	}
	return order[i], nil
}

// log is the logarithm of a probability, up to a constant, that the model gives as
// y.
func (g *Generator) log(y float32) float64 {
	p := g.trainer.plan
	switch {
	case !isSoftmax(p.nodes[p.nets[0].to-1].Layer):
		return float64(y)
	case y > 0:
		return log64(float64(y))
	}
	return never
}

// draw is a number in [0, 1) with 53 random bits, another for every token.
func (g *Generator) draw() float64 {
	w := philox.New(g.choice.Seed, philox.Tokens, 0, 0, 0).Block(g.drawn)
	return float64(uint64(w[0])<<21|uint64(w[1])>>11) * 0x1p-53
}
