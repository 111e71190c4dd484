package worker

import (
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/lockstep-ml/lockstep/internal/build"
	"github.com/lockstep-ml/lockstep/pkg/allreduce"
	"github.com/lockstep-ml/lockstep/pkg/allreduce/linktest"
	pb "github.com/lockstep-ml/lockstep/proto/lockstep/v1"
)

// A steady step allocates nothing, alone and with the pipeline. (The links of
// pkg/allreduce are measured there.)
func TestStepAllocatesNothing(t *testing.T) {
	for name, members := range map[string]int{"alone": 1, "in a ring": 2} {
		l := newToy(simLanes, func(string) {})
		g := &generation{
			task:    &task{job: "j", metrics: []string{"m"}, span: span{Epochs: 1, StepsPerEpoch: 1 << 30, Steps: 1 << 30}},
			replica: &replica{learner: l}, members: make([]*pb.Member, members),
			assignment: &pb.Assignment{}, reporter: &reporter{}, log: zap.NewNop(),
		}
		g.replica.start()
		g.reporter.begin(g.task, 1, g.replica, true)
		sum := noRing
		if members > 1 {
			p := newPipeline(t.Context(), silentRing{}, nil, l)
			defer p.close()
			sum = p.gradient
		}
		source := &sameBatch{}
		source.batch.Lanes, source.batch.Rows, source.batch.Records = []int{0, 1}, []int{0, 1, 2}, []int64{3, 4}
		step := func() {
			source.batch.Step = g.replica.at.Step
			if err := g.step(t.Context(), source, sum); err != nil {
				t.Fatal(err)
			}
		}
		step()
		if n := testing.AllocsPerRun(50, step); n != 0 {
			t.Errorf("%s: a step allocates %v times", name, n)
		}
	}
}

// Two generations over real rings, in memory: the exponents, sums and digests of
// both ranks are alike. This is what the simulation's ring stands for.
func TestAgreementOverRealRings(t *testing.T) {
	for name, c := range map[string]struct {
		prepare func(rank int, r *replica)
		want    position
	}{
		"one is ahead": {func(rank int, r *replica) {
			if rank == 1 {
				r.start()
				r.commit(3, 1, []float64{1})
				r.overflow()
			}
		}, position{0, 1, 1, build.Edition}},
		"one has the checkpoint of an earlier build": {func(rank int, r *replica) {
			r.start()
			r.commit(3, 1, []float64{1})
			if rank == 0 {
				r.at.Edition--
				r.learner.(*toy).w[0]++
			}
		}, position{0, 1, 0, build.Edition}},
		"both went on from other checkpoints of it": {func(rank int, r *replica) {
			r.start()
			for step := range 2 {
				if step == rank {
					r.at.Edition--
				}
				r.commit(3, 1, []float64{1})
			}
			r.learner.(*toy).w[0] += float32(rank)
		}, position{0, 2, 0, max(position{0, 0, 0, build.Edition - 1}.lineage(), position{0, 1, 0, build.Edition - 1}.lineage())}},
		"both have": {func(_ int, r *replica) {
			r.start()
			r.at.Edition--
		}, position{Edition: build.Edition - 1}}, // until it computes
	} {
		t.Run(name, func(t *testing.T) {
			states := agreement(t, c.prepare)
			if states[0].at != c.want || states[1].at != c.want {
				t.Errorf("agreed on %+v and %+v, want %+v", states[0].at, states[1].at, c.want)
			}
			a, _ := states[0].digest()
			if b, _ := states[1].digest(); a != b {
				t.Errorf("digests %x and %x", a, b)
			}
		})
	}
}

// agreement lets two ranks agree over a real ring.
func agreement(t *testing.T, prepare func(rank int, r *replica)) []*replica {
	t.Helper()
	links := linktest.Ring(2)
	members := []*pb.Member{{WorkerId: "w0"}, {WorkerId: "w1"}}
	errs := make(chan error, 2)
	states := make([]*replica, 2)
	w := &simWorker{net: &simNet{workers: map[string]*simWorker{}}}
	w.net.workers[""] = w // both ranks, to each other
	process, _ := w.newProcess()
	defer process.kill()
	for rank := range 2 {
		r, err := allreduce.New(rank, 2, links[rank], allreduce.Options{StepTimeout: 10 * time.Second})
		if err != nil {
			t.Fatal(err)
		}
		states[rank] = &replica{learner: newToy(simLanes, func(string) {})}
		prepare(rank, states[rank])
		g := &generation{
			world: process,
			task:  &task{job: "j", digest: "d"}, replica: states[rank], rank: rank, members: members,
			assignment: &pb.Assignment{JobId: "j", Generation: 1}, ring: r, log: zap.NewNop(),
		}
		go func() { errs <- g.agree(t.Context()) }()
	}
	for range 2 {
		if err := <-errs; err != nil {
			t.Fatal(err)
		}
	}
	return states
}
