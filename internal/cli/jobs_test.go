package cli

import (
	"strings"
	"testing"

	pb "github.com/lockstep-ml/lockstep/proto/lockstep/v1"
)

// A job that does not run has no workers, whoever worked at it last.
func TestWorkersOfJobs(t *testing.T) {
	for state, want := range map[pb.JobState]string{
		pb.JobState_JOB_STATE_RUNNING: "1 of 1-8", pb.JobState_JOB_STATE_CANCELLED: "0 of 1-8", pb.JobState_JOB_STATE_SUCCEEDED: "0 of 1-8",
	} {
		j := &pb.Job{Id: "a-1", State: state, WorkersMin: 1, WorkersMax: 8, Members: []*pb.Member{{WorkerId: "w1", Address: "here"}}}
		var list, one strings.Builder
		if err := listJobs(&list, []*pb.Job{j}, false); err != nil {
			t.Fatal(err)
		}
		if err := showJob(&one, j); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(list.String(), want) || strings.Contains(one.String(), "w1 at here") != (want[0] == '1') {
			t.Errorf("%s:\n%s%s", state, list.String(), one.String())
		}
		if n := len(viewJob(j).Members); (n == 1) != (want[0] == '1') {
			t.Errorf("%s: %d members as JSON", state, n)
		}
	}
}
