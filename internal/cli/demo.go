package cli

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/lockstep-ml/lockstep/examples"
	"github.com/lockstep-ml/lockstep/pkg/job"
)

func newDemo(r job.Reader) *cobra.Command {
	t := training{file: jobFile{reader: r}}
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "See it work: train a reader of handwritten digits on this machine",
		Long: `See it work, in less than a minute: start a coordinator and two workers as
processes on this machine, train a network that reads handwritten digits, print
its test accuracy, the file of the model and the hash of its bits, and stop
everything.

Run it again with --workers 1 or --workers 3: the hash is the same.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			dir, err := os.MkdirTemp("", "lockstep-demo-")
			if err != nil {
				return fmt.Errorf("demo: %w", err)
			}
			defer os.RemoveAll(dir)
			if err := unpack(dir, examples.Digits()); err != nil {
				return fmt.Errorf("demo: %w", err)
			}
			t.file.path = filepath.Join(dir, "job.yaml")
			if t.out == "" {
				t.out = filepath.Join(os.TempDir(), "lockstep-demo", "digits.safetensors")
			}
			fmt.Fprintf(cmd.ErrOrStderr(), "a reader of handwritten digits, by %s and %s; Ctrl-C stops all\n",
				plural(t.cluster.Coordinators, "coordinator"), plural(t.cluster.Workers, "worker"))
			return t.run(cmd.Context(), cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	cmd.Flags().StringArrayVar(&t.file.overrides, "set", nil, "replace a field of the job file: --set epochs=2")
	addClusterFlags(cmd.Flags(), &t.cluster, 1, 2)
	cmd.Flags().StringVarP(&t.out, "out", "o", "", "model file to write (default: lockstep-demo/digits.safetensors in the temporary directory)")
	addJSON(cmd, &t.asJSON)
	return cmd
}

// unpack copies a tree of files to a directory.
func unpack(dir string, files fs.FS) error {
	return fs.WalkDir(files, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := fs.ReadFile(files, path)
		if err != nil {
			return err
		}
		to := filepath.Join(dir, filepath.FromSlash(path))
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			return err
		}
		return os.WriteFile(to, text, 0o644)
	})
}
