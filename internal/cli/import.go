package cli

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/lockstep-ml/lockstep/internal/onnx"
	"github.com/lockstep-ml/lockstep/internal/safetensors"
	"github.com/lockstep-ml/lockstep/pkg/job"
)

func newImport() *cobra.Command {
	var to string
	cmd := &cobra.Command{
		Use:   "import FILE.onnx",
		Short: "Read an ONNX network as the layers of a job file, with its weights",
		Long: `Read the network of an ONNX file as layers, and write two files: NAME.yaml with
the model and start sections of a job, and NAME.safetensors with the weights. Add
to the former what the job still needs, data, loss and optimizer, and it can be
trained on, measured by eval and applied by predict, both without MODEL.

An operator that is none of the layers is an error that names its node.`,
		Example: "  lockstep import resnet20.onnx --out nets/resnet20",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			switch {
			case to == "":
				to = strings.TrimSuffix(filepath.Base(args[0]), ".onnx")
			case os.IsPathSeparator(to[len(to)-1]):
				return usageError{fmt.Errorf("--out %s names a folder; name the files in it: %sNAME", to, to)}
			}
			return importNetwork(cmd.OutOrStdout(), args[0], to)
		},
	}
	cmd.Flags().StringVarP(&to, "out", "o", "", "NAME of the two files, with their folder; that of FILE here if not given")
	return cmd
}

// importNetwork reads an ONNX file and writes to.yaml and to.safetensors.
func importNetwork(out io.Writer, path, to string) error {
	f, err := os.Open(path)
	if err != nil {
		return usageError{err}
	}
	m, err := onnx.Read(f)
	if err = errors.Join(err, f.Close()); err != nil {
		return usageError{fmt.Errorf("%s: %w", path, err)}
	}
	n, err := m.Network()
	if err != nil {
		return usageError{hint{fmt.Errorf("%s: %w", path, err), "a job can start from the weights of the file without its network: docs/job-spec.md, start"}}
	}
	text, weights := filepath.FromSlash(to)+".yaml", filepath.FromSlash(to)+".safetensors"
	if err := replaceFile(text, func(w io.Writer) error {
		_, err := fmt.Fprintf(w, "# The network of %s. Its records are %s%s.\n# The job still needs data, loss, optimizer, epochs and global_batch.\nname: %s\n%sstart: {weights: %s}\n",
			filepath.Base(path), shape(n.Input.Shape), tokensOf(n.Input.Tokens), jobName(to), job.Model(n.Model), filepath.Base(weights))
		return err
	}); err != nil {
		return err
	}
	tensors := make([]safetensors.Tensor, len(n.Tensors))
	for i, t := range n.Tensors {
		tensors[i] = safetensors.Tensor{Name: t.Name, Shape: t.Shape, F32: t.F32}
	}
	if err := replaceFile(weights, func(w io.Writer) error { return safetensors.Write(w, tensors, nil) }); err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, "%s: %s that read %s%s\n%s: %s\n", text, plural(len(n.Model), "layer"), batchShape(n.Input.Shape), tokensOf(n.Input.Tokens),
		weights, plural(len(tensors), "tensor"))
	return err
}

// tokensOf says that a network reads tokens, of how many.
func tokensOf(vocabulary int) string {
	if vocabulary == 0 {
		return ""
	}
	return fmt.Sprintf(" tokens of %d", vocabulary)
}

// jobName makes a job's name of that of a file.
func jobName(path string) string {
	name := strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z' || r >= '0' && r <= '9':
			return r
		case r >= 'A' && r <= 'Z':
			return r - 'A' + 'a'
		}
		return '-'
	}, filepath.Base(path))
	return cmp.Or(strings.Trim(name, "-"), "network")
}
