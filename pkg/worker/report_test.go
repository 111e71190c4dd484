package worker

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/testing/protocmp"

	pb "github.com/lockstep-ml/lockstep/proto/lockstep/v1"
)

func TestReporter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		job := &task{job: "j", metrics: []string{"accuracy"}, span: span{Epochs: 2, StepsPerEpoch: 2, Steps: 4}}
		p := &reporter{}
		if p.take(true) != nil {
			t.Error("it speaks before there is a job")
		}
		p.begin(job, 7, &replica{}, true)
		for i := 1; i <= 2; i++ {
			time.Sleep(time.Second)
			p.step(position{Step: i}, 100, float64(i), 0.5, []float64{0.25})
		}
		point := func(step int64, rate float64) *pb.StepPoint {
			return &pb.StepPoint{GlobalStep: step, Cursor: &pb.Cursor{Step: step}, Loss: float64(step), LearningRate: 0.5,
				RecordsPerSecond: rate, Metrics: map[string]float64{"accuracy": 0.25}}
		}
		want := &pb.Progress{JobId: "j", Generation: 7, Cursor: &pb.Cursor{Step: 2}, RecordsPerSecond: 100,
			Points: []*pb.StepPoint{point(1, 0), point(2, 100)}}
		if diff := cmp.Diff(want, p.take(false), protocmp.Transform()); diff != "" {
			t.Errorf("progress (-want +got):\n%s", diff)
		}
		if got := p.take(false); got != nil {
			t.Errorf("nothing new, but it says %v", got)
		}
		p.epoch(position{Epoch: 1}, []epochResult{{TrainLoss: 2}})
		if got := p.take(false); len(got.GetHistory()) != 1 || got.Cursor.Epoch != 1 || len(got.Points) != 0 {
			t.Errorf("after the epoch: %v", got)
		}
		if got := p.take(true); len(got.GetHistory()) != 1 {
			t.Errorf("another listener hears %v, want the history again", got)
		}
		p.end()
		if p.step(position{Epoch: 1, Step: 1}, 1, 1, 1, []float64{0}); p.take(true) != nil {
			t.Error("it speaks after its generation ended")
		}
		if job, at := p.held(); job != "j" || at != (position{Epoch: 1, Step: 1}) {
			t.Errorf("held %s at %v: it must know how far the worker is even when silent", job, at)
		}
		p.forget()
		if job, _ := p.held(); job != "" {
			t.Errorf("held %s after the release", job)
		}
	})
}

func TestReporterIsBounded(t *testing.T) {
	p := &reporter{}
	p.begin(&task{job: "j", metrics: []string{"a", "b"}, span: span{Epochs: 1, StepsPerEpoch: 1 << 20, Steps: 1 << 20}}, 1, &replica{}, true)
	metrics := []float64{1, 2}
	step := 0
	add := func() {
		step++
		p.step(position{Step: step}, 1, 0, 0, metrics)
	}
	for range 2*reporterPoints + 5 {
		add()
	}
	if n := testing.AllocsPerRun(100, add); n != 0 {
		t.Errorf("a step allocates %v times", n)
	}
	got := p.take(false).Points
	if len(got) == 0 || len(got) > reporterPoints || got[len(got)-1].GlobalStep != int64(step) {
		t.Errorf("%d points kept, up to step %d of %d", len(got), got[len(got)-1].GlobalStep, step)
	}
	for i := range got[1:] {
		if got[i+1].GlobalStep != got[i].GlobalStep+1 || got[i].Metrics["b"] != 2 {
			t.Fatalf("points %v and %v: must be neighbours with their metrics", got[i], got[i+1])
		}
	}
}
