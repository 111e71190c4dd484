package nn

import (
	"maps"
	"math"
	"slices"
	"testing"

	"github.com/lockstep-ml/lockstep/pkg/tensor"
)

// checkedNetwork is a job with the form of its records.
type checkedNetwork struct {
	spec Spec
	in   Input
}

// networks are small networks that together have every layer, activation and
// loss. Each is checked for gradients and lanes.
func networks() map[string]checkedNetwork {
	type network = checkedNetwork
	value := func(shape ...int) Input {
		return Input{Shape: shape, Target: Target{Kind: TargetValue, Shape: []int{3}}}
	}
	regression := func(model []Node) Spec {
		s := classSpec(2, model)
		s.Loss, s.Metrics = makeNode("mse"), []Node{makeNode("mae"), makeNode("rmse")}
		return s
	}
	tokens := func(n int, in Input) Input { in.Tokens = n; return in }
	mixed := func(in Input) Input { in.Target.Mixed = true; return in }
	withLoss := func(loss Node, width int, in Input) network {
		s := classSpec(2, layers(l("dense", "units", 6), l("tanh"), l("dense", "units", width)))
		s.Loss, s.Metrics = loss, nil
		return network{s, in}
	}
	all := map[string]network{
		"smoothing":     withLoss(makeNode("cross_entropy", "label_smoothing", 0.2), 5, classInput(5, 4)),
		"class weights": withLoss(makeNode("cross_entropy", "class_weights", []any{1, 2.0, 0.5, 0, 3}, "ignore", 2), 5, classInput(5, 4)),
		"binary":        withLoss(makeNode("binary_cross_entropy", "positive_weight", 3.0), 1, classInput(2, 4)),
		"mixed":         withLoss(makeNode("cross_entropy", "label_smoothing", 0.2), 5, mixed(classInput(5, 4))),
		"mixed binary":  withLoss(makeNode("binary_cross_entropy", "positive_weight", 3.0), 1, mixed(classInput(2, 4))),
		"mae":           withLoss(makeNode("mae"), 3, value(4)),
		"huber":         withLoss(makeNode("huber", "delta", 0.3), 3, value(4)),
		"hinge":         withLoss(makeNode("hinge"), 5, classInput(5, 4)),
		"ctc":           withLoss(makeNode("ctc"), 4, Input{Shape: []int{7, 3}, Target: Target{Kind: TargetClass, Classes: 4, Shape: []int{3}}}),
		"conv": {classSpec(2, layers(
			l("conv2d", "filters", 4, "kernel", []any{3, 2}, "stride", []any{2, 1}, "padding", 1, "groups", 2), l("softplus"),
			l("conv2d", "filters", 3, "dilation", 2, "same", true), l("gelu"),
			l("max_pool", "size", []any{2, 3}, "stride", 1), l("avg_pool", "size", 2, "padding", 1),
			l("flatten"), l("dense", "units", 5))), classInput(5, 4, 9, 8)},
		"softmax inside": {regression(layers(l("dense", "units", 6), l("softmax"), l("dense", "units", 3, "bias", false))), value(4)},
		"residual": {classSpec(2, layers(
			l("conv2d", "filters", 4, "same", true, "name", "stem"), l("silu", "name", "a"),
			l("conv2d", "filters", 4, "same", true), l("tanh"), l("conv2d", "filters", 4, "same", true, "name", "b"),
			l("add", "from", []string{"a", "b", "a"}, "name", "sum"),
			l("conv2d", "filters", 2, "kernel", 1, "from", []string{"a"}, "name", "c"),
			l("concat", "from", []string{"sum", "c"}), l("global_avg_pool"), l("dense", "units", 5))), classInput(5, 2, 5, 4)},
		"sequence": {classSpec(2, layers(l("dense", "units", 6), l("tanh"), l("reshape", "shape", []any{3, -1}), l("dense", "units", 4))),
			Input{Shape: []int{3, 5}, Target: Target{Kind: TargetClass, Classes: 4, Shape: []int{3}}}},
		"autoencoder": {func() Spec {
			s := regression(layers(l("dense", "units", 3), l("elu"), l("dense", "units", 7)))
			s.Recipe = makeNode("autoencoder")
			return s
		}(), Input{Shape: []int{7}}},
		"grey": {classSpec(2, layers(l("conv2d", "filters", 4, "same", true), l("tanh"), l("conv2d", "filters", 4, "same", true, "groups", 4), l("silu"),
			l("max_pool", "size", 3), l("flatten"), l("dense", "units", 5))), classInput(5, 1, 10, 9)},
		"normalised": {classSpec(2, layers(l("conv2d", "filters", 4, "bias", false), l("batch_norm"), l("silu"), l("conv2d", "filters", 4), l("group_norm", "groups", 2),
			l("spatial_dropout", "rate", 0.3), l("flatten"), l("dense", "units", 6), l("batch_norm"), l("layer_norm"), l("dense", "units", 5))), classInput(5, 2, 6, 7)},
		"enlarging": {regression(layers(l("dense", "units", 12), l("reshape", "shape", []any{3, 2, 2}), l("conv_transpose2d", "filters", 4), l("tanh"),
			l("conv_transpose2d", "filters", 2, "kernel", 3, "output_padding", 1, "groups", 2), l("upsample"), l("global_avg_pool"), l("dense", "units", 3))), value(5)},
		"padded image": {classSpec(2, layers(l("conv2d", "filters", 3, "name", "x"), l("max_pool", "size", 1, "stride", 2), l("pad", "before", 1, "after", 2), l("tanh"),
			l("pad", "axis", -1, "after", 1), l("conv2d", "filters", 2, "kernel", 2), l("flatten"), l("dense", "units", 5))), classInput(5, 2, 7, 6)},
		"text": {classSpec(2, layers(l("embedding", "dim", 6), l("transpose"), l("conv1d", "filters", 4, "kernel", 2, "dilation", 2), l("softplus"), l("global_max_pool"), l("dense", "units", 3))),
			tokens(9, classInput(3, 8))},
		"lstm": {classSpec(2, layers(l("embedding", "dim", 5), l("lstm", "units", 6), l("rnn", "units", 5, "bidirectional", true), l("lstm", "units", 3, "bidirectional", true, "output", "last"), l("dense", "units", 3))),
			tokens(7, classInput(3, 6))},
		"gru": {classSpec(2, layers(l("dense", "units", 4), l("gru", "units", 6), l("gru", "units", 3, "bidirectional", true, "output", "last"), l("dense", "units", 3))), classInput(3, 6, 5)},
		"gpt": {func() Spec {
			s := classSpec(2, layers(l("embedding", "dim", 6), l("positions", "name", "x0"),
				l("layer_norm"), l("attention", "heads", 2, "causal", true, "name", "a0"), l("add", "from", []string{"x0", "a0"}, "name", "x1"),
				l("layer_norm"), l("dense", "units", 12), l("gelu"), l("dense", "units", 6, "name", "m0"), l("add", "from", []string{"x1", "m0"}),
				l("attention"), l("layer_norm"), l("dense", "units", 7)))
			s.Metrics = append(s.Metrics, makeNode("perplexity"), makeNode("top_k", "k", 2), makeNode("f1"))
			return s
		}(), tokens(7, Input{Shape: []int{5}, Target: Target{Kind: TargetClass, Classes: 7, Shape: []int{5}}})},
		"long text": {classSpec(2, layers(l("embedding", "dim", 4), l("attention", "heads", 2, "causal", true), l("transpose"), l("global_max_pool"), l("dense", "units", 3))),
			tokens(5, classInput(3, 70))},
		"many inputs": {regression(layers(l("dense", "units", 520), l("tanh"), l("dense", "units", 17), l("tanh"), l("dense", "units", 3))), value(2)},
		"ratings": {func() Spec {
			s := regression(layers(l("embedding", "dim", 4, "column", 0, "name", "user", "from", []string{"input"}), l("embedding", "dim", 4, "column", 1, "name", "film", "from", []string{"input"}),
				l("multiply", "from", []string{"user", "film"}, "name", "product"), l("dot", "from", []string{"user", "film"}, "name", "match"),
				l("embedding", "dim", 1, "column", 0, "name", "bias", "from", []string{"input"}),
				l("concat", "from", []string{"match", "bias", "product"}), l("dense", "units", 3)))
			return s
		}(), tokens(6, value(2))},
		"variational": {func() Spec {
			s := regression(layers(l("dense", "units", 6), l("tanh"), l("gaussian_noise", "deviation", 0.3), l("dense", "units", 4),
				l("gaussian_sample", "beta", 0.7), l("dense", "units", 5)))
			s.Metrics, s.Recipe = nil, makeNode("variational_autoencoder")
			return s
		}(), Input{Shape: []int{5}}},
		"gan":             {ganSpec("binary_cross_entropy", 0), classInput(3, 1, 4, 4)},
		"gan by squares":  {ganSpec("mse", 0), Input{Shape: []int{1, 4, 4}}},
		"gan alternating": {ganSpec("binary_cross_entropy", 1), classInput(3, 1, 4, 4)},
		"denoising": {func() Spec {
			s := regression(layers(l("dense", "units", 6), l("tanh"), l("dense", "units", 5), l("sigmoid")))
			s.Recipe, s.Loss = makeNode("denoising_autoencoder", "noise", 0.5, "mask", 0.3), makeNode("binary_cross_entropy")
			return s
		}(), classInput(3, 5)},
		"partly frozen": {classSpec(2, layers(l("conv2d", "filters", 3, "lr_factor", 0), l("relu"), l("batch_norm", "lr_factor", 0), l("conv2d", "filters", 3, "lr_factor", 0.1),
			l("batch_norm", "lr_factor", 0), l("tanh"), l("flatten"), l("dense", "units", 5))), classInput(5, 2, 6, 6)},
		"groups": {func() Spec {
			s := classSpec(2, layers(l("conv2d", "filters", 3, "name", "stem"), l("batch_norm", "name", "norm"), l("relu"), l("conv2d", "filters", 3, "lr_factor", 0.5, "name", "c"),
				l("batch_norm", "name", "later"), l("flatten"), l("dense", "units", 5, "name", "head")))
			s.Optimizer = makeNode("adamw", "weight_decay", 0.1, "l1", 0.01)
			s.Groups = []Group{group("stem.*|norm.*", 0, 1), group("c.bias|later.weight", 0, 1), group(".*bias|later.*", 2, 0)}
			return s
		}(), classInput(5, 2, 6, 6)},
		"padded": {classSpec(2, layers(l("embedding", "dim", 4), l("attention", "heads", 2, "padding", 2), l("lstm", "units", 4, "bidirectional", true, "padding", 2),
			l("gru", "units", 3, "padding", 2), l("rnn", "units", 3, "padding", 2, "output", "last"), l("dense", "units", 3))), tokens(4, classInput(3, 6))},
		"leaky_relu slope": {regression(layers(l("dense", "units", 8), l("leaky_relu", "slope", 0.3), l("dense", "units", 3))), value(5)},
		"elu alpha":        {regression(layers(l("dense", "units", 8), l("elu", "alpha", 0.3), l("dense", "units", 3))), value(5)},
		"dropout":          {classSpec(2, layers(l("dense", "units", 9), l("leaky_relu"), l("dropout", "rate", 0.4), l("dense", "units", 5))), classInput(5, 4)},
	}
	all["divergence"] = withLoss(makeNode("kl_divergence"), 3, value(4))
	for _, optimizer := range []Node{makeNode("adam"), makeNode("adamw", "clip_value", 0.1), makeNode("lamb", "ema", 0.9), makeNode("lion", "l1", 0.01),
		makeNode("rmsprop", "momentum", 0.5), makeNode("adagrad"), makeNode("sgd", "momentum", 0.5, "nesterov", true, "clip_norm", 0.1)} {
		s := classSpec(2, layers(l("dense", "units", 37), l("tanh"), l("dense", "units", 5)))
		s.Optimizer = optimizer
		all["optimizer "+optimizer.Kind] = network{s, classInput(5, 4)}
	}
	all["clip"] = network{regression(layers(l("dense", "units", 8), l("clip", "min", -0.25, "max", 0.5), l("dense", "units", 3))), value(5)}
	for _, act := range []string{"relu", "sigmoid", "tanh", "leaky_relu", "elu", "gelu", "silu", "softplus"} {
		all[act] = network{regression(layers(l("dense", "units", 8), l(act), l("dense", "units", 3))), value(5)}
	}
	maps.Copy(all, sumNetworks())
	return all
}

