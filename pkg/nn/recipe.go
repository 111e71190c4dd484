package nn

import "slices"

// Recipe is what a step does with a batch: which network runs on what, and what
// the loss compares. It holds what it was fitted with and no buffers; those come
// with the Step.
//
// A step is one update of every network, or of the one that Alternation names, by
// one gradient each, taken at the same parameters. All that is random in it comes from Step.Stream. So it can be
// thrown away and computed again, and no lane depends on another.
type Recipe interface {
	// Step computes the losses of a batch and, when s.Training(), their gradients.
	Step(s *Step)
}

// Kinds are kinds of things that a program brings beside those of the Catalogue.
type Kinds struct {
	Layers  []LayerKind
	Recipes []RecipeKind
}

// Entries are what a job file can say about the kinds.
func (k Kinds) Entries() []Entry {
	var all []Entry
	for _, l := range k.Layers {
		if l.Class != classActivation {
			l.Class = classLayer
		}
		all = append(all, l.Entry)
	}
	for _, r := range k.Recipes {
		r.Class = classRecipe
		all = append(all, r.Entry)
	}
	return all
}

// RecipeKind is one line of the table of recipes: what a job can say about it
// and how it is fitted to the job.
type RecipeKind struct {
	Entry
	// Fit checks that the recipe fits the job and says what it needs. What is
	// wrong goes to s.Fail; the result is then ignored.
	Fit func(s *RecipeSite) FittedRecipe
}

// RecipeSite is the job that a recipe is to fit.
type RecipeSite struct {
	// Args are the recipe's fields.
	Args
	// Spec is the job, Data its records.
	Spec Spec
	Data Input

	path string
	errs *Errors
}

// Fail reports that the recipe does not fit. path is that of a Node of the job;
// empty is the recipe's own.
func (s *RecipeSite) Fail(path, format string, args ...any) {
	if path == "" {
		path = s.path
	}
	s.errs.addf(path, format, args...)
}

// numbers checks that records are numbers.
func (s *RecipeSite) numbers(kind string) bool {
	if s.Data.Tokens > 0 {
		s.Fail("", "%s works on records of numbers, but the data are tokens", kind)
	}
	return s.Data.Tokens == 0
}

// FittedRecipe is what a recipe needs.
type FittedRecipe struct {
	Recipe Recipe
	// Input is what the model reads, Target what the loss and the metrics compare
	// with.
	Input  Value
	Target Target
	// Drawn means that the model reads no records but normal numbers.
	Drawn bool
	// OwnTarget means that the target of a record is the record.
	OwnTarget bool
	// Output is the shape that the model's output must have the size of; nil
	// leaves it to the loss.
	Output []int
	// Networks are those beside the model. The loss reads the output of the last.
	Networks []Net
	// Alternation are the networks that are updated, one a step, over and over
	// again. Without it every step updates all.
	Alternation []int
	// PerRecord means that the loss is that of a record, a sum over its elements,
	// and not their mean.
	PerRecord bool
	// Numbers are the names of what the recipe reports beside the loss, with
	// Step.Report.
	Numbers []string
	// Keep are sizes, in elements a record, of buffers: Step.Keep.
	Keep []int
}

// Net is a network that a recipe trains beside the model.
type Net struct {
	// Name is what the names of its tensors begin with.
	Name string
	// Model are its layers, Input what they read.
	Model []Node
	Input Value
	// Optimizer changes its parameters, by the schedule of the job.
	Optimizer Node
	// Passes is how often it is applied in a step; 0 means once. So many times
	// may Network.Backward be called after it.
	Passes int
	// InputGradient means that Backward also finds the gradient by the input.
	InputGradient bool
}

// recipeKinds is the table of recipes.
func recipeKinds() []RecipeKind {
	return []RecipeKind{supervisedKind(), autoencoderKind(), denoisingKind(), variationalKind(), ganKind()}
}

// fitRecipe finds the recipe of the job.
func (p *Plan) fitRecipe(errs *Errors) {
	n := p.spec.Recipe
	if n.Kind == "" {
		n.Kind = supervisedName
	}
	kind, ok := lookup(slices.Concat(p.spec.Custom.Recipes, recipeKinds()), n, "recipe", errs)
	if !ok {
		return
	}
	before := len(*errs)
	site := &RecipeSite{Args: kind.args(n, errs), Spec: p.spec, Data: p.in, path: n.Path, errs: errs}
	if len(*errs) == before {
		p.recipe = kind.Fit(site)
	}
}
