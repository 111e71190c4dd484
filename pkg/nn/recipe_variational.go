package nn

// variational is an autoencoder whose code is drawn by a gaussian_sample layer,
// in training and when it is evaluated. The loss of a record is the negative
// evidence lower bound, in nats where the job's loss is a likelihood's, as
// binary_cross_entropy is:
//
//	sum over the elements of the loss + beta * divergence of the code
//
// Source: D. Kingma, M. Welling, "Auto-Encoding Variational Bayes", ICLR 2014.
type variational struct{}

// The numbers that variational reports.
const (
	variationalOutput = iota
	variationalCode
)

func variationalKind() RecipeKind {
	return RecipeKind{
		Entry: Entry{Name: "variational_autoencoder", Class: classRecipe,
			Summary: "an autoencoder whose code a gaussian_sample layer draws; the loss is the negative evidence lower bound of a record, a sum over its elements"},
		Fit: func(s *RecipeSite) FittedRecipe {
			if n := s.samples(); n != 1 {
				s.Fail("", "needs one gaussian_sample layer in the model, which draws the code; there are %d", n)
			}
			f := s.ownTarget(variational{})
			f.PerRecord, f.Numbers = true, []string{"reconstruction", "divergence"}
			return f
		},
	}
}

// samples is the number of layers of the model that draw a code.
func (s *RecipeSite) samples() int {
	n := 0
	for _, layer := range s.Spec.Model {
		if layer.Kind == sampleName {
			n++
		}
	}
	return n
}

func (variational) Step(s *Step) {
	model := s.Network(0)
	model.Forward(s.X())
	model.Loss(Targets{Y: s.X()})
	s.Report(variationalOutput, model.Losses())
	s.Report(variationalCode, model.LayerLosses())
	model.Backward()
}