// sumNetworks are those in which sums are fused and share gradients, or cannot.
func sumNetworks() map[string]checkedNetwork {
	return map[string]checkedNetwork{
		"sums": {classSpec(2, layers(l("dense", "units", 6), l("tanh", "name", "a"), l("add", "from", []string{"a", "a"}, "name", "b"), l("dense", "units", 6, "name", "c"),
			l("add", "from", []string{"c", "b"}, "name", "d"), l("add", "from", []string{"d", "b"}, "name", "e"), l("layer_norm", "name", "f"),
			l("add", "from", []string{"f", "e"}), l("sigmoid", "name", "g"), l("add", "from", []string{"b", "g"}, "name", "h"),
			l("add", "from", []string{"h", "g", "d"}), l("relu"), l("dense", "units", 5))), classInput(5, 4)},
		"residual norms": {classSpec(2, layers(l("conv2d", "filters", 3, "name", "x0"),
			l("batch_norm"), l("tanh"), l("conv2d", "filters", 3, "same", true), l("batch_norm", "name", "b0"),
			l("add", "from", []string{"b0", "x0"}), l("tanh", "name", "x1"),
			l("conv2d", "filters", 2, "kernel", 1, "from", []string{"x1"}), l("batch_norm", "name", "b1"),
			l("conv2d", "filters", 2, "from", []string{"x1"}, "same", true), l("batch_norm", "name", "b2"),
			l("add", "from", []string{"b1", "b2"}, "name", "x2"), l("batch_norm", "name", "b3"),
			l("add", "from", []string{"x2", "b3"}), l("softplus"), l("flatten"), l("dense", "units", 6, "name", "x4"),
			l("batch_norm", "name", "b4"), l("add", "from", []string{"b4", "x4"}), l("sigmoid"), l("dense", "units", 5))), classInput(5, 2, 5, 4)},
	}
}

