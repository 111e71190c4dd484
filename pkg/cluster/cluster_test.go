package cluster

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"
)

func startOf() time.Time { return time.Unix(1000, 0).UTC() }

// must applies an operation that must not be refused.
func must(t *testing.T, s *State, op Op) string {
	t.Helper()
	id, err := s.Apply(Command{At: startOf(), Node: "c1", Op: op})
	if err != nil {
		t.Fatalf("%T: %v", op, err)
	}
	return id
}

func running(t *testing.T) (*State, string) {
	t.Helper()
	s := NewState()
	id := must(t, s, &Submit{Name: "a", Lanes: 2, MinWorkers: 1, MaxWorkers: 2, Epochs: 3, StepsPerEpoch: 10})
	must(t, s, &Start{Job: id, Generation: 1, Members: []Member{
		{Worker: "w1", Incarnation: "i", Address: "w1:1", Lanes: []int{0}}, {Worker: "w2", Incarnation: "i", Address: "w2:1", Lanes: []int{1}},
	}})
	return s, id
}

func TestSubmitTwiceQueuesOneJob(t *testing.T) {
	s := NewState()
	op := &Submit{RequestID: "r", Name: "a", Lanes: 1, MinWorkers: 1, MaxWorkers: 1}
	if a, b := must(t, s, op), must(t, s, op); a != "a-1" || b != "a-1" || len(s.Jobs()) != 1 {
		t.Errorf("ids %q and %q, %d jobs", a, b, len(s.Jobs()))
	}
	if c := must(t, s, &Submit{RequestID: "other", Name: "b", Lanes: 1, MinWorkers: 1, MaxWorkers: 1}); c != "b-2" {
		t.Errorf("another request got id %q", c)
	}
}

func TestRefusals(t *testing.T) {
	s, id := running(t)
	member := func(w string, lanes ...int) Member { return Member{Worker: w, Lanes: lanes} }
	for _, c := range []struct {
		name string
		op   Op
		want error
	}{
		{"nothing", nil, ErrInvalid},
		{"unknown job", &Cancel{Job: "b-9"}, ErrNotFound},
		{"no name", &Submit{Lanes: 1, MinWorkers: 1, MaxWorkers: 1}, ErrInvalid},
		{"more workers than lanes", &Submit{Name: "x", Lanes: 1, MinWorkers: 2, MaxWorkers: 2}, ErrInvalid},
		{"generation skipped", &Start{Job: id, Generation: 3, Members: []Member{member("w1", 0, 1)}}, ErrStale},
		{"generation repeated", &Start{Job: id, Generation: 1, Members: []Member{member("w1", 0, 1)}}, ErrStale},
		{"lane without owner", &Start{Job: id, Generation: 2, Members: []Member{member("w1", 0)}}, ErrInvalid},
		{"lane owned twice", &Start{Job: id, Generation: 2, Members: []Member{member("w1", 0, 1), member("w2", 1)}}, ErrInvalid},
		{"lane outside", &Start{Job: id, Generation: 2, Members: []Member{member("w1", 0, 2)}}, ErrInvalid},
		{"negative lane", &Start{Job: id, Generation: 2, Members: []Member{member("w1", -1, 0)}}, ErrInvalid},
		{"member twice", &Start{Job: id, Generation: 2, Members: []Member{member("w1", 0), member("w1", 1)}}, ErrInvalid},
		{"no members", &Start{Job: id, Generation: 2}, ErrInvalid},
		{"progress of an old generation", &Progress{Job: id, Generation: 0}, ErrStale},
		{"done by an old generation", &Done{Job: id, Generation: 0, WeightsSHA: "x"}, ErrStale},
		{"done without a sum", &Done{Job: id, Generation: 1}, ErrInvalid},
		{"failure of a stranger", &Fail{Job: id, Generation: 1, Worker: "w9", WorkerOnly: true}, ErrInvalid},
		{"hold of an old generation", &Hold{Job: id, Generation: 0}, ErrStale},
		{"checkpoint without a sum", &Saved{Job: id, Worker: "w1"}, ErrInvalid},
	} {
		t.Run(c.name, func(t *testing.T) {
			before := s.Jobs()[0]
			if _, err := s.Apply(Command{At: startOf(), Op: c.op}); !errors.Is(err, c.want) {
				t.Errorf("got %v, want %v", err, c.want)
			}
			if len(s.Jobs()) != 1 || s.Jobs()[0] != before {
				t.Error("the state changed")
			}
		})
	}
}

