package main

import "github.com/lockstep-ml/lockstep/pkg/nn"

// noisy is a recipe: the model learns the targets of records to which normal
// numbers were added, other ones in every step. It is evaluated on the records as
// they are.
type noisy struct{ deviation float32 }

func noisyKind() nn.RecipeKind {
	least := 0.0
	return nn.RecipeKind{
		Entry: nn.Entry{Name: "noisy", Summary: "the model's output for the record with noise is compared with the target of the record",
			Fields: []nn.Field{{Name: "deviation", Type: "number", Default: 0.1, Min: &least, Short: true, Summary: "standard deviation of the noise"}}},
		Fit: fitNoisy,
	}
}

// fitNoisy says what the model reads, what the loss compares with, and that the
// recipe keeps a record's numbers from one call to the next.
func fitNoisy(s *nn.RecipeSite) nn.FittedRecipe {
	if s.Data.Tokens > 0 {
		s.Fail("", "noisy works on records of numbers, but the data are tokens")
		return nn.FittedRecipe{}
	}
	size := 1
	for _, d := range s.Data.Shape {
		size *= d
	}
	return nn.FittedRecipe{Recipe: noisy{float32(s.Float("deviation"))}, Input: nn.Value{Shape: s.Data.Shape}, Target: s.Data.Target, Keep: []int{size}}
}

// Step draws from Step.Normal, which follows from the seed, the step and the place
// of the record in its lane: so the noise is the same whoever computes it.
func (r noisy) Step(s *nn.Step) {
	x := s.X()
	if s.Training() {
		x = s.Keep(0)
		s.Normal(x, 0)
		for i, v := range s.X() {
			x[i] = v + float32(r.deviation*x[i])
		}
	}
	model := s.Network(0)
	model.Forward(x)
	model.Loss(s.Target())
	model.Backward()
}