// lossAt is the sum of the model's loss over a batch in training, in float64.
func lossAt(t *testing.T, tr *Trainer, b *Batch) float64 { return lossOf(t, tr, b, 0) }

// lossOf is the same for a network of a recipe.
func lossOf(t *testing.T, tr *Trainer, b *Batch, net int) float64 {
	t.Helper()
	if err := tr.Gradient(b, nil); err != nil {
		t.Fatal(err)
	}
	tr.combine(tr.stats, tr.layout.words)
	return tr.total[1+2*net]
}

// The gradient of every network is that of central differences. The differences
// are those of its twin, which computes in float64: with a step h they are wrong by
// 2^-53*|loss|/h from rounding and of order h² from the third derivative, both
// below 1e-9 here. What is compared so is the rounding of the float32 gradient
// itself: sums of fewer than 2^10 terms, along fewer than 2^5 layers and steps, that
// are wrong by less than 2^-16 of the largest of the network.
func TestGradients(t *testing.T) {
	for name, n := range networks() {
		t.Run(name, func(t *testing.T) {
			n.spec.Exact = false
			tr := newTrainer(t, mustPlan(t, n.spec, n.in), 7, 2)
			b := makeBatch(n.in, 1, 4, 3)
			b.Weights = []float32{1, 2, 0, 0.5, 1, 1, 3}
			for r := 0; n.spec.Loss.Kind == "kl_divergence" && r < len(b.Y); r += 3 {
				for i, v := range b.Y[r:][:3] {
					b.Y[r+i] = v * v
				}
				shares(b.Y[r:][:3])
			}
			for range max(1, len(tr.plan.recipe.Alternation)) {
				compareGradient(t, tr, b)
				tr.updates[0]++
			}
		})
	}
}

