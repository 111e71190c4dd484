package nn

// autoencoder compares what the model gives for a record with the record
// itself. With noise or mask the model sees a corrupted record: it learns to
// repair.
type autoencoder struct {
	noise, mask float32
}

// The random numbers of denoising, kept apart by Step.Stream.
const (
	noiseStream = iota
	maskStream
)

func autoencoderKind() RecipeKind {
	return RecipeKind{
		Entry: Entry{Name: "autoencoder", Class: classRecipe,
			Summary: "the record is its own target; targets of the data set are not looked at"},
		Fit: func(s *RecipeSite) FittedRecipe { return fitAutoencoder(s, autoencoder{}) },
	}
}

func denoisingKind() RecipeKind {
	return RecipeKind{
		Entry: Entry{Name: "denoising_autoencoder", Class: classRecipe,
			Summary: "the model sees the record with noise, in training and when it is evaluated; the target is the record without",
			Fields: []Field{
				number("noise", 0.3, "standard deviation of the normal numbers that are added").min(0),
				number("mask", 0, "share of the numbers that are then set to 0").min(0).below(1),
			}},
		Fit: func(s *RecipeSite) FittedRecipe {
			a := autoencoder{noise: float32(s.Float("noise")), mask: float32(s.Float("mask"))}
			if a.noise == 0 && a.mask == 0 {
				s.Fail("", "noise and mask are 0, so nothing is to be repaired; give one of them, or use autoencoder")
			}
			return fitAutoencoder(s, a)
		},
	}
}

func fitAutoencoder(s *RecipeSite, a autoencoder) FittedRecipe {
	if s.samples() > 0 {
		s.Fail("", "a model with a %s layer is a variational_autoencoder", sampleName)
	}
	f := s.ownTarget(a)
	if a != (autoencoder{}) {
		f.Keep = []int{size(s.Data.Shape), size(s.Data.Shape)}
	}
	return f
}

// ownTarget fits a recipe whose records are their own targets.
func (s *RecipeSite) ownTarget(r Recipe) FittedRecipe {
	s.numbers("an autoencoder")
	return FittedRecipe{Recipe: r, Input: Value{Shape: s.Data.Shape}, Target: Target{Kind: TargetValue, Shape: s.Data.Shape}, OwnTarget: true}
}

func (a autoencoder) Step(s *Step) {
	x := s.X()
	if a != (autoencoder{}) {
		x = a.corrupt(s)
	}
	model := s.Network(0)
	model.Forward(x)
	model.Loss(Targets{Y: s.X()})
	model.Backward()
}

// corrupt returns the records with noise.
func (a autoencoder) corrupt(s *Step) []float32 {
	x, draws := s.Keep(0), s.Keep(1)
	copy(x, s.X())
	if a.noise > 0 {
		s.Normal(draws, noiseStream)
		s.Engine().Scale(draws, a.noise)
		s.Engine().Add(x, x, draws)
	}
	if a.mask > 0 {
		s.Uniform(draws, maskStream)
		for i, u := range draws {
			if u < a.mask {
				x[i] = 0
			}
		}
	}
	return x
}
