package coordinator

import (
	"testing"
	"time"

	"github.com/lockstep-ml/lockstep/pkg/cluster"
	pb "github.com/lockstep-ml/lockstep/proto/lockstep/v1"
)

// Who still reads the data shows that it is alive, and claims no state.
func TestReportOfReading(t *testing.T) {
	f := newFSM()
	l := &leader{c: &Coordinator{fsm: f}, live: map[string]*live{}, sessions: map[string]*session{
		"w1": {hello: &pb.Hello{WorkerId: "w1"}, held: map[string]cluster.Cursor{}},
	}}
	for _, op := range []cluster.Op{
		&cluster.Submit{Name: "a", Lanes: 1, MinWorkers: 1, MaxWorkers: 1, Epochs: 2, StepsPerEpoch: 10},
		&cluster.Start{Job: "a-1", Generation: 1, Members: []cluster.Member{{Worker: "w1", Lanes: []int{0}}}},
	} {
		if _, err := f.state.Apply(cluster.Command{Op: op}); err != nil {
			t.Fatal(err)
		}
	}
	at := cluster.Cursor{Epoch: 1, Step: 3}
	l.live["a-1"] = &live{generation: 1, cursor: at, reported: time.Now().Add(-time.Hour)}
	l.report("w1", &pb.Progress{JobId: "a-1", Generation: 1})
	p := l.live["a-1"]
	if time.Since(p.reported) > time.Minute || p.cursor != at || p.dirty || len(l.sessions["w1"].held) != 0 {
		t.Errorf("%+v, held %v; want a report that moves nothing", p, l.sessions["w1"].held)
	}
}
