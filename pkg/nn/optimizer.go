package nn

import (
	"math"
	"slices"

	"github.com/lockstep-ml/lockstep/pkg/tensor"
)

// optimizer turns a gradient into new parameters. It has no memory of its own:
// that is in slots, which are part of the replicated state.
type optimizer interface {
	// slots names the arrays, as large as the parameters, that it keeps.
	slots() []string
	// update changes the parameter tensor u.w.
	update(u *update)
}

// update is one optimiser step of one parameter tensor.
type update struct {
	eng   *tensor.Engine
	w, g  []float32   // the parameters and the mean gradient, which may be overwritten
	slots [][]float32 // as named by optimizer.slots
	t     int         // number of the update, from 1
	lr    float32
	decay float64 // factor of the weight decay
}

// share is the part of a weight decay that holds for this tensor.
func (u *update) share(decay float32) float32 { return float32(float64(decay) * u.decay) }

type optimizerKind struct {
	Entry
	fit func(a Args) optimizer
}

// training are the settings that all optimisers share.
type training struct {
	lr                  float64
	l1                  float32
	clipNorm, clipValue float64
	ema                 float64
	maxNorm             float64
}

// optimizerEntry is an entry with the fields that every optimiser has.
func optimizerEntry(name, summary string, lr float64, fields ...Field) Entry {
	all := []Field{number("lr", lr, "learning rate").min(0).short()}
	all = append(all, fields...)
	all = append(all,
		number("l1", 0, "adds l1*sign(w) to the gradient of the weights, not of biases").min(0),
		number("clip_norm", 0, "scales the gradient down to this length; 0 does not").min(0),
		number("clip_value", 0, "limits every element of the gradient to this size; 0 does not").min(0),
		number("max_norm", 0, "scales the weights of an output down to this length after every update; 0 does not").min(0),
		number("ema", 0, "memory of a running mean of the parameters, which is then the model; 0 keeps none").min(0).below(1))
	return Entry{Name: name, Class: classOptimizer, Summary: summary, Fields: all}
}

// fitTraining resolves the optimisers, the schedule and the metrics.
func (p *Plan) fitTraining(errs *Errors) {
	for i := range p.nets {
		p.nets[i].fitOptimizer(errs)
	}
	p.fitSchedule(errs)
	p.fitEarlyStop(errs)
	if p.loss == nil {
		return
	}
	net := p.judged()
	p.whole = net.logits != net.output && p.recipe.Target.Kind == TargetValue && len(p.spec.Metrics) > 0
	names := p.MetricNames()
	for i, n := range p.spec.Metrics {
		if slices.Index(names, names[i]) < i {
			errs.addf(n.Path, "%s is there twice; leave one out", names[i])
		}
		kind, ok := lookup(metricKinds(), n, "metric", errs)
		if !ok {
			continue
		}
		before := len(*errs)
		if p.recipe.Target.Kind == TargetClass && p.loss.Rows() != p.recipe.Target.Size() {
			errs.addf(n.Path, "%s compares classes position by position, and %s does not say which position is of which class; leave it out", n.Kind, p.spec.Loss.Kind)
		}
		site := &LossSite{Args: kind.args(n, errs), Out: p.values[net.output].Shape, Target: p.recipe.Target,
			path: n.Path, errs: errs}
		if len(*errs) == before {
			p.metrics = append(p.metrics, kind.fit(site))
		}
	}
}

func (n *network) fitOptimizer(errs *Errors) {
	kind, ok := lookup(optimizerKinds(), n.Optimizer, "optimizer", errs)
	if !ok {
		return
	}
	before := len(*errs)
	a := kind.args(n.Optimizer, errs)
	if len(*errs) == before {
		n.opt = kind.fit(a)
		n.training = training{lr: a.Float("lr"), l1: float32(a.Float("l1")),
			clipNorm: a.Float("clip_norm"), clipValue: a.Float("clip_value"), ema: a.Float("ema"), maxNorm: a.Float("max_norm")}
	}
}

func (p *Plan) fitSchedule(errs *Errors) {
	n := p.spec.Schedule
	if n.Kind == "" {
		n.Kind = "constant"
	}
	kind, ok := lookup(scheduleKinds(), n, "schedule", errs)
	if !ok {
		return
	}
	before := len(*errs)
	a := kind.args(n, errs)
	if len(*errs) > before {
		return
	}
	sched := kind.fit(a, p.spec.StepsPerEpoch)
	if s, ok := sched.(plateau); ok {
		p.plateau, p.slow = s, p.fitWatch(a, n.Path, errs)
	}
	p.sched = sched
	if w := a.Int("warmup"); w > 0 {
		p.sched = warmup{n: w, then: p.sched}
	}
}

// whole is whether an update needs all of the mean gradient of the network, or of
// a tensor, at once.
func (n *network) whole() bool {
	s := n.training
	_, byTensor := n.opt.(lamb)
	return byTensor || s.clipValue > 0 || s.clipNorm > 0 || s.l1 > 0
}

// prepare clips the mean gradient of a network and adds the L1 term.
func (t *Trainer) prepare(net *network) {
	s, g := net.training, t.floats[net.begin:net.end]
	if s.clipValue > 0 {
		limit := float32(s.clipValue)
		for i, v := range g {
			g[i] = max(min(v, limit), -limit)
		}
	}
	if s.clipNorm > 0 {
		if norm := math.Sqrt(t.eng.SumSquares(g)); norm > s.clipNorm {
			t.eng.Scale(g, float32(s.clipNorm/norm))
		}
	}
	if s.l1 > 0 {
		t.addL1(net, s.l1)
	}
}

func (t *Trainer) addL1(net *network, l1 float32) {
	for _, j := range t.plan.order {
		p := t.plan.params[j]
		if len(p.Shape) < 2 || p.offset < net.begin || p.offset >= net.end {
			continue
		}
		w, g, l1 := t.w[p.offset:][:p.Size()], t.floats[p.offset:][:p.Size()], float32(float64(l1)*p.decay)
		for i, v := range w {
			if v > 0 {
				g[i] += l1
			} else if v < 0 {
				g[i] -= l1
			}
		}
	}
}

// limitNorms scales every row of weights that is longer than limit down to it. A
// row is what one output sums over, as of a (Out, In) matrix; biases and other
// parameters of one axis stay.
func (t *Trainer) limitNorms(w []float32, shape []int, limit float64) {
	if limit == 0 || len(shape) < 2 {
		return
	}
	for cols := len(w) / shape[0]; len(w) > 0; w = w[cols:] {
		if norm := math.Sqrt(t.eng.SumSquares(w[:cols])); norm > limit {
			t.eng.Scale(w[:cols], float32(limit/norm))
		}
	}
}