func TestReportsMaySayThingsTwice(t *testing.T) {
	s, id := running(t)
	history := []EpochResult{{Epoch: 0, TrainLoss: 1}}
	for range 2 {
		must(t, s, &Progress{Job: id, Generation: 1, Cursor: Cursor{1, 0}, History: history})
		must(t, s, &Saved{Job: id, Worker: "w1", Cursor: Cursor{1, 0}, SHA256: "x"})
		must(t, s, &Saved{Job: id, Worker: "w2", Cursor: Cursor{1, 0}, SHA256: "x"})
		must(t, s, &Broken{Job: id, Generation: 1, Blame: Blame{Worker: "w1", Suspect: "w2"}})
	}
	for range 2 {
		must(t, s, &Done{Job: id, Generation: 1, WeightsSHA: "f00"})
	}
	j, err := s.Job(id)
	if err != nil {
		t.Fatal(err)
	}
	if len(j.History) != 1 || len(j.Checkpoints) != 1 || len(j.Checkpoints[0].Workers) != 2 || j.Phase != Succeeded || j.Cursor != (Cursor{3, 0}) {
		t.Errorf("got %+v", j)
	}
	if floor := j.Floor(); floor == nil || floor.Cursor != (Cursor{1, 0}) {
		t.Errorf("floor %v", floor)
	}
}

func TestCheckpointThatDiffersIsReported(t *testing.T) {
	s, id := running(t)
	must(t, s, &Saved{Job: id, Worker: "w1", Cursor: Cursor{0, 5}, SHA256: "x"})
	must(t, s, &Saved{Job: id, Worker: "w2", Cursor: Cursor{0, 5}, SHA256: "y"})
	j, err := s.Job(id)
	if err != nil {
		t.Fatal(err)
	}
	last := j.Events[len(j.Events)-1].Message
	if j.Floor() != nil || !strings.Contains(last, "worker w2") || !strings.Contains(last, "computes or stores wrongly") {
		t.Errorf("floor %v, last event %q", j.Floor(), last)
	}
}

// Another build may compute other bits: it says so, and no machine is blamed.
func TestJobGoesOnInAnotherEdition(t *testing.T) {
	s, id := running(t)
	events := func() string {
		var all string
		for _, e := range s.jobs[id].Events {
			all += e.Message + "\n"
		}
		return all
	}
	start := func(edition uint32) {
		p := newPlanner(s, View{Now: startOf(), Edition: edition})
		p.start(s.jobs[id], []Worker{{ID: "w2"}}, nil, "w1 is lost")
		must(t, s, p.decisions[0].Op)
	}
	const told = "edition 5 of the bits goes on where edition 4 was"
	start(4)
	start(5) // nothing is saved, so it begins anew
	start(4)
	must(t, s, &Saved{Job: id, Worker: "w1", Cursor: Cursor{0, 5}, SHA256: "x"})
	start(4)
	if strings.Contains(events(), "edition") {
		t.Errorf("too soon:\n%s", events())
	}
	start(5)
	must(t, s, &Saved{Job: id, Worker: "w2", Cursor: Cursor{0, 5}, SHA256: "y"})
	start(5)
	if got := events(); strings.Count(got, told) != 1 || strings.Contains(got, "wrongly") {
		t.Errorf("events:\n%s", got)
	}
	if floor := s.jobs[id].Floor(); floor == nil || floor.SHA256 != "y" || !slices.Equal(floor.Workers, []string{"w2"}) {
		t.Errorf("floor %+v", floor)
	}
	must(t, s, &Saved{Job: id, Worker: "w2", Cursor: Cursor{0, 6}, SHA256: "y"})
	start(4)
	start(5) // by another way than before
	must(t, s, &Saved{Job: id, Worker: "w2", Cursor: Cursor{0, 6}, SHA256: "yy"})
	if strings.Contains(events(), "wrongly") {
		t.Errorf("a machine is blamed:\n%s", events())
	}
	must(t, s, &Saved{Job: id, Worker: "w1", Cursor: Cursor{0, 6}, SHA256: "z"})
	if !strings.Contains(events(), "computes or stores wrongly") {
		t.Error("a difference within the edition goes unseen")
	}
}

