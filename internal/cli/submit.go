package cli

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/lockstep-ml/lockstep/pkg/client"
	"github.com/lockstep-ml/lockstep/pkg/job"
	pb "github.com/lockstep-ml/lockstep/proto/lockstep/v1"
)

// jobFile is a job file as named on a command line, with what replaces its fields.
type jobFile struct {
	reader    job.Reader
	path      string
	overrides []string
	dataRoot  string
}

func (f *jobFile) addFlags(flags *pflag.FlagSet) {
	flags.StringArrayVar(&f.overrides, "set", nil, "replace a field of the job file: --set epochs=2 --set optimizer.adam.lr=0.01")
	flags.StringVar(&f.dataRoot, "data-root", "",
		"directory that relative data paths start from, as coordinators and workers see it (default: the job file's)")
}

// read checks the job file without its data and makes a request of it.
func (f *jobFile) read() (*job.Spec, *pb.SubmitRequest, error) {
	text, err := os.ReadFile(f.path)
	if err != nil {
		return nil, nil, usageError{fmt.Errorf("job file: %w", err)}
	}
	spec, err := f.reader.Decode(f.path, text, f.overrides)
	if err != nil {
		return nil, nil, usageError{err}
	}
	root, err := f.root()
	if err != nil {
		return nil, nil, err
	}
	return spec, &pb.SubmitRequest{JobYaml: text, FileName: f.path, DataRoot: root, Overrides: f.overrides}, nil
}

// root is where relative data paths start. A relative --data-root starts here.
func (f *jobFile) root() (string, error) {
	root := f.dataRoot
	if root == "" {
		root = filepath.Dir(f.path)
	}
	abs, err := filepath.Abs(root)
	if err != nil {
		return "", fmt.Errorf("data root: %w", err)
	}
	return abs, nil
}

func newSubmit(r job.Reader) *cobra.Command {
	var s session
	f := jobFile{reader: r}
	var follow, asJSON bool
	cmd := &cobra.Command{
		Use:   "submit FILE",
		Short: "Queue a job on a running cluster",
		Long: `Queue a job on a running cluster and print its id.

A bad job file or bad data are refused with file, line, column and what was
expected; nothing is queued then. Data are read where the coordinators and
workers run, so their paths must be valid there.`,
		Example: "  lockstep submit examples/digits/job.yaml --watch\n  lockstep submit job.yaml --data-root /data --set epochs=20",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			f.path = args[0]
			_, request, err := f.read()
			if err != nil {
				return err
			}
			return s.follow(cmd.Context(), func(ctx context.Context, c *client.Client) error {
				return submit(ctx, cmd, c, r, request, follow, asJSON)
			})
		},
	}
	s.addFlags(cmd.Flags())
	f.addFlags(cmd.Flags())
	cmd.Flags().BoolVarP(&follow, "watch", "w", false, "follow the job until it ends")
	addJSON(cmd, &asJSON)
	return cmd
}

func submit(ctx context.Context, cmd *cobra.Command, c *client.Client, r job.Reader, request *pb.SubmitRequest, follow, asJSON bool) error {
	out := cmd.OutOrStdout()
	answer, err := c.Submit(ctx, request)
	if err != nil {
		return err
	}
	for _, note := range answer.GetNotes() {
		fmt.Fprintln(cmd.ErrOrStderr(), note)
	}
	id := answer.GetJobId()
	if asJSON {
		err = jsonLine(out, map[string]string{"job": id})
	} else {
		_, err = fmt.Fprintln(out, id)
	}
	switch {
	case err != nil || !follow:
		return err
	case asJSON:
		return watchJSON(ctx, c, id, out)
	}
	j, err := watch(ctx, c, r, id, out)
	if err != nil {
		return err
	}
	return conclude(j, out)
}
