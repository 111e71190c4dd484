package cli

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/lockstep-ml/lockstep/pkg/client"
	"github.com/lockstep-ml/lockstep/pkg/job"
	pb "github.com/lockstep-ml/lockstep/proto/lockstep/v1"
)

func newWatch(r job.Reader) *cobra.Command {
	var s session
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "watch JOB",
		Short: "Follow a job until it ends",
		Long: `Follow a job until it ends: loss, metrics, speed and time left.

The exit code is 0 if the job succeeded and 1 if it failed or was cancelled.
With --json each line is an object: {"job": …} when the job changed, {"point":
…} for each step that was measured.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return s.follow(cmd.Context(), func(ctx context.Context, c *client.Client) error {
				if asJSON {
					return watchJSON(ctx, c, args[0], cmd.OutOrStdout())
				}
				j, err := watch(ctx, c, r, args[0], cmd.OutOrStdout())
				if err != nil {
					return err
				}
				return conclude(j, cmd.OutOrStdout())
			})
		},
	}
	s.addFlags(cmd.Flags())
	addJSON(cmd, &asJSON)
	return cmd
}

// watch shows a job until it has ended, and returns it.
func watch(ctx context.Context, c *client.Client, r job.Reader, id string, out io.Writer) (*pb.Job, error) {
	p := newProgress(r, out)
	defer p.close()
	var last *pb.Job
	err := c.Watch(ctx, id, func(r *pb.WatchResponse) error {
		if r.GetJob() != nil {
			last = r.GetJob()
		}
		p.update(last, r.GetPoints())
		return nil
	})
	if err == nil && last == nil {
		err = fmt.Errorf("job %s: the coordinator said nothing about it", id)
	}
	return last, err
}

func watchJSON(ctx context.Context, c *client.Client, id string, out io.Writer) error {
	var last *pb.Job
	err := c.Watch(ctx, id, func(r *pb.WatchResponse) error {
		var errs []error
		for _, p := range r.GetPoints() {
			errs = append(errs, jsonLine(out, map[string]any{"point": viewPoint(p)}))
		}
		if r.GetJob() != nil {
			last = r.GetJob()
			errs = append(errs, jsonLine(out, map[string]any{"job": viewJob(last)}))
		}
		return errors.Join(errs...)
	})
	if err != nil {
		return err
	}
	return outcome(last)
}

// conclude prints how a job ended. Unless it succeeded that is an error.
func conclude(j *pb.Job, out io.Writer) error {
	if err := outcome(j); err != nil {
		return err
	}
	if e := ofModel(j.GetHistory()); e != nil && e.TestLoss != nil {
		fmt.Fprintln(out, "test loss", number(e.GetTestLoss()))
		for _, m := range metricTexts("test ", e.GetTestMetrics()) {
			fmt.Fprintln(out, m)
		}
	}
	fmt.Fprintln(out, "weights sha256:"+j.GetWeightsSha256())
	return nil
}

// ofModel is the epoch after which the parameters were those of the model: the
// last, or the best if the job restores that. It is nil if there is none.
func ofModel(history []*pb.EpochResult) (of *pb.EpochResult) {
	for _, e := range history {
		if of == nil || e.GetKept() || !of.GetKept() {
			of = e
		}
	}
	return of
}

// outcome is nil for a job that succeeded and tells why for any other.
func outcome(j *pb.Job) error {
	switch j.GetState() {
	case pb.JobState_JOB_STATE_SUCCEEDED:
		return nil
	case pb.JobState_JOB_STATE_FAILED:
		return hint{fmt.Errorf("job %s failed: %s", j.GetId(), j.GetError()), "`lockstep logs " + j.GetId() + "` tells more"}
	}
	return hint{fmt.Errorf("job %s is %s: %s", j.GetId(), stateWord(j.GetState()), j.GetReason()), "`lockstep resume " + j.GetId() + "` lets it go on"}
}