func TestCompleteCheckpointOutlivesNewerPartialOnes(t *testing.T) {
	s, id := running(t)
	must(t, s, &Saved{Job: id, Worker: "w1", Cursor: Cursor{0, 1}, SHA256: "x"})
	must(t, s, &Saved{Job: id, Worker: "w2", Cursor: Cursor{0, 1}, SHA256: "x"})
	for i := range int64(2 * MaxCheckpoints) {
		must(t, s, &Saved{Job: id, Worker: "w1", Cursor: Cursor{0, 2 + i}, SHA256: "x"})
	}
	j, err := s.Job(id)
	if err != nil {
		t.Fatal(err)
	}
	if floor := j.Floor(); floor == nil || floor.Cursor != (Cursor{0, 1}) || len(j.Checkpoints) != MaxCheckpoints {
		t.Errorf("floor %v of %v", floor, j.Checkpoints)
	}
}

func TestCursorBack(t *testing.T) {
	for _, c := range []struct{ from, want Cursor }{
		{Cursor{0, 0}, Cursor{0, 0}}, {Cursor{0, 3}, Cursor{0, 2}}, {Cursor{2, 0}, Cursor{1, 9}},
	} {
		if got := c.from.Back(10); got != c.want {
			t.Errorf("%v back: %v, want %v", c.from, got, c.want)
		}
	}
}

