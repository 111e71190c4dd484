package cli

import (
	"bytes"
	"encoding/json"
	"math"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	pb "github.com/lockstep-ml/lockstep/proto/lockstep/v1"
)

func TestResultOfTrain(t *testing.T) {
	loss := 0.25
	j := runningJob()
	j.State, j.WeightsSha256 = pb.JobState_JOB_STATE_SUCCEEDED, "abc"
	j.History = []*pb.EpochResult{
		{TrainLoss: 1, Seconds: 2, GlobalStep: 20},
		{
			Epoch: 1, TrainLoss: 0.5, TrainMetrics: map[string]float64{"accuracy": 0.8}, TestLoss: &loss,
			TestMetrics: map[string]float64{"accuracy": 0.9}, Seconds: 2, GlobalStep: 40,
		},
	}
	j.Cursor = &pb.Cursor{Epoch: 2}
	var out bytes.Buffer
	if err := jsonLine(&out, newResult(j, 2, 5*time.Second)); err != nil {
		t.Fatal(err)
	}
	want := `{"job":"digits-1","state":"succeeded","epochs":2,"steps":40,"loss":0.25,"metrics":{"accuracy":0.9},` +
		`"train_loss":0.5,"train_metrics":{"accuracy":0.8},"records_per_second":500,"weights_sha256":"abc","wall_seconds":5,"workers":2}` + "\n"
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestResultOfAFailureIsStillJSON(t *testing.T) {
	j := runningJob()
	j.State, j.Error = pb.JobState_JOB_STATE_FAILED, "gradient is not finite"
	j.History = []*pb.EpochResult{{TrainLoss: math.NaN(), GlobalStep: 20}}
	var out bytes.Buffer
	if err := jsonLine(&out, newResult(j, 2, time.Second)); err != nil {
		t.Fatal(err)
	}
	var got map[string]any
	if err := json.Unmarshal(out.Bytes(), &got); err != nil || got["loss"] != nil || got["state"] != "failed" {
		t.Errorf("%s: %v", out.Bytes(), err)
	}
}

func TestViewsHaveNoNulls(t *testing.T) {
	for _, v := range []any{viewJob(&pb.Job{}), viewNodes(&pb.NodesResponse{})} {
		var out bytes.Buffer
		if err := jsonLine(&out, v); err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(out.Bytes(), []byte("null")) {
			t.Errorf("a reader of %s must not have to check for null", out.Bytes())
		}
	}
}

// A job that restores the best says what its model measured, not its last epoch.
func TestResultOfTheBestEpoch(t *testing.T) {
	j := runningJob()
	j.State = pb.JobState_JOB_STATE_SUCCEEDED
	for i, loss := range []float64{0.5, 0.25, 0.75} {
		j.History = append(j.History, &pb.EpochResult{Epoch: int32(i), TestLoss: &loss, GlobalStep: int64(20 * (i + 1)), Kept: i < 2})
	}
	if r := newResult(j, 1, time.Second); r.Loss != 0.25 || r.Epochs != 3 || r.Steps != 60 {
		t.Errorf("%+v", r)
	}
}
