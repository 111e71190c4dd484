package cli

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/lockstep-ml/lockstep/internal/local"
	"github.com/lockstep-ml/lockstep/pkg/client"
	"github.com/lockstep-ml/lockstep/pkg/job"
	pb "github.com/lockstep-ml/lockstep/proto/lockstep/v1"
)

// training is one job on a cluster that lives as long as the job.
type training struct {
	file    jobFile
	cluster local.Config
	out     string // model file; "" is the job's name
	asJSON  bool
}

func newTrain(r job.Reader) *cobra.Command {
	t := training{file: jobFile{reader: r}}
	cmd := &cobra.Command{
		Use:   "train FILE",
		Short: "Train a job file on a cluster of this machine's own",
		Long: `Train a job file: start coordinators and workers as processes on this machine,
submit the job, follow it, fetch the model, and stop everything.

With --json the progress goes to stderr and the last line on stdout is one
object: job, state, epochs, steps, loss, metrics, records_per_second,
weights_sha256, wall_seconds, workers. loss and metrics are the test data's
after the last epoch (the best, if the job restores that), or the training
data's if the job has no test data.`,
		Example: "  lockstep train examples/digits/job.yaml --workers 2\n  lockstep train job.yaml --workers 3 --set epochs=1 --json",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			t.file.path = args[0]
			return t.run(cmd.Context(), cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	t.file.addFlags(cmd.Flags())
	addClusterFlags(cmd.Flags(), &t.cluster, 1, 2)
	cmd.Flags().StringVarP(&t.out, "out", "o", "", "model file to write (default: the job's name.safetensors)")
	addJSON(cmd, &t.asJSON)
	return cmd
}

func addClusterFlags(f *pflag.FlagSet, c *local.Config, coordinators, workers int) {
	f.IntVar(&c.Coordinators, "coordinators", coordinators, "number of coordinators; with 3, one may die")
	f.IntVarP(&c.Workers, "workers", "n", workers, "number of workers")
	f.IntVar(&c.Threads, "threads", 0, "threads of each worker (default: the cores shared among the workers)")
}

// run trains and reports. The context's end stops everything.
func (t *training) run(ctx context.Context, stdout, stderr io.Writer) error {
	began := time.Now()
	spec, request, err := t.file.read()
	if err != nil {
		return err
	}
	if t.out == "" {
		t.out = spec.Name + ".safetensors"
	}
	if t.cluster.Workers < 1 {
		return usageError{fmt.Errorf("--workers %d: a job needs at least one", t.cluster.Workers)}
	}
	if err := checkOut(t.out); err != nil {
		return err
	}
	show := stdout
	if t.asJSON {
		show = stderr
	}
	var j *pb.Job
	var kept string
	err = withCluster(ctx, t.cluster, stderr, func(running context.Context, c *client.Client, cluster *local.Cluster) error {
		j, err = t.follow(running, c, request, show)
		if err != nil || j.GetState() != pb.JobState_JOB_STATE_SUCCEEDED {
			return err
		}
		if err = download(running, c, j.GetId(), t.out); err != nil && ctx.Err() == nil {
			kept = keepModel(cluster, j.GetId())
		}
		return err
	})
	if kept != "" {
		return hint{err, kept}
	}
	if err != nil {
		return err
	}
	if t.asJSON {
		if err := jsonLine(stdout, newResult(j, t.cluster.Workers, time.Since(began))); err != nil {
			return err
		}
		return outcome(j)
	}
	if err := conclude(j, stdout); err != nil {
		return err
	}
	fmt.Fprintln(stdout, "model", t.out)
	return nil
}

// keepModel keeps the cluster's directory for the model that is in it, and returns
// what to tell the user; "" if there is none.
func keepModel(cluster *local.Cluster, id string) string {
	found, _ := filepath.Glob(filepath.Join(cluster.Dir(), "*", "models", id+".safetensors")) // the pattern is good
	if len(found) == 0 {
		return ""
	}
	cluster.Keep()
	return fmt.Sprintf("the model is kept in %s; copy it to where there is room, then remove %s", found[0], cluster.Dir())
}

// follow submits the job and watches it to its end.
func (t *training) follow(ctx context.Context, c *client.Client, request *pb.SubmitRequest, show io.Writer) (*pb.Job, error) {
	answer, err := c.Submit(ctx, request)
	if err != nil {
		return nil, err
	}
	for _, note := range answer.GetNotes() {
		fmt.Fprintln(show, note)
	}
	return watch(ctx, c, t.file.reader, answer.GetJobId(), show)
}

// withCluster starts a cluster, does something with it, and stops it.
func withCluster(ctx context.Context, config local.Config, warn io.Writer, do func(context.Context, *client.Client, *local.Cluster) error) (err error) {
	if config.Program, err = os.Executable(); err != nil {
		return fmt.Errorf("finding this program: %w", err)
	}
	if err := config.Validate(); err != nil {
		return usageError{err}
	}
	config.Ready = ready
	cluster, err := local.Start(ctx, config)
	if err != nil {
		return err
	}
	defer func() {
		if stopErr := cluster.Stop(); err == nil {
			err = stopErr
		}
	}()
	s := session{coordinators: cluster.Coordinators()}
	ctx, cancel := context.WithCancelCause(ctx)
	var guarding sync.WaitGroup
	guarding.Go(func() { guard(ctx, cluster, config, warn, cancel) })
	defer func() { cancel(nil); guarding.Wait() }()
	err = s.talk(ctx, func(ctx context.Context, c *client.Client) error { return do(ctx, c, cluster) })
	if cause := context.Cause(ctx); err != nil && cause != nil {
		return cause
	}
	return err
}

// ready is local.Config.Ready: the leader sees everyone.
func ready(ctx context.Context, coordinators []string, workers int) error {
	s := session{coordinators: coordinators}
	return s.talk(ctx, func(ctx context.Context, c *client.Client) error {
		nodes, err := c.Nodes(ctx)
		if err != nil {
			return err
		}
		live := 0
		for _, w := range nodes.GetWorkers() {
			if w.GetAlive() {
				live++
			}
		}
		if live < workers {
			return fmt.Errorf("%d of %d workers are there", live, workers)
		}
		return nil
	})
}

// guard warns of processes that end by themselves, and gives up when those
// that are left can not go on. It ends with ctx.
func guard(ctx context.Context, cluster *local.Cluster, config local.Config, warn io.Writer, giveUp context.CancelCauseFunc) {
	for {
		select {
		case <-ctx.Done():
			return
		case exit := <-cluster.Exits():
			fmt.Fprintln(warn, "lockstep: warning:", exit)
			coordinators, workers := cluster.Alive()
			if coordinators <= config.Coordinators/2 {
				giveUp(fmt.Errorf("%d of %d coordinators are left, too few to decide anything: %w", coordinators, config.Coordinators, exit))
			}
			if workers == 0 && config.Workers > 0 {
				giveUp(fmt.Errorf("no worker is left: %w", exit))
			}
		}
	}
}