// The form of log entries is for ever: this one was written by version 1.
func TestLogEntryForm(t *testing.T) {
	const want = `{"v":1,"kind":"saved","at":"1970-01-01T00:16:40Z","node":"c1","op":{"job":"a-1","worker":"w1","cursor":{"epoch":1,"step":20},"sha256":"f00","bytes":7}}`
	got, err := Command{At: startOf(), Node: "c1", Op: &Saved{Job: "a-1", Worker: "w1", Cursor: Cursor{1, 20}, SHA256: "f00", Bytes: 7}}.Encode()
	if err != nil || string(got) != want {
		t.Errorf("got  %s, %v\nwant %s", got, err, want)
	}
	for _, bad := range []string{
		"", "{}", "null", want + "x", strings.Replace(want, `"v":1`, `"v":2`, 1), strings.Replace(want, "saved", "sawed", 1),
		strings.Replace(want, "bytes", "newer_field", 1), strings.Replace(want, "node", "nodule", 1), want[:40],
	} {
		if c, err := Decode([]byte(bad)); err == nil {
			t.Errorf("%s: decoded as %+v", bad, c)
		}
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte(`{"v":1,"kind":"start","at":"1970-01-01T00:16:40Z","node":"c1","op":{"job":"a-1","generation":2,"members":[{"worker":"w1","lanes":[0,1]}],"reason":""}}`))
	f.Add([]byte(`{"v":1,"kind":"submit","at":"1970-01-01T00:16:40Z","node":"c1","op":{"name":"a","lanes":2}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := Decode(data)
		if err != nil {
			return
		}
		s, _ := running(t)
		_, _ = s.Apply(c) // must not panic
	})
}

func TestRestoreRefusesDamage(t *testing.T) {
	s, _ := running(t)
	b, err := s.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{"", string(b[:len(b)/2]), strings.Replace(string(b), `"v":1`, `"v":9`, 1), string(b) + "{}"} {
		if _, err := Restore(strings.NewReader(bad)); err == nil {
			t.Errorf("restored %.60s", bad)
		}
	}
}

// A long job saves often; what befell it must not drown in that.
func TestRoutineEventsAreForgottenFirst(t *testing.T) {
	s, id := running(t)
	for i := range int64(2 * MaxEvents) {
		for _, w := range []string{"w1", "w2", "late"} {
			must(t, s, &Saved{Job: id, Worker: w, Cursor: Cursor{0, i}, SHA256: "x"})
		}
	}
	j, err := s.Job(id)
	if err != nil {
		t.Fatal(err)
	}
	if len(j.Events) != MaxEvents || j.Logged != 2*MaxEvents+2 {
		t.Errorf("%d events, %d logged", len(j.Events), j.Logged)
	}
	if !strings.HasPrefix(j.Events[0].Message, "submitted") || !strings.HasPrefix(j.Events[1].Message, "generation 1") {
		t.Errorf("the story begins with %q, %q", j.Events[0].Message, j.Events[1].Message)
	}
	for range MaxEvents + 1 {
		must(t, s, &Note{Job: id, Worker: "w1", Message: "note"})
	}
	if j, err = s.Job(id); err != nil || len(j.Events) != MaxEvents || j.Events[0].Message != "note" {
		t.Errorf("notes: %d events, %v", len(j.Events), err)
	}
}

func TestEndedJobsAreBounded(t *testing.T) {
	s := NewState()
	submit := func() string {
		return must(t, s, &Submit{Name: "a", Lanes: 1, MinWorkers: 1, MaxWorkers: 1})
	}
	first := submit()
	for range MaxEnded + 5 {
		must(t, s, &Cancel{Job: submit()})
	}
	last := submit()
	jobs := s.Jobs()
	if len(jobs) != MaxEnded+2 || jobs[0].ID != first || jobs[len(jobs)-1].ID != last {
		t.Errorf("%d jobs from %s to %s", len(jobs), jobs[0].ID, jobs[len(jobs)-1].ID)
	}
}

// Another leader's clock was a day ahead when it suspended a worker.
func TestSuspensionOutlivesNoClock(t *testing.T) {
	s, id := running(t)
	must(t, s, &Hold{Job: id, Generation: 1, Reason: "w2 is lost"})
	j := *s.jobs[id]
	j.Suspended = map[string]time.Time{"w1": startOf().Add(24 * time.Hour), "w2": startOf().Add(10 * time.Second)}
	p := newPlanner(s, View{Now: startOf(), Settled: true})
	if w := (Worker{ID: "w1", Connected: true}); !p.usable(&j, w) {
		t.Error("w1 is kept out for a day")
	}
	if w := (Worker{ID: "w2", Connected: true}); p.usable(&j, w) {
		t.Error("w2 is not kept out")
	}
}

func TestJobThatStoppedEarlySucceeds(t *testing.T) {
	s, id := running(t)
	why := "stopped after 1 of 3 epochs: in the last 3 evaluations loss was never below 0.5"
	must(t, s, &Done{Job: id, Generation: 1, WeightsSHA: "f00", Stopped: why, History: []EpochResult{{Kept: true}}})
	j, err := s.Job(id)
	if err != nil {
		t.Fatal(err)
	}
	last := len(j.Events) - 2
	if j.Phase != Succeeded || j.Reason != why || last < 0 || j.Events[last].Message != why || !j.History[0].Kept {
		t.Errorf("%s, %q, events %v, history %v", j.Phase, j.Reason, j.Events, j.History)
	}
}
