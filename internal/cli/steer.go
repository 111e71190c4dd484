package cli

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/lockstep-ml/lockstep/pkg/client"
	pb "github.com/lockstep-ml/lockstep/proto/lockstep/v1"
)

func newCancel() *cobra.Command {
	return steer("cancel JOB", "End a job; its last checkpoint stays",
		func(ctx context.Context, c *client.Client, id string) (*pb.Job, error) { return c.Cancel(ctx, id) })
}

func newResume() *cobra.Command {
	return steer("resume JOB", "Let a cancelled or failed job go on from its last checkpoint",
		func(ctx context.Context, c *client.Client, id string) (*pb.Job, error) { return c.Resume(ctx, id) })
}

// steer makes a command that changes one job and shows its new state.
func steer(use, short string, do func(context.Context, *client.Client, string) (*pb.Job, error)) *cobra.Command {
	var s session
	var asJSON bool
	cmd := &cobra.Command{
		Use:   use,
		Short: short,
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return s.ask(cmd.Context(), func(ctx context.Context, c *client.Client) error {
				j, err := do(ctx, c, args[0])
				if err != nil {
					return err
				}
				if asJSON {
					return jsonLine(cmd.OutOrStdout(), viewJob(j))
				}
				fmt.Fprintf(cmd.OutOrStdout(), "%s is %s\n", j.GetId(), stateWord(j.GetState()))
				return nil
			})
		},
	}
	s.addFlags(cmd.Flags())
	addJSON(cmd, &asJSON)
	return cmd
}

func newLogs() *cobra.Command {
	var s session
	var asJSON, follow bool
	cmd := &cobra.Command{
		Use:   "logs JOB",
		Short: "Show what was decided about a job, when and why",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return s.follow(cmd.Context(), func(ctx context.Context, c *client.Client) error {
				return c.Logs(ctx, args[0], follow, func(e *pb.Event) error { return showEvent(cmd.OutOrStdout(), e, asJSON) })
			})
		},
	}
	s.addFlags(cmd.Flags())
	cmd.Flags().BoolVarP(&follow, "follow", "f", false, "go on with new events until the job has ended")
	addJSON(cmd, &asJSON)
	return cmd
}

func showEvent(out io.Writer, e *pb.Event, asJSON bool) error {
	if asJSON {
		return jsonLine(out, eventView{viewTime(e.GetAt()), e.GetNode(), e.GetMessage()})
	}
	_, err := fmt.Fprintf(out, "%s  %-4s  %s\n", e.GetAt().AsTime().Local().Format(time.DateTime+".000"), e.GetNode(), e.GetMessage())
	return err
}

func newDownload() *cobra.Command {
	var s session
	var path string
	cmd := &cobra.Command{
		Use:   "download JOB",
		Short: "Fetch the model of a job that succeeded",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if path == "" {
				path = args[0] + ".safetensors"
			}
			return s.follow(cmd.Context(), func(ctx context.Context, c *client.Client) error {
				if err := download(ctx, c, args[0], path); err != nil {
					return err
				}
				fmt.Fprintln(cmd.OutOrStdout(), path)
				return nil
			})
		},
	}
	s.addFlags(cmd.Flags())
	cmd.Flags().StringVarP(&path, "out", "o", "", "file to write (default JOB.safetensors)")
	return cmd
}

// download writes the model of a job to path; the file is there whole or not at all.
func download(ctx context.Context, c *client.Client, id, path string) error {
	return replaceFile(path, func(w io.Writer) error {
		if err := c.Download(ctx, id, w); err != nil {
			return fmt.Errorf("model of job %s: %w", id, err)
		}
		return nil
	})
}