// compareGradient compares the gradient of the networks that the next step
// updates, and the loss itself, with those of the twin.
func compareGradient(t *testing.T, tr *Trainer, b *Batch) {
	const h = 1e-5
	lossAt(t, tr, b)
	twin := newTwin(tr, b)
	for net := range tr.plan.nets {
		if got, want := tr.total[1+2*net], twin.loss(net); math.Abs(got-want) > 1e-5*(1+math.Abs(want)) {
			t.Errorf("loss %d is %.9g, that of the twin %.9g", net, got, want)
		}
	}
	most := make([]float64, len(tr.plan.nets))
	for _, j := range tr.plan.order {
		p := tr.plan.params[j]
		for _, g := range tr.floats[p.offset:][:p.Size()] {
			most[tr.plan.nodes[p.node].net] = max(most[tr.plan.nodes[p.node].net], math.Abs(float64(g)))
		}
	}
	for _, j := range tr.plan.order {
		p := tr.plan.params[j]
		net := tr.plan.nodes[p.node].net
		for i := 0; i < p.Size(); i += 1 + p.Size()/48 {
			got := float64(tr.floats[p.offset+i])
			w := &twin.w[p.offset+i]
			at := func(x float64) float64 { *w = x; return twin.loss(net) }
			was := *w
			want := (at(was+h) - at(was-h)) / (2 * h)
			*w = was
			if !tr.due(net) {
				want = 0
			}
			if math.Abs(got-want) > most[net]/(1<<16) {
				t.Errorf("%s[%d]: %.9g, differences give %.9g; the largest is %g", p.name, i, got, want, most[net])
			}
		}
	}
}

