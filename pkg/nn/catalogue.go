package nn

import (
	"slices"

	"github.com/lockstep-ml/lockstep/internal/nearest"
)

// Entry is one thing that a job file can name.
type Entry struct {
	Name string `json:"name"`
	// Class is layer, activation, loss, optimizer, schedule, recipe, metric, or
	// what another package adds.
	Class   string  `json:"kind"`
	Fields  []Field `json:"fields"`
	Summary string  `json:"summary"`
	// Shapes says, of a layer, what becomes of the shape of a record: "(a, b) -> (b, a)".
	Shapes string `json:"shapes,omitempty"`
}

// sameShape is Entry.Shapes of layers that work element by element.
const sameShape = "(…) -> (…)"

// The classes of entries.
const (
	classLayer      = "layer"
	classActivation = "activation"
	classLoss       = "loss"
	classOptimizer  = "optimizer"
	classSchedule   = "schedule"
	classMetric     = "metric"
	classRecipe     = "recipe"
)

// LayerKind is one line of the table of layers: what a job can say about it and
// how it is fitted into a network.
type LayerKind struct {
	Entry
	// Fit checks that the layer can stand at s and says what it needs there.
	// What is wrong goes to s.Fail; the result is then ignored.
	Fit func(s *Site) Fitted
}

// layerKinds is the table of layers and activations.
func layerKinds() []LayerKind {
	return slices.Concat(
		trained(denseKind(), conv2dKind(), conv1dKind(), convTransposeKind()),
		[]LayerKind{maxPoolKind(), avgPoolKind(), globalAvgPoolKind(), globalMaxPoolKind(), upsampleKind()},
		[]LayerKind{flattenKind(), reshapeKind(), transposeKind(), padKind()},
		[]LayerKind{dropoutKind(), spatialDropoutKind(), noiseKind(), sampleKind()},
		[]LayerKind{addKind(), multiplyKind(), dotKind(), concatKind()},
		trained(batchNormKind(), layerNormKind(), groupNormKind()),
		trained(embeddingKind(), positionsKind(), attentionKind()),
		trained(recurrentKinds()...),
		activationKinds(),
	)
}

// lrFactor is the field of every layer that has parameters.
const lrFactor = "lr_factor"

// trained adds the fields of layers that have parameters.
func trained(kinds ...LayerKind) []LayerKind {
	for i := range kinds {
		kinds[i].Fields = append(kinds[i].Fields, number(lrFactor, 1,
			"factor of the learning rate; 0 freezes the layer, which then works as in a finished network").min(0))
	}
	return kinds
}

// lossKinds is the table of losses.
func lossKinds() []lossKind {
	return []lossKind{crossEntropyKind(), binaryKind(), hingeKind(), divergenceKind(), mseKind(), maeLossKind(), huberKind(), ctcKind()}
}

// optimizerKinds is the table of optimisers.
func optimizerKinds() []optimizerKind {
	return []optimizerKind{sgdKind(), adamKind(), adamWKind(), lambKind(), lionKind(), rmspropKind(), adagradKind()}
}

// scheduleKinds is the table of learning rate schedules.
func scheduleKinds() []scheduleKind {
	return []scheduleKind{constantKind(), stepKind(), exponentialKind(), cosineKind(), oneCycleKind(), plateauKind()}
}

// metricKinds is the table of metrics.
func metricKinds() []metricKind {
	return []metricKind{accuracyKind(), topKKind(), precisionKind(), recallKind(), f1Kind(), rocAUCKind(), perplexityKind(),
		maeKind(), rmseKind(), r2Kind()}
}

// Catalogue lists everything that a job file can name, in the order of the
// documentation, with defaults and bounds.
func Catalogue() []Entry {
	var all []Entry
	for _, k := range layerKinds() {
		all = append(all, k.Entry)
	}
	for _, k := range lossKinds() {
		all = append(all, k.Entry)
	}
	for _, k := range optimizerKinds() {
		all = append(all, k.Entry)
	}
	for _, k := range scheduleKinds() {
		all = append(all, k.Entry)
	}
	for _, k := range metricKinds() {
		all = append(all, k.Entry)
	}
	for _, k := range recipeKinds() {
		all = append(all, k.Entry)
	}
	return all
}

// lookup finds the kind that n names. A miss is reported with the nearest name.
func lookup[K interface{ entry() Entry }](kinds []K, n Node, noun string, errs *Errors) (K, bool) {
	names := make([]string, len(kinds))
	for i, k := range kinds {
		names[i] = k.entry().Name
		if names[i] == n.Kind {
			return k, true
		}
	}
	var none K
	if n.Kind == "" {
		errs.addf(n.Path, "a %s is needed", noun)
	} else {
		errs.addf(n.Path, "there is no %s %q%s", noun, n.Kind, nearest.DidYouMean(n.Kind, names))
	}
	return none, false
}

func (e Entry) entry() Entry { return e }
