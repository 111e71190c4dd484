package nn

import "slices"

// gan trains the model, a generator, against a discriminator:
//
//	z     latent normal numbers, one vector a record
//	G(z)  a generated record
//	D(x)  one number: the higher, the more real x looks
//
//	discriminator   mean of loss(D(x), 1) and loss(D(G(z)), 0)
//	generator       loss(D(G(z)), 1)
//
// With loss binary_cross_entropy that is the GAN with the loss that does not
// saturate, with mse the least squares GAN. Where one of them has batch_norm, real
// and generated records have statistics of their own.
//
// Step after step the networks take turns, discriminator_steps updates of the
// discriminator and one of the generator: algorithm 1 of the first source. So a
// step stays one update with one sum over the ranks, and it always reports both
// losses. With discriminator_steps 0 every step updates both, by gradients at the
// same parameters ("simultaneous" descent, section 3 of the second source).
//
// Sources: I. Goodfellow et al., "Generative Adversarial Nets", NIPS 2014;
// I. Goodfellow, "NIPS 2016 Tutorial: Generative Adversarial Networks"; A. Radford,
// L. Metz, S. Chintala, "Unsupervised Representation Learning with Deep
// Convolutional Generative Adversarial Networks", ICLR 2016.
type gan struct {
	real     float32 // target of real records
	boundary float32 // outputs above it mean real
}

// The networks, numbers and buffers of a gan.
const (
	generatorNet = iota
	discriminatorNet
)

const (
	discriminatorLoss = iota
	generatorLoss
	toldApart
)

const (
	latentKeep = iota
	targetKeep
	verdictKeep
)

func ganKind() RecipeKind {
	return RecipeKind{
		Entry: Entry{Name: "gan", Class: classRecipe,
			Summary: "the model makes records of normal numbers, against a discriminator that learns to tell them from real ones; the loss judges the discriminator's one output",
			Fields: []Field{
				integer("latent", 64, "how many normal numbers the model makes a record of").min(1).max(1 << 20),
				{Name: "discriminator", Type: typeLayers, Required: true, Summary: "the layers of the discriminator; the last gives one number"},
				{Name: "optimizer", Type: typeOptimizer, Summary: "the optimizer of the discriminator; like the model's if not given"},
				integer("discriminator_steps", 1, "updates of the discriminator for each update of the model, in steps of their own; 0 updates both in every step").min(0).max(100),
				number("smoothing", 0, "real records count as 1 less this for the discriminator").min(0).below(1),
			}},
		Fit: fitGAN,
	}
}

func fitGAN(s *RecipeSite) FittedRecipe {
	s.numbers("gan")
	for _, m := range s.Spec.Metrics {
		s.Fail(m.Path, "gan has no target for a metric; it reports discriminator_loss, generator_loss and told_apart")
	}
	g := gan{real: float32(1 - s.Float("smoothing")), boundary: 0.5}
	if s.Spec.Loss.Kind == "binary_cross_entropy" {
		g.boundary = 0 // the loss reads logits
	}
	discriminator := Net{Name: "discriminator", Model: s.Nodes("discriminator"), Input: Value{Shape: s.Data.Shape},
		Optimizer: s.Node("optimizer"), Passes: 2, InputGradient: true}
	if len(discriminator.Model) == 0 {
		s.Fail("", "the discriminator has no layers")
	}
	if discriminator.Optimizer.Kind == "" {
		discriminator.Optimizer = s.Spec.Optimizer
	}
	latent := s.Int("latent")
	return FittedRecipe{Recipe: g, Input: Value{Shape: []int{latent}}, Drawn: true, Output: s.Data.Shape,
		Target: Target{Kind: TargetValue}, Networks: []Net{discriminator}, Alternation: alternation(s.Int("discriminator_steps")), Keep: []int{latent, 1, 1},
		Numbers: []string{"discriminator_loss", "generator_loss", "told_apart"}}
}

// alternation are so many updates of the discriminator, then one of the generator.
func alternation(discriminator int) []int {
	if discriminator == 0 {
		return nil
	}
	return append(slices.Repeat([]int{discriminatorNet}, discriminator), generatorNet)
}

func (g gan) Step(s *Step) {
	generator, discriminator := s.Network(generatorNet), s.Network(discriminatorNet)
	latent := s.Keep(latentKeep)
	s.Normal(latent, 0)
	made := generator.Forward(latent)

	g.judge(s, s.X(), g.real)
	g.judge(s, made, 0)

	// The same output, as the generator would like it to be.
	discriminator.LossFor(generator, g.target(s, 1))
	s.Report(generatorLoss, discriminator.Losses())
	if s.Updates(generatorNet) {
		discriminator.BackwardInput()
		copy(generator.Gradient(), discriminator.InputGradient())
		generator.Backward()
	}
}

// judge applies the discriminator to records of one kind, and trains it on them
// where the step updates it.
func (g gan) judge(s *Step, x []float32, target float32) {
	discriminator := s.Network(discriminatorNet)
	out := discriminator.Forward(x)
	discriminator.Loss(g.target(s, target))
	s.Report(discriminatorLoss, discriminator.Losses())
	right := s.Keep(verdictKeep)
	for i, y := range out {
		right[i] = 0
		if (y > g.boundary) == (target > 0) {
			right[i] = 1
		}
	}
	s.Report(toldApart, right)
	if s.Updates(discriminatorNet) {
		discriminator.Backward()
	}
}

func (g gan) target(s *Step, y float32) Targets {
	s.Engine().Fill(s.Keep(targetKeep), y)
	return Targets{Y: s.Keep(targetKeep)}
}
