package cluster

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// dice draws commands, sensible ones and nonsense, for a state.
type dice struct {
	*rand.Rand
	now time.Time
}

func (d *dice) worker() string { return fmt.Sprintf("w%d", d.IntN(6)) }

func (d *dice) cursor() Cursor { return Cursor{int32(d.IntN(3)), d.Int64N(20)} }

func (d *dice) history() []EpochResult {
	var h []EpochResult
	for i := range d.IntN(4) {
		loss := Number([]float64{0.5, math.NaN(), math.Inf(1), -0.25}[d.IntN(4)])
		h = append(h, EpochResult{Epoch: int32(i), TrainLoss: 1, TestLoss: &loss, TrainMetrics: map[string]Number{"accuracy": loss}})
	}
	return h
}

func (d *dice) view() View {
	v := View{Now: d.now, Settled: d.IntN(10) > 0}
	for i := range 6 {
		if d.IntN(4) > 0 {
			v.Workers = append(v.Workers, Worker{ID: fmt.Sprintf("w%d", i), Address: "a", Incarnation: fmt.Sprint(d.IntN(2)),
				Connected: d.IntN(5) > 0, Held: map[string]Cursor{"j-1": d.cursor(), "j-2": d.cursor()}})
		}
	}
	return v
}

func (d *dice) op(s *State) Op {
	jobs := s.Jobs()
	id, generation := "nonsense-7", d.Uint64N(3)
	if len(jobs) > 0 && d.IntN(20) > 0 {
		j := jobs[d.IntN(len(jobs))]
		id, generation = j.ID, j.Generation
		if d.IntN(10) == 0 {
			generation += d.Uint64N(3) - 1
		}
	}
	switch d.IntN(14) {
	case 0:
		if len(jobs) < 4 {
			return &Submit{RequestID: fmt.Sprint(d.IntN(6)), Name: "j", Priority: d.IntN(3), Lanes: d.IntN(9), MinWorkers: d.IntN(3), MaxWorkers: d.IntN(5), Epochs: 2, StepsPerEpoch: 20}
		}
		return &Note{Job: id, Worker: d.worker(), Message: "ok \xff"}
	case 1:
		return &Start{Job: id, Generation: generation + 1, Members: []Member{{Worker: d.worker(), Lanes: []int{d.IntN(9) - 1}}, {Worker: d.worker()}}}
	case 2, 3:
		return &Progress{Job: id, Generation: generation, Cursor: d.cursor(), History: d.history()}
	case 4, 5, 6:
		return &Saved{Job: id, Worker: d.worker(), Cursor: d.cursor(), SHA256: fmt.Sprint("s", d.IntN(8)/7), Bytes: 7}
	case 7, 8:
		return &Broken{Job: id, Generation: generation, Blame: Blame{Worker: d.worker(), Suspect: d.worker(), Error: "x"}}
	case 9:
		return &Fail{Job: id, Generation: generation, Worker: d.worker(), Error: "bad", WorkerOnly: d.IntN(4) > 0}
	case 10:
		return &Done{Job: id, Generation: generation, WeightsSHA: "f00", History: d.history()}
	case 11:
		return &Cancel{Job: id}
	case 12:
		return &Resume{Job: id, Present: []string{d.worker()}}
	}
	return &Hold{Job: id, Generation: generation, Reason: "because"}
}

// Two replicas that apply the same log are equal, also if one is restored from a
// snapshot in between; and every state on the way keeps the invariants.
func TestReplicasAgree(t *testing.T) {
	for seed := range uint64(10) {
		d := &dice{Rand: rand.New(rand.NewPCG(seed, 1)), now: time.Unix(5000, 0).UTC()}
		a, b := NewState(), NewState()
		for step := range 200 {
			d.now = d.now.Add(time.Duration(d.Int64N(int64(time.Second))))
			ops := []Op{d.op(a)}
			if d.IntN(2) == 0 {
				ops = nil
				for _, decision := range Plan(a, d.view()) {
					ops = append(ops, decision.Op)
				}
			}
			for _, op := range ops {
				before := a.Clone()
				errA := applyLogged(t, a, d.now, op)
				errB := applyLogged(t, b, d.now, op)
				if fmt.Sprint(errA) != fmt.Sprint(errB) {
					t.Fatalf("seed %d step %d: %T: answers differ: %v, %v", seed, step, op, errA, errB)
				}
				checkStep(t, before, a, errA)
			}
			if d.IntN(10) == 0 {
				b = restored(t, b)
			}
		}
		if x, y := snapshotOf(t, a), snapshotOf(t, b); !bytes.Equal(x, y) {
			t.Fatalf("seed %d: replicas differ:\n%s\n%s", seed, x, y)
		}
	}
}