// Every network gives the same bits on one rank and on two.
func TestEveryNetworkInLanes(t *testing.T) {
	for name, n := range networks() {
		t.Run(name, func(t *testing.T) {
			plan := mustPlan(t, n.spec, n.in)
			whole := newTrainer(t, plan, 8, 2)
			split := []*Trainer{newTrainer(t, plan, 8, 1), newTrainer(t, plan, 8, 1)}
			for s := range 3 {
				b := makeBatch(n.in, s, 5, 3)
				want, _, err := step([]*Trainer{whole}, []*Batch{b})
				if err != nil {
					t.Fatal(err)
				}
				got, _, err := step(split, []*Batch{pick(n.in, b, 0), pick(n.in, b, 1)})
				if err != nil || got.Loss != want.Loss {
					t.Fatalf("%+v %v, want %+v", got, err, want)
				}
				sameState(t, whole, split[1])
			}
		})
	}
}

// Every network gives the same bits on every instruction set that this machine
// has, and with any number of threads, in exact and in fast arithmetic.
func TestMachinesDoNotMatter(t *testing.T) {
	var machines []tensor.Config
	for _, isa := range tensor.ISAs() {
		machines = append(machines, tensor.Config{ISA: isa, Threads: 1}, tensor.Config{ISA: isa, Threads: 3})
	}
	for name, n := range networks() {
		for _, n.spec.Exact = range []bool{true, false} {
			plan := mustPlan(t, n.spec, n.in)
			var trainers []*Trainer
			for _, m := range machines {
				tr, err := NewTrainer(newEngineOf(t, m), plan, 8, 2)
				if err != nil {
					t.Fatal(err)
				}
				tr.Init()
				for s := range 3 {
					if _, _, err := step([]*Trainer{tr}, []*Batch{makeBatch(n.in, s, 5, 3)}); err != nil {
						t.Fatal(name, err)
					}
				}
				trainers = append(trainers, tr)
			}
			for i, tr := range trainers[1:] {
				for j, s := range tr.State() {
					if first := trainers[0].State()[j]; !slices.Equal(s.F32, first.F32) || !slices.Equal(s.I32, first.I32) {
						t.Errorf("%s, exact %v: %s differs between %+v and %+v", name, plan.spec.Exact, s.Name, machines[0], machines[i+1])
						break
					}
				}
			}
		}
	}
}

// ganSpec is a small GAN of images of 4x4, with layers that have a state, masks
// and statistics of lanes.
func ganSpec(loss string, discriminatorSteps int) Spec {
	s := classSpec(2, layers(l("dense", "units", 8, "bias", false), l("batch_norm"), l("reshape", "shape", []any{2, 2, 2}), l("tanh"),
		l("conv_transpose2d", "filters", 1), l("sigmoid")))
	discriminator := layers(l("conv2d", "filters", 3, "kernel", 3, "padding", 1), l("softplus"), l("spatial_dropout", "rate", 0.3),
		l("conv2d", "filters", 4, "kernel", 2, "stride", 2), l("batch_norm"), l("tanh"), l("flatten"), l("dense", "units", 1))
	s.Recipe = makeNode("gan", "latent", 3, "discriminator", discriminator, "discriminator_steps", discriminatorSteps, "optimizer", makeNode("adam", "lr", 0.002, "ema", 0.5), "smoothing", 0.1)
	s.Loss, s.Metrics = makeNode(loss), nil
	return s
}
