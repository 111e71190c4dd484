package worker

import (
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/testing/protocmp"

	pb "github.com/lockstep-ml/lockstep/proto/lockstep/v1"
)

// result is what must not depend on the cluster.
type result struct {
	Weights, Stopped string
	History          []*pb.EpochResult
}

func resultOf(done *pb.JobDone) result {
	if done == nil {
		return result{}
	}
	for _, h := range done.History {
		h.Seconds = 0
	}
	return result{done.WeightsSha256, done.Stopped, done.History}
}

// simulate runs one simulation in a bubble.
func simulate(t *testing.T, workers int, setup func(*simulation)) (r result, s *simulation) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s = newSimulation(t, workers)
		if setup != nil {
			setup(s)
		}
		r = resultOf(s.run())
	})
	return r, s
}

func check(t *testing.T, want, got result) {
	t.Helper()
	if diff := cmp.Diff(want, got, protocmp.Transform()); diff != "" {
		t.Errorf("the result differs from that of one worker (-one +this):\n%s", diff)
	}
}

// alone is the result of one worker that nothing happens to.
func alone(t *testing.T) result {
	t.Helper()
	r, _ := simulate(t, 1, nil)
	if len(r.History) != simEpochs || r.History[1].GlobalStep != 9 {
		t.Fatalf("history of one worker: %v", r.History)
	}
	return r
}

func TestAnyNumberOfWorkers(t *testing.T) {
	want := alone(t)
	for n := 2; n <= simLanes; n++ {
		got, _ := simulate(t, n, nil)
		check(t, want, got)
	}
}

// Every worker is killed at every point of its run in turn; the others go on.
func TestKilledAtEveryPoint(t *testing.T) {
	want := alone(t)
	for _, workers := range []int{2, 3} {
		for victim := range workers {
			killAtEveryPoint(t, workers, victim, func(s *simulation) {}, want)
		}
	}
}

// The same, but the worker comes back with what is on its disk.
func TestKilledAndRestartedAtEveryPoint(t *testing.T) {
	want := alone(t)
	for victim := range 2 {
		killAtEveryPoint(t, 2, victim, func(s *simulation) { s.revive = true }, want)
	}
	killAtEveryPoint(t, 1, 0, func(s *simulation) { s.revive = true }, want)
}

// A job that its evaluations end early ends alike on any number of workers, also
// if one is killed at any point around that.
func TestStoppedEarly(t *testing.T) {
	early := func(s *simulation) { s.net.stopAfter = 1 }
	want, _ := simulate(t, 1, early)
	if len(want.History) != 1 || want.Stopped != "stopped after 1 of 2 epochs: enough" || want.Weights == alone(t).Weights {
		t.Fatalf("one worker: %+v", want)
	}
	for n := 2; n <= simLanes; n++ {
		got, _ := simulate(t, n, early)
		check(t, want, got)
	}
	killAtEveryPoint(t, 2, 1, early, want)
	killAtEveryPoint(t, 2, 0, func(s *simulation) { early(s); s.revive = true }, want)
	killAtEveryPoint(t, 1, 0, func(s *simulation) { early(s); s.revive = true }, want)
	late, _ := simulate(t, 2, func(s *simulation) { s.net.stopAfter = simEpochs })
	if late.Stopped != "" {
		t.Errorf("a job that stops after its last epoch: %q", late.Stopped)
	}
}

func killAtEveryPoint(t *testing.T, workers, victim int, setup func(*simulation), want result) {
	t.Helper()
	places := map[string]int{}
	for at := int64(1); ; at++ {
		got, s := simulate(t, workers, func(s *simulation) {
			setup(s)
			s.workers[victim].killAt.Store(at)
		})
		fired := s.workers[victim].where.Load()
		if fired == nil {
			t.Logf("%d workers, victim %d: %d points: %v", workers, victim, at-1, places)
			break
		}
		places[*fired]++
		if check(t, want, got); t.Failed() {
			t.Fatalf("%d workers, worker %d killed at its point %d (%s)", workers, victim, at, *fired)
		}
	}
	for _, must := range []string{"connect", "before sum", "after sum", "backward", "before commit", "after commit", "evaluate", "before save", "after save", "save model"} {
		if places[must] == 0 && (workers > 1 || must != "before sum" && must != "after sum") {
			t.Errorf("%d workers: no kill at %q: the test does not test what it says", workers, must)
		}
	}
}

// All workers die at about the same time and come back with their disks.
func TestAllKilledAndResumed(t *testing.T) {
	want := alone(t)
	for at := int64(20); at < 160; at += 7 {
		got, s := simulate(t, 3, func(s *simulation) {
			s.revive, s.waitFor = true, 3
			for i, w := range s.workers {
				w.killAt.Store(at + int64(i))
			}
		})
		for _, w := range s.workers {
			if w.where.Load() == nil {
				t.Fatalf("kill at %d did not fire", at)
			}
		}
		if check(t, want, got); t.Failed() {
			t.Fatalf("all killed at their point %d", at)
		}
	}
}

func TestLateJoiner(t *testing.T) {
	want := alone(t)
	for after := 1; after <= 2; after++ {
		got, s := simulate(t, 3, func(s *simulation) { s.joinAfter = after })
		check(t, want, got)
		if s.generation < 2 {
			t.Errorf("joining after %d checkpoints: there was no second generation", after)
		}
	}
}

// Workers die and come back, again and again, each at points of its own.
func TestManyKills(t *testing.T) {
	want := alone(t)
	for seed := range int64(60) {
		lives := 0
		got, s := simulate(t, 3, func(s *simulation) {
			s.revive, s.waitFor = true, 1+int(seed%3)
			for i, w := range s.workers {
				w.killAt.Store(10 + seed*17%61 + 23*int64(i))
				for life := range int64(4) {
					w.killNext = append(w.killNext, 5+int64(60*(1+draw(seed, int64(i), life))))
				}
			}
		})
		for _, w := range s.workers {
			lives += 4 - len(w.killNext)
		}
		if check(t, want, got); t.Failed() {
			t.Fatalf("seed %d", seed)
		}
		if lives < 3 {
			t.Errorf("seed %d: only %d workers came back", seed, lives)
		}
	}
}
