package worker

import (
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lockstep-ml/lockstep/internal/build"
	"github.com/lockstep-ml/lockstep/pkg/checkpoint"
)

func TestReplicaTravels(t *testing.T) {
	job := &task{digest: "d"}
	r := &replica{learner: newToy(2, func(string) {})}
	r.start()
	r.commit(5, 0.1, []float64{1.0 / 3})
	r.endEpoch(epochResult{GlobalStep: 1, TrainLoss: 0.1, TestLoss: exactFloat(math.NaN()), TestMetrics: []exactFloat{exactFloat(math.Inf(1))}}, span{Epochs: 9})
	r.commit(3, 1e-300, []float64{2})
	r.overflow()
	data, err := r.encode(job)
	if err != nil {
		t.Fatal(err)
	}
	to := &replica{learner: newToy(2, func(string) {})}
	if err := to.decode(job, data); err != nil {
		t.Fatal(err)
	}
	if want := (position{1, 1, 1, build.Edition}); to.at != want || !to.held {
		t.Errorf("position %v, want %v", to.at, want)
	}
	a, _ := r.digest()
	if b, _ := to.digest(); a != b {
		t.Errorf("digests %x and %x, want the same", a, b)
	}

	// Whatever is refused leaves the replica as it was.
	before, _ := to.digest()
	data[len(data)/2] ^= 1
	for name, err := range map[string]error{
		"damaged":   to.decode(job, data),
		"other job": to.restore(&task{digest: "e"}, &checkpoint.State{Job: "d"}),
		"no record": to.restore(job, &checkpoint.State{Job: "d"}),
		"bad step":  to.restore(job, &checkpoint.State{Job: "d", Cursor: checkpoint.Cursor{Step: 1 << 40}, Meta: map[string]string{metaReplica: "{}"}}),
	} {
		if err == nil {
			t.Errorf("%s: taken", name)
		}
	}
	if after, _ := to.digest(); after != before {
		t.Error("a refused state changed the replica")
	}
}

func TestEpochMeans(t *testing.T) {
	var s epochSums
	s.add(3, 2, []float64{1, 0})
	s.add(1, 6, []float64{0, 1})
	want := epochSums{Records: 4, Loss: 12, Metrics: []exactFloat{3, 1}}
	if diff := cmp.Diff(want, s); diff != "" {
		t.Errorf("sums (-want +got):\n%s", diff)
	}
	s.reset()
	if diff := cmp.Diff(epochSums{Metrics: []exactFloat{0, 0}}, s); diff != "" {
		t.Errorf("after reset (-want +got):\n%s", diff)
	}
}

func TestSpan(t *testing.T) {
	s := span{Epochs: 3, StepsPerEpoch: 4, Steps: 10}
	for epoch, want := range []int{4, 4, 2, 0} {
		if got := s.stepsIn(epoch); got != want {
			t.Errorf("epoch %d has %d steps, want %d", epoch, got, want)
		}
	}
	for at, want := range map[position]int{{Epoch: 1, Step: 2}: 6, {Epoch: 2, Step: 2}: 10, {Epoch: 3}: 10} {
		if got := s.globalStep(at); got != want {
			t.Errorf("at %v: %d steps done, want %d", at, got, want)
		}
	}
	if s.over(position{Epoch: 2, Step: 2}) || !s.over(position{Epoch: 3}) {
		t.Error("the job must be over after the evaluation of the last epoch, not before")
	}
}

func TestLineage(t *testing.T) {
	if got := (position{3, 4, 5, build.Edition}).lineage(); got != build.Edition {
		t.Errorf("of this build: %d", got)
	}
	seen := map[int]position{build.Edition: {}}
	for _, p := range []position{{}, {0, 1, 0, 0}, {1, 0, 0, 0}, {0, 0, 1, 0}, {0, 0, 0, build.Edition + 1}, {0, 0, 0, 5<<16 | build.Edition + 1}} {
		got := p.lineage()
		if q, twice := seen[got]; twice || got < 0 || got > math.MaxInt32 {
			t.Errorf("%+v has the lineage %d, as %+v", p, got, q)
		}
		seen[got] = p
		if again := (position{9, 9, 9, got}).lineage(); again != got {
			t.Errorf("lineage %d becomes %d without another edition", got, again)
		}
	}
}

func TestPositionOrder(t *testing.T) {
	order := []position{{0, 0, 0, 9}, {0, 0, 1, 1}, {0, 0, 1, 2}, {0, 1, 0, 1}, {0, 9, 3, 1}, {1, 0, 0, 1}}
	for i, a := range order {
		for j, b := range order {
			if got := a.compare(b); (got < 0) != (i < j) || (got > 0) != (i > j) {
				t.Errorf("%v compared to %v: %d", a, b, got)
			}
		}
	}
	if got := (position{1, 2, 3, 4}).String(); !strings.Contains(got, "attempt 3") {
		t.Errorf("position reads %q", got)
	}
}
