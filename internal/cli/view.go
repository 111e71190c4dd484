package cli

import (
	"encoding/json"
	"math"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	pb "github.com/lockstep-ml/lockstep/proto/lockstep/v1"
)

// The types below are what --json prints. Names may be added, never changed.

type jobView struct {
	ID               string           `json:"id"`
	Name             string           `json:"name"`
	State            string           `json:"state"`
	Reason           string           `json:"reason,omitempty"`
	Error            string           `json:"error,omitempty"`
	Priority         int32            `json:"priority"`
	SubmittedAt      *time.Time       `json:"submitted_at,omitempty"`
	StartedAt        *time.Time       `json:"started_at,omitempty"`
	EndedAt          *time.Time       `json:"ended_at,omitempty"`
	Epoch            int32            `json:"epoch"`
	Step             int64            `json:"step"`
	Epochs           int32            `json:"epochs"`
	StepsPerEpoch    int64            `json:"steps_per_epoch"`
	Records          int64            `json:"records"`
	Parameters       int64            `json:"parameters"`
	RecordsPerSecond number64         `json:"records_per_second"`
	Lanes            int32            `json:"lanes"`
	WorkersMin       int32            `json:"workers_min"`
	WorkersMax       int32            `json:"workers_max"`
	Generation       uint64           `json:"generation"`
	Members          []memberView     `json:"members"`
	History          []epochView      `json:"history"`
	Checkpoints      []checkpointView `json:"checkpoints"`
	WeightsSHA256    string           `json:"weights_sha256,omitempty"`
}

type memberView struct {
	Worker  string  `json:"worker"`
	Address string  `json:"address"`
	Lanes   []int32 `json:"lanes"`
}

type epochView struct {
	Epoch        int32     `json:"epoch"`
	TrainLoss    number64  `json:"train_loss"`
	TrainMetrics metrics   `json:"train_metrics"`
	TestLoss     *number64 `json:"test_loss,omitempty"`
	TestMetrics  metrics   `json:"test_metrics,omitempty"`
	Seconds      number64  `json:"seconds"`
	GlobalStep   int64     `json:"global_step"`
	Kept         bool      `json:"kept,omitempty"` // the best so far, of a job that restores the best
}

type checkpointView struct {
	Epoch   int32    `json:"epoch"`
	Step    int64    `json:"step"`
	SHA256  string   `json:"sha256"`
	Bytes   int64    `json:"bytes"`
	Workers []string `json:"workers"`
}

type pointView struct {
	GlobalStep       int64    `json:"global_step"`
	Epoch            int32    `json:"epoch"`
	Step             int64    `json:"step"`
	Loss             number64 `json:"loss"`
	Metrics          metrics  `json:"metrics"`
	RecordsPerSecond number64 `json:"records_per_second"`
	LearningRate     number64 `json:"learning_rate"`
}

type nodesView struct {
	Coordinators []coordinatorView `json:"coordinators"`
	Workers      []workerView      `json:"workers"`
}

type coordinatorView struct {
	ID      string `json:"id"`
	Address string `json:"address"`
	Leader  bool   `json:"leader"`
	Alive   bool   `json:"alive"`
}

type workerView struct {
	ID       string     `json:"id"`
	Address  string     `json:"address"`
	Alive    bool       `json:"alive"`
	Job      string     `json:"job,omitempty"`
	ISA      string     `json:"isa"`
	Threads  int32      `json:"threads"`
	Version  string     `json:"version"`
	LastSeen *time.Time `json:"last_seen,omitempty"`
}

type eventView struct {
	At      *time.Time `json:"at"`
	Node    string     `json:"node"`
	Message string     `json:"message"`
}

// number64 is a float64 whose NaN and infinities, which JSON lacks, become null.
type number64 float64

func (n number64) MarshalJSON() ([]byte, error) {
	if math.IsNaN(float64(n)) || math.IsInf(float64(n), 0) {
		return []byte("null"), nil
	}
	return json.Marshal(float64(n))
}

type metrics map[string]number64

func viewMetrics(m map[string]float64) metrics {
	out := metrics{}
	for k, v := range m {
		out[k] = number64(v)
	}
	return out
}

func viewTime(t *timestamppb.Timestamp) *time.Time {
	if t == nil {
		return nil
	}
	at := t.AsTime()
	return &at
}

func viewJob(j *pb.Job) jobView {
	v := jobView{
		ID: j.GetId(), Name: j.GetName(), State: stateWord(j.GetState()), Reason: j.GetReason(), Error: j.GetError(),
		Priority: j.GetPriority(), SubmittedAt: viewTime(j.GetSubmittedAt()), StartedAt: viewTime(j.GetStartedAt()),
		EndedAt: viewTime(j.GetEndedAt()), Epoch: j.GetCursor().GetEpoch(), Step: j.GetCursor().GetStep(), Epochs: j.GetEpochs(),
		StepsPerEpoch: j.GetStepsPerEpoch(), Records: j.GetRecords(), Parameters: j.GetParameters(),
		RecordsPerSecond: number64(j.GetRecordsPerSecond()), Lanes: j.GetLanes(), WorkersMin: j.GetWorkersMin(),
		WorkersMax: j.GetWorkersMax(), Generation: j.GetGeneration(), WeightsSHA256: j.GetWeightsSha256(),
		Members: []memberView{}, History: []epochView{}, Checkpoints: []checkpointView{},
	}
	for _, m := range atWork(j) {
		v.Members = append(v.Members, memberView{m.GetWorkerId(), m.GetAddress(), m.GetLanes()})
	}
	for _, e := range j.GetHistory() {
		v.History = append(v.History, viewEpoch(e))
	}
	for _, c := range j.GetCheckpoints() {
		v.Checkpoints = append(v.Checkpoints, checkpointView{c.GetCursor().GetEpoch(), c.GetCursor().GetStep(), c.GetSha256(), c.GetBytes(), c.GetWorkerIds()})
	}
	return v
}

func viewEpoch(e *pb.EpochResult) epochView {
	v := epochView{
		Epoch: e.GetEpoch(), TrainLoss: number64(e.GetTrainLoss()), TrainMetrics: viewMetrics(e.GetTrainMetrics()),
		Seconds: number64(e.GetSeconds()), GlobalStep: e.GetGlobalStep(), Kept: e.GetKept(),
	}
	if e.TestLoss != nil {
		loss := number64(e.GetTestLoss())
		v.TestLoss, v.TestMetrics = &loss, viewMetrics(e.GetTestMetrics())
	}
	return v
}

func viewPoint(p *pb.StepPoint) pointView {
	return pointView{
		p.GetGlobalStep(), p.GetCursor().GetEpoch(), p.GetCursor().GetStep(), number64(p.GetLoss()), viewMetrics(p.GetMetrics()),
		number64(p.GetRecordsPerSecond()), number64(p.GetLearningRate()),
	}
}

func viewNodes(r *pb.NodesResponse) nodesView {
	v := nodesView{Coordinators: []coordinatorView{}, Workers: []workerView{}}
	for _, c := range r.GetCoordinators() {
		v.Coordinators = append(v.Coordinators, coordinatorView{c.GetId(), c.GetAddress(), c.GetLeader(), c.GetAlive()})
	}
	for _, w := range r.GetWorkers() {
		v.Workers = append(v.Workers, workerView{
			w.GetId(), w.GetAddress(), w.GetAlive(), w.GetJobId(), w.GetIsa(), w.GetThreads(), w.GetVersion(), viewTime(w.GetLastSeen()),
		})
	}
	return v
}
