package worker

import (
	"encoding/json"
	"fmt"
	"strconv"

	"github.com/lockstep-ml/lockstep/internal/build"
	pb "github.com/lockstep-ml/lockstep/proto/lockstep/v1"
)

// replica is the training state of one job in this worker's memory: the part
// that is the same, bit for bit, on every rank at the same position. It changes
// only in commit, endEpoch, overflow, start and restore, each of which leaves it
// whole; between those it may be copied.
type replica struct {
	lanes   []int // that the learner was made for
	learner learner
	// held is false until there is a state at all: started, copied or restored.
	held    bool
	at      position
	sums    epochSums
	history []epochResult
	stopped string // why the job ended before its last epoch
}

// epochSums adds up what the steps of the present epoch measured, in the order
// of the steps.
type epochSums struct {
	Records int          `json:"records"`
	Loss    exactFloat   `json:"loss"`
	Metrics []exactFloat `json:"metrics"`
}

func (s *epochSums) add(records int, loss float64, metrics []float64) {
	s.Records += records
	s.Loss += exactFloat(loss * float64(records))
	for len(s.Metrics) < len(metrics) {
		s.Metrics = append(s.Metrics, 0)
	}
	for i, m := range metrics {
		s.Metrics[i] += exactFloat(m * float64(records))
	}
}

func (s *epochSums) reset() {
	s.Records, s.Loss = 0, 0
	clear(s.Metrics)
}

// epochResult is what one finished epoch measured.
type epochResult struct {
	Epoch        int          `json:"epoch"`
	GlobalStep   int          `json:"global_step"`
	TrainLoss    exactFloat   `json:"train_loss"`
	TrainMetrics []exactFloat `json:"train_metrics"`
	Tested       bool         `json:"tested"`
	TestLoss     exactFloat   `json:"test_loss"`
	TestMetrics  []exactFloat `json:"test_metrics"`
	// Kept means that this epoch's parameters were the best so far, and the model
	// is the best.
	Kept bool `json:"kept,omitempty"`
	// seconds is this worker's wall time of the epoch. It is not replicated: 0 if
	// another worker ran the epoch.
	seconds float64
}

// message is r for the coordinator; names are those of the metrics.
func (r epochResult) message(names []string) *pb.EpochResult {
	m := &pb.EpochResult{
		Epoch: int32(r.Epoch), GlobalStep: int64(r.GlobalStep), Seconds: r.seconds,
		TrainLoss: float64(r.TrainLoss), TrainMetrics: named(names, r.TrainMetrics), Kept: r.Kept,
	}
	if r.Tested {
		loss := float64(r.TestLoss)
		m.TestLoss, m.TestMetrics = &loss, named(names, r.TestMetrics)
	}
	return m
}

func historyMessage(names []string, history []epochResult) []*pb.EpochResult {
	out := make([]*pb.EpochResult, len(history))
	for i, r := range history {
		out[i] = r.message(names)
	}
	return out
}

func named[T ~float64](names []string, values []T) map[string]float64 {
	if len(values) == 0 {
		return nil
	}
	out := make(map[string]float64, len(values))
	for i, v := range values {
		name := strconv.Itoa(i)
		if i < len(names) {
			name = names[i]
		}
		out[name] = float64(v)
	}
	return out
}

// exactFloat travels as text without losing a bit, NaN and infinities included.
type exactFloat float64

// MarshalText writes hexadecimal floating point.
func (f exactFloat) MarshalText() ([]byte, error) {
	return strconv.AppendFloat(nil, float64(f), 'x', -1, 64), nil
}

// UnmarshalText reads what MarshalText wrote.
func (f *exactFloat) UnmarshalText(text []byte) error {
	v, err := strconv.ParseFloat(string(text), 64)
	*f = exactFloat(v)
	return err
}

// start gives the replica the job's initial state.
func (r *replica) start() {
	r.learner.Init()
	r.held, r.at, r.sums, r.history, r.stopped = true, position{Edition: build.Edition}, epochSums{}, nil, ""
}

// commit moves the replica one step on, after the learner has.
func (r *replica) commit(records int, loss float64, metrics []float64) {
	r.sums.add(records, loss, metrics)
	r.at = position{Epoch: r.at.Epoch, Step: r.at.Step + 1, Edition: r.at.lineage()}
}

// overflow notes that the learner raised exponents instead.
func (r *replica) overflow() {
	r.at.Edition = r.at.lineage()
	r.at.Attempt++
}

// endEpoch moves the replica from the end of an epoch to the next, or to the end
// of the job if the evaluation says that it should stop.
func (r *replica) endEpoch(result epochResult, s span) {
	next := r.at.Epoch + 1
	if result.Tested {
		metrics := make([]float64, len(result.TestMetrics))
		for i, m := range result.TestMetrics {
			metrics[i] = float64(m)
		}
		verdict := r.learner.Evaluated(float64(result.TestLoss), metrics)
		result.Kept = verdict.Kept
		if verdict.Stop != "" && next < s.Epochs {
			r.stopped = fmt.Sprintf("stopped after %d of %d epochs: %s", next, s.Epochs, verdict.Stop)
			next = s.Epochs
		}
	}
	r.history = append(r.history, result)
	r.sums.reset()
	r.at = position{Epoch: next, Edition: r.at.lineage()}
}

// record is the part of a replica that is not tensors, as it travels.
type record struct {
	Attempt int           `json:"attempt"`
	Edition int           `json:"edition"`
	Sums    epochSums     `json:"sums"`
	History []epochResult `json:"history"`
	Stopped string        `json:"stopped,omitempty"`
}

// describe returns the record of r as text; equal replicas give equal text.
func (r *replica) describe() (string, error) {
	text, err := json.Marshal(record{Attempt: r.at.Attempt, Edition: r.at.Edition, Sums: r.sums, History: r.history, Stopped: r.stopped})
	if err != nil {
		return "", fmt.Errorf("training state: %w", err)
	}
	return string(text), nil
}

// adopt moves the state of from into the learner of r, which was made for other
// lanes.
func (r *replica) adopt(from *replica) error {
	if err := r.learner.SetState(from.learner.State()); err != nil {
		return err
	}
	r.held, r.at, r.sums, r.history, r.stopped = from.held, from.at, from.sums, from.history, from.stopped
	return nil
}