func applyLogged(t *testing.T, s *State, at time.Time, op Op) error {
	t.Helper()
	data, err := Command{At: at, Node: "c1", Op: op}.Encode()
	if err != nil {
		t.Fatal(err)
	}
	c, err := Decode(data)
	if err != nil {
		t.Fatalf("%s: %v", data, err)
	}
	_, err = s.Apply(c)
	return err
}

func snapshotOf(t *testing.T, s *State) []byte {
	t.Helper()
	b, err := s.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func restored(t *testing.T, s *State) *State {
	t.Helper()
	b := snapshotOf(t, s)
	r, err := Restore(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	if again := snapshotOf(t, r); !bytes.Equal(b, again) {
		t.Fatalf("a restored state differs:\n%s\n%s", b, again)
	}
	return r
}

// checkStep checks the invariants of the package comment over one command.
func checkStep(t *testing.T, before, after *State, refusal error) {
	t.Helper()
	known := errors.Is(refusal, ErrNotFound) || errors.Is(refusal, ErrStale) || errors.Is(refusal, ErrPhase) || errors.Is(refusal, ErrInvalid)
	if refusal != nil && !known {
		t.Fatalf("refused with an unknown error: %v", refusal)
	}
	owner := map[string]string{}
	for _, j := range after.Jobs() {
		if old, err := before.Job(j.ID); err == nil {
			if refusal != nil && old != j {
				t.Fatalf("%s changed though the command was refused: %v", j.ID, refusal)
			}
			if j.Generation != old.Generation && j.Generation != old.Generation+1 {
				t.Fatalf("%s: generation %d after %d", j.ID, j.Generation, old.Generation)
			}
			if j.Cursor.Compare(old.Cursor) < 0 || len(j.History) < len(old.History) {
				t.Fatalf("%s went back: %v %v", j.ID, old.Cursor, j.Cursor)
			}
		}
		if len(j.Events) > MaxEvents || len(j.Checkpoints) > MaxCheckpoints || len(j.Blames) > maxBlames {
			t.Fatalf("%s is unbounded: %d events, %d checkpoints, %d blames", j.ID, len(j.Events), len(j.Checkpoints), len(j.Blames))
		}
		if !slices.IsSortedFunc(j.Checkpoints, func(a, b Checkpoint) int { return a.Cursor.Compare(b.Cursor) }) {
			t.Fatalf("%s: checkpoints are not in order: %v", j.ID, j.Checkpoints)
		}
		lanes := 0
		for _, m := range j.Members {
			if other := owner[m.Worker]; j.Phase.Holds() && other != "" {
				t.Fatalf("%s is a member of %s and %s", m.Worker, other, j.ID)
			}
			if j.Phase.Holds() {
				owner[m.Worker] = j.ID
			}
			lanes += len(m.Lanes)
		}
		if j.Phase == Running && (lanes != j.Lanes || len(j.Members) < j.MinWorkers || len(j.Members) > j.MaxWorkers) {
			t.Fatalf("%s runs with %d of %d lanes on %d members", j.ID, lanes, j.Lanes, len(j.Members))
		}
	}
}

// Whatever the state and the view, what Plan decides is accepted, and once it has
// been applied there is nothing more to decide.
func TestPlanComesToRest(t *testing.T) {
	for seed := range uint64(60) {
		d := &dice{Rand: rand.New(rand.NewPCG(seed, 2)), now: time.Unix(5000, 0).UTC()}
		s := NewState()
		for range 60 {
			d.now = d.now.Add(time.Duration(d.Int64N(int64(time.Second))))
			applyLogged(t, s, d.now, d.op(s))
		}
		v := d.view()
		for round := 0; ; round++ {
			decisions := Plan(s, v)
			if again := Plan(s.Clone(), v); fmt.Sprint(decisions) != fmt.Sprint(again) {
				t.Fatalf("seed %d: two answers: %v, %v", seed, decisions, again)
			}
			if len(decisions) == 0 {
				break
			}
			if round == 8 {
				t.Fatalf("seed %d: no rest: %v", seed, decisions)
			}
			for _, decision := range decisions {
				if err := applyLogged(t, s, v.Now, decision.Op); err != nil {
					t.Fatalf("seed %d: %s: refused: %v", seed, decision, err)
				}
			}
		}
	}
}
