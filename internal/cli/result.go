package cli

import (
	"time"

	pb "github.com/lockstep-ml/lockstep/proto/lockstep/v1"
)

// result is what `train --json` says about a job that ended.
type result struct {
	Job              string   `json:"job"`
	State            string   `json:"state"`
	Error            string   `json:"error,omitempty"`
	Epochs           int      `json:"epochs"` // finished
	Steps            int64    `json:"steps"`  // done
	Loss             number64 `json:"loss"`
	Metrics          metrics  `json:"metrics"`
	TrainLoss        number64 `json:"train_loss"`
	TrainMetrics     metrics  `json:"train_metrics"`
	RecordsPerSecond number64 `json:"records_per_second"`
	WeightsSHA256    string   `json:"weights_sha256"`
	WallSeconds      number64 `json:"wall_seconds"`
	Workers          int      `json:"workers"`
}

func newResult(j *pb.Job, workers int, wall time.Duration) result {
	r := result{
		Job: j.GetId(), State: stateWord(j.GetState()), Error: j.GetError(), Epochs: len(j.GetHistory()), Workers: workers,
		Metrics: metrics{}, TrainMetrics: metrics{}, WeightsSHA256: j.GetWeightsSha256(), WallSeconds: number64(wall.Seconds()),
		Steps: int64(j.GetCursor().GetEpoch())*j.GetStepsPerEpoch() + j.GetCursor().GetStep(),
	}
	if r.Epochs == 0 {
		return r
	}
	last := j.GetHistory()[r.Epochs-1]
	r.Steps = last.GetGlobalStep()
	if c := j.GetCursor(); c.GetEpoch() == last.GetEpoch()+1 {
		r.Steps += c.GetStep()
	}
	of := ofModel(j.GetHistory())
	r.TrainLoss, r.TrainMetrics = number64(of.GetTrainLoss()), viewMetrics(of.GetTrainMetrics())
	r.Loss, r.Metrics = r.TrainLoss, r.TrainMetrics
	if of.TestLoss != nil {
		r.Loss, r.Metrics = number64(of.GetTestLoss()), viewMetrics(of.GetTestMetrics())
	}
	seconds := 0.0
	for _, e := range j.GetHistory() {
		seconds += e.GetSeconds()
	}
	if seconds > 0 && j.GetStepsPerEpoch() > 0 {
		epochs := float64(last.GetGlobalStep()) / float64(j.GetStepsPerEpoch())
		r.RecordsPerSecond = number64(epochs * float64(j.GetRecords()) / seconds)
	}
	return r
}
