package worker

import (
	"errors"
	"strings"
	"testing"

	pb "github.com/lockstep-ml/lockstep/proto/lockstep/v1"
)

func TestJudge(t *testing.T) {
	members := []*pb.Member{{WorkerId: "w0"}, {WorkerId: "w1"}, {WorkerId: "w2"}}
	for _, c := range []struct {
		name    string
		digests []uint64
		want    []string // by rank: "", "leaves", "blames wN", "fails"
	}{
		{"alike", []uint64{7, 7, 7}, []string{"", "", ""}},
		{"one differs", []uint64{7, 9, 7}, []string{"blames w1", "leaves", "blames w1"}},
		{"all differ", []uint64{7, 8, 9}, []string{"fails", "fails", "fails"}},
		{"two differ", []uint64{7, 9}, []string{"fails", "fails"}},
	} {
		for rank, want := range c.want {
			g := &generation{rank: rank, members: members[:len(c.digests)], replica: &replica{held: true}}
			err := g.judge(c.digests)
			var l *localError
			var b *brokenError
			got := ""
			switch {
			case errors.As(err, &l):
				got = "leaves"
			case errors.As(err, &b):
				got = "blames " + b.suspect
			case err != nil:
				got = "fails"
			}
			if got != want {
				t.Errorf("%s: rank %d: %q (%v), want %q", c.name, rank, got, err, want)
			}
			if err != nil && !strings.Contains(err.Error(), "w1") {
				t.Errorf("%s: rank %d: %v does not name w1", c.name, rank, err)
			}
			if g.replica.held != (want != "leaves") {
				t.Errorf("%s: rank %d: keeps its state: %v", c.name, rank, g.replica.held)
			}
		}
	}
}

// One changed bit anywhere in the state changes the digest.
func TestDigestSeesEveryBit(t *testing.T) {
	fresh := func() *replica {
		l := newToy(2, func(string) {})
		r := &replica{learner: l}
		r.start()
		r.commit(5, 0.5, []float64{1})
		r.endEpoch(epochResult{TrainLoss: 1}, span{Epochs: 9})
		return r
	}
	digest := func(r *replica) uint64 {
		d, err := r.digest()
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	want := digest(fresh())
	if got := digest(fresh()); got != want {
		t.Fatalf("equal replicas have digests %x and %x", want, got)
	}
	for name, change := range map[string]func(*replica){
		"parameter": func(r *replica) { r.learner.(*toy).w[3] = -r.learner.(*toy).w[3] },
		"slot":      func(r *replica) { r.learner.(*toy).slot[5] += 1e-7 },
		"exponent":  func(r *replica) { r.learner.(*toy).exponents[1]++ },
		"step":      func(r *replica) { r.at.Step++ },
		"attempt":   func(r *replica) { r.at.Attempt++ },
		"edition":   func(r *replica) { r.at.Edition++ },
		"sum":       func(r *replica) { r.sums.Loss += 1e-12 },
		"history":   func(r *replica) { r.history[0].TrainLoss += 1e-12 },
	} {
		r := fresh()
		if change(r); digest(r) == want {
			t.Errorf("digest does not see a change of the %s", name)
		}
	}
	r := fresh()
	if r.history[0].seconds = 3; digest(r) != want {
		t.Error("digest depends on the wall time")
	}
}
