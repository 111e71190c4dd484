package cli

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/lockstep-ml/lockstep/pkg/client"
	pb "github.com/lockstep-ml/lockstep/proto/lockstep/v1"
)

func addJSON(cmd *cobra.Command, asJSON *bool) {
	cmd.Flags().BoolVar(asJSON, "json", false, "print JSON, for programs")
}

func newJobs() *cobra.Command {
	var s session
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "jobs [JOB]",
		Short: "List all jobs, or show one",
		Args:  cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return s.ask(cmd.Context(), func(ctx context.Context, c *client.Client) error {
				out := cmd.OutOrStdout()
				if len(args) == 1 {
					j, err := c.Job(ctx, args[0])
					if err != nil {
						return err
					}
					if asJSON {
						return jsonLine(out, viewJob(j))
					}
					return showJob(out, j)
				}
				jobs, err := c.Jobs(ctx)
				if err != nil {
					return err
				}
				return listJobs(out, jobs, asJSON)
			})
		},
	}
	s.addFlags(cmd.Flags())
	addJSON(cmd, &asJSON)
	return cmd
}

func listJobs(out io.Writer, jobs []*pb.Job, asJSON bool) error {
	if asJSON {
		views := []jobView{}
		for _, j := range jobs {
			views = append(views, viewJob(j))
		}
		return jsonLine(out, views)
	}
	if len(jobs) == 0 {
		fmt.Fprintln(out, "no jobs yet; `lockstep submit job.yaml` adds one")
		return nil
	}
	rows := [][]string{{"JOB", "STATE", "EPOCH", "LOSS", "WORKERS", "AGE", "REASON"}}
	for _, j := range jobs {
		loss := "-"
		if h := j.GetHistory(); len(h) > 0 {
			loss = number(h[len(h)-1].GetTrainLoss())
		}
		rows = append(rows, []string{
			j.GetId(), stateWord(j.GetState()), fmt.Sprintf("%d/%d", j.GetCursor().GetEpoch(), j.GetEpochs()), loss,
			fmt.Sprintf("%d of %d-%d", len(atWork(j)), j.GetWorkersMin(), j.GetWorkersMax()),
			ago(j.GetSubmittedAt(), time.Now()), reasonOf(j),
		})
	}
	return table(out, rows)
}

// atWork are the workers that a job has now: its members when it was last decided on,
// if it runs.
func atWork(j *pb.Job) []*pb.Member {
	if !running(j) {
		return nil
	}
	return j.GetMembers()
}

// reasonOf is the first line of why a job is where it is.
func reasonOf(j *pb.Job) string {
	reason := j.GetReason()
	if j.GetError() != "" {
		reason = j.GetError()
	}
	first, _, _ := strings.Cut(reason, "\n")
	if first == stateWord(j.GetState()) {
		return "-"
	}
	return dash(first)
}

func showJob(out io.Writer, j *pb.Job) error {
	rows := [][]string{
		{"job", j.GetId()},
		{"state", stateWord(j.GetState())},
		{"reason", dash(j.GetReason())},
		{"progress", fmt.Sprintf("epoch %d of %d, step %d of %d", j.GetCursor().GetEpoch(), j.GetEpochs(), j.GetCursor().GetStep(), j.GetStepsPerEpoch())},
		{"records", thousands(j.GetRecords())},
		{"parameters", thousands(j.GetParameters())},
		{"workers", fmt.Sprintf("%d to %d, %s", j.GetWorkersMin(), j.GetWorkersMax(), plural(int(j.GetLanes()), "lane"))},
		{"generation", strconv.FormatUint(j.GetGeneration(), 10)},
	}
	for _, m := range atWork(j) {
		rows = append(rows, []string{"member", fmt.Sprintf("%s at %s, lanes %v", m.GetWorkerId(), m.GetAddress(), m.GetLanes())})
	}
	for _, c := range j.GetCheckpoints() {
		rows = append(rows, []string{"checkpoint", fmt.Sprintf("epoch %d step %d on %s", c.GetCursor().GetEpoch(), c.GetCursor().GetStep(), strings.Join(c.GetWorkerIds(), ", "))})
	}
	if j.GetWeightsSha256() != "" {
		rows = append(rows, []string{"weights", "sha256:" + j.GetWeightsSha256()})
	}
	if j.GetError() != "" {
		rows = append(rows, []string{"error", j.GetError()})
	}
	if err := table(out, rows); err != nil {
		return err
	}
	for _, e := range j.GetHistory() {
		fmt.Fprintln(out, epochLine(e, j.GetEpochs(), 0))
	}
	return nil
}

func newNodes() *cobra.Command {
	var s session
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "nodes",
		Short: "List the coordinators and workers of a cluster",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return s.ask(cmd.Context(), func(ctx context.Context, c *client.Client) error {
				nodes, err := c.Nodes(ctx)
				if err != nil {
					return err
				}
				if asJSON {
					return jsonLine(cmd.OutOrStdout(), viewNodes(nodes))
				}
				return listNodes(cmd.OutOrStdout(), nodes)
			})
		},
	}
	s.addFlags(cmd.Flags())
	addJSON(cmd, &asJSON)
	return cmd
}

func listNodes(out io.Writer, nodes *pb.NodesResponse) error {
	rows := [][]string{{"NODE", "ADDRESS", "STATE", "ROLE", "JOB", "KERNELS", "THREADS"}}
	for _, c := range nodes.GetCoordinators() {
		role := "coordinator"
		if c.GetLeader() {
			role = "coordinator (leader)"
		}
		rows = append(rows, []string{c.GetId(), c.GetAddress(), alive(c.GetAlive()), role, "-", "-", "-"})
	}
	for _, w := range nodes.GetWorkers() {
		rows = append(rows, []string{
			w.GetId(), w.GetAddress(), alive(w.GetAlive()), "worker", dash(w.GetJobId()), dash(w.GetIsa()), strconv.Itoa(int(w.GetThreads())),
		})
	}
	return table(out, rows)
}

func alive(yes bool) string {
	if yes {
		return "alive"
	}
	return "lost"
}
