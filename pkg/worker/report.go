package worker

import (
	"sync"
	"time"

	pb "github.com/lockstep-ml/lockstep/proto/lockstep/v1"
)

// reporterPoints bounds the step points that wait to be said, while there is no
// coordinator, say. The older half goes when they are too many.
const reporterPoints = 4096

// smoothing is the weight of the last step in the rate of records per second.
const smoothing = 0.1

// reporter knows how far this worker is, and gathers what rank 0 tells of its
// steps. The step loop adds points without allocating; the session takes them
// away twice a second.
type reporter struct {
	mu         sync.Mutex // guards what follows
	job        string     // whose state is in memory; empty: none
	speaks     bool       // this is rank 0 of a generation
	generation uint64
	span       span
	names      []string
	at         position
	history    []epochResult
	points     []point
	metrics    []float64 // of all points, len(names) each
	rate       float64
	last       time.Time
	changed    bool
	grown      bool   // history has entries that were not said
	preparing  string // job that this worker makes ready, a state of which it may not have yet
}

type point struct {
	at             position
	loss, rate, lr float64
}

// begin notes the state that a generation begins with. If speaks is set, its
// steps are to be reported.
func (p *reporter) begin(t *task, generation uint64, r *replica, speaks bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.speaks = speaks
	if !speaks {
		p.points, p.metrics = p.points[:0], p.metrics[:0]
	}
	if speaks && (p.job != t.job || cap(p.points) == 0) {
		p.points = make([]point, 0, reporterPoints)
		p.metrics = make([]float64, 0, reporterPoints*len(t.metrics))
	}
	p.job, p.generation, p.span, p.names = t.job, generation, t.span, t.metrics
	p.at, p.history = r.at, r.history
	p.rate, p.last, p.changed, p.grown = 0, time.Time{}, true, true
}

// prepare notes that this worker makes a job ready for a generation, which may
// take long; the coordinator hears that it is at it. An empty job means that it no
// longer is.
func (p *reporter) prepare(job string, generation uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.preparing, p.generation = job, generation
}

// end makes the reporter silent. Points not yet said wait for the next generation
// in which this worker speaks for the job.
func (p *reporter) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.speaks = false
}

// forget notes that there is no state in memory any more.
func (p *reporter) forget() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.speaks, p.job, p.points, p.metrics, p.history = false, "", nil, nil, nil
}

// held returns the job whose state is in memory and how far it is.
func (p *reporter) held() (job string, at position) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.job, p.at
}

// step adds the point of a step that was just committed.
func (p *reporter) step(at position, records int, loss, lr float64, metrics []float64) {
	now := time.Now()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.at = at
	if !p.speaks {
		return
	}
	if took := now.Sub(p.last).Seconds(); !p.last.IsZero() && took > 0 {
		rate := float64(records) / took
		if p.rate == 0 {
			p.rate = rate
		}
		p.rate += smoothing * (rate - p.rate)
	}
	p.last, p.changed = now, true
	n := len(p.names)
	if len(p.points) == cap(p.points) {
		half := len(p.points) / 2
		p.points = p.points[:copy(p.points, p.points[half:])]
		p.metrics = p.metrics[:copy(p.metrics, p.metrics[half*n:])]
	}
	p.points = append(p.points, point{at: at, loss: loss, rate: p.rate, lr: lr})
	p.metrics = append(p.metrics, metrics[:n]...)
}

// epoch notes that an epoch has ended. The time until the next step is not that
// of a step.
func (p *reporter) epoch(at position, history []epochResult) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.at, p.history, p.changed, p.grown = at, history, true, true
	p.last = time.Time{}
}

// working notes that this worker is at something that moves no position, so that
// it is not taken for stuck.
func (p *reporter) working() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.changed = true
}

// take returns what is new since the last call, or nil. If again is set the
// listener is another one and hears all but old points. While a job is being made
// ready it is a Progress without a cursor, each time.
func (p *reporter) take(again bool) *pb.Progress {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.preparing != "" {
		return &pb.Progress{JobId: p.preparing, Generation: p.generation}
	}
	if !p.speaks || !p.changed && !again {
		return nil
	}
	m := &pb.Progress{
		JobId: p.job, Generation: p.generation, Cursor: p.at.cursor(), RecordsPerSecond: p.rate,
		Points: make([]*pb.StepPoint, len(p.points)),
	}
	n := len(p.names)
	for i, q := range p.points {
		m.Points[i] = &pb.StepPoint{
			GlobalStep: int64(p.span.globalStep(q.at)), Cursor: q.at.cursor(), Loss: q.loss,
			Metrics: named(p.names, p.metrics[i*n:(i+1)*n]), RecordsPerSecond: q.rate, LearningRate: q.lr,
		}
	}
	if p.grown || again {
		m.History = historyMessage(p.names, p.history)
	}
	p.points, p.metrics = p.points[:0], p.metrics[:0]
	p.changed, p.grown = false, false
	return m
}
