package nn

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/lockstep-ml/lockstep/internal/nearest"
)

// watch follows one figure of the evaluations and notices when it no longer gets
// better. Evaluations are sums over the lanes that all ranks agree on, so all
// come to the same conclusion, in the same step.
type watch struct {
	name     string
	metric   int  // of Plan.metrics; -1 is the loss
	higher   bool // is better
	delta    float64
	patience int
}

// The words of a watch's state, which is part of the replicated state.
const (
	watchBest  = 0 // the best figure, two words
	watchSince = 2 // evaluations since the best one, or since the last drop
	watchSeen  = 3 // evaluations at all
	watchDrops = 4 // drops of the learning rate
	watchWords = 5
)

// watchFields are the fields of what follows an evaluation.
func watchFields(patience int, then string) []Field {
	return []Field{
		{Name: "metric", Type: typeText, Default: "loss", Summary: "what is followed: the loss on the test data, or one of the job's metrics"},
		integer("patience", patience, fmt.Sprintf("so many evaluations in a row that are no better %s", then)).min(1),
		number("min_delta", 0, "what is better by no more than this is no better").min(0),
	}
}

// fitWatch finds the figure that the fields of a node at path name.
func (p *Plan) fitWatch(a Args, path string, errs *Errors) *watch {
	w := &watch{name: a.Text("metric"), metric: -1, delta: a.Float("min_delta"), patience: a.Int("patience")}
	if !p.spec.Tested {
		errs.addf(path, "needs an evaluation after every epoch; give the job test data, say test: {fraction: 0.1}")
	}
	if w.name == "loss" {
		return w
	}
	names := p.MetricNames()
	w.metric = slices.Index(names, w.name)
	if w.metric < 0 {
		names = append([]string{"loss"}, names...)
		errs.addf(path+".metric", "is %q, which the job does not measure; expected one of %s%s", w.name, strings.Join(names, ", "), nearest.DidYouMean(w.name, names))
		return w
	}
	for _, k := range metricKinds() {
		w.higher = w.higher || w.metric < len(p.spec.Metrics) && k.Name == p.spec.Metrics[w.metric].Kind && k.higher
	}
	return w
}

// see takes note of an evaluation and reports whether it is the best so far.
func (w *watch) see(state []int32, loss float64, metrics []float64) bool {
	now, best := loss, getFloat(state[watchBest:], 0)
	if w.metric >= 0 {
		now = metrics[w.metric]
	}
	better := now < best-w.delta
	if w.higher {
		better = now > best+w.delta
	}
	if state[watchSeen] == 0 || math.IsNaN(best) && !math.IsNaN(now) {
		better = true
	}
	state[watchSeen]++
	state[watchSince]++
	if better {
		putFloats(state[watchBest:], []float64{now})
		state[watchSince] = 0
	}
	return better
}

// tired reports whether patience is at an end.
func (w *watch) tired(state []int32) bool { return int(state[watchSince]) >= w.patience }

// explain says what tired means.
func (w *watch) explain(state []int32) string {
	than := "below"
	if w.higher {
		than = "above"
	}
	if w.delta > 0 {
		than = fmt.Sprintf("more than %v %s", w.delta, than)
	}
	return fmt.Sprintf("in the last %d evaluations %s was never %s %.6g", state[watchSince], w.name, than, getFloat(state[watchBest:], 0))
}

// EarlyStopFields are the fields of Spec.EarlyStop.
func EarlyStopFields() []Field { return earlyStopEntry().Fields }

func earlyStopEntry() Entry {
	return Entry{Name: "early_stop", Fields: append(watchFields(3, "end the job"),
		boolean("restore_best", true, "the model is that of the best evaluation, not of the last"))}
}

// fitEarlyStop resolves Spec.EarlyStop.
func (p *Plan) fitEarlyStop(errs *Errors) {
	n := p.spec.EarlyStop
	if n == nil {
		return
	}
	before := len(*errs)
	a := earlyStopEntry().args(*n, errs)
	if len(*errs) == before {
		p.stop, p.keepBest = p.fitWatch(a, n.Path, errs), a.Bool("restore_best")
	}
}

// plateau is the schedule that lowers the rate when evaluations get no better.
type plateau struct {
	gamma, end float64
}

func plateauKind() scheduleKind {
	fields := append(watchFields(2, "lower the rate"),
		number("gamma", 0.1, "factor of a drop").above(0).below(1),
		number("end", 0, "the least factor").min(0).max(1))
	return scheduleKind{
		Entry: scheduleEntry("plateau", "the rate is multiplied by gamma whenever evaluations have got no better for a while", fields...),
		fit: func(a Args, _ int) schedule {
			return plateau{gamma: a.Float("gamma"), end: a.Float("end")}
		},
	}
}

// factor is that of the schedule before any drop.
func (plateau) factor(int, int) float64 { return 1 }

// afterDrops is the factor that the drops so far come to.
func (s plateau) afterDrops(n int) float64 { return max(power(s.gamma, n), s.end) }

// Verdict is what follows from an evaluation.
type Verdict struct {
	// Kept means that the parameters evaluated are now the model: the job
	// restores the best, and they are the best so far.
	Kept bool
	// Stop says why training should end now; empty if it should go on.
	Stop string
}

// Evaluated takes note of what the evaluation after an epoch measured, for early
// stopping and schedules that depend on it. All ranks call it at the same point
// with the same numbers, those of EvalResult. It changes the State.
func (t *Trainer) Evaluated(loss float64, metrics []float64) (v Verdict) {
	if w := t.plan.slow; w != nil {
		w.see(t.slowing, loss, metrics)
		if w.tired(t.slowing) {
			t.slowing[watchSince] = 0
			t.slowing[watchDrops]++
		}
	}
	w := t.plan.stop
	if w == nil {
		return v
	}
	if w.see(t.stopping, loss, metrics) && t.best != nil {
		copy(t.best, t.final())
		copy(t.best[len(t.w):], t.buffers)
		v.Kept = true
	}
	if w.tired(t.stopping) {
		v.Stop = w.explain(t.stopping)
	}
	return v
}

// allocateWatches gives the watches of the plan their state.
func (t *Trainer) allocateWatches() {
	if t.plan.slow != nil {
		t.slowing = make([]int32, watchWords)
	}
	if t.plan.stop != nil {
		t.stopping = make([]int32, watchWords)
	}
	if t.plan.keepBest {
		t.best = make([]float32, t.plan.size+t.plan.bufferSize)
	}
}

// slowdown is the factor of the learning rate that evaluations led to.
func (t *Trainer) slowdown() float64 {
	if t.slowing == nil {
		return 1
	}
	return t.plan.plateau.afterDrops(int(t.slowing[watchDrops]))
}

// watchTensors is the part of State that comes from evaluations.
func (t *Trainer) watchTensors() []Tensor {
	var all []Tensor
	if t.slowing != nil {
		all = append(all, Tensor{Name: "schedule.plateau", Shape: []int{watchWords}, I32: t.slowing})
	}
	if t.stopping != nil {
		all = append(all, Tensor{Name: "early_stop", Shape: []int{watchWords}, I32: t.stopping})
	}
	if t.best != nil {
		for _, p := range t.model(t.best[:len(t.w)], t.best[len(t.w):]) {
			p.Name = "best." + p.Name
			all = append(all, p)
		}
	}
	return all
}
