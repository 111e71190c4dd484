package nn

// supervised compares what the model gives for a record with the record's
// target. What the target is (a class, numbers, the next token, a rating) is the
// data set's to say.
type supervised struct{}

const supervisedName = "supervised"

func supervisedKind() RecipeKind {
	return RecipeKind{
		Entry: Entry{Name: supervisedName, Class: classRecipe,
			Summary: "the model's output is compared with the target of the record"},
		Fit: func(s *RecipeSite) FittedRecipe {
			return FittedRecipe{Recipe: supervised{}, Input: Value{Shape: s.Data.Shape, Tokens: s.Data.Tokens}, Target: s.Data.Target}
		},
	}
}

func (supervised) Step(s *Step) {
	model := s.Network(0)
	model.Forward(s.X())
	model.Loss(s.Target())
	model.Backward()
}
