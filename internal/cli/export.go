package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/lockstep-ml/lockstep/internal/onnx"
	"github.com/lockstep-ml/lockstep/internal/safetensors"
	"github.com/lockstep-ml/lockstep/pkg/job"
)

func newExport(r job.Reader) *cobra.Command {
	u := modelUse{job: jobFile{reader: r}, split: "train", threads: 1}
	var toONNX, toSafetensors string
	cmd := &cobra.Command{
		Use:   "export [MODEL] --job FILE --onnx FILE",
		Short: "Write a model for other programs, as ONNX or safetensors",
		Long: `Write a model as an ONNX file, which other programs run (docs/onnx.md says what
is in it), or as safetensors. Without MODEL the weights that the job starts from
are written.

The ONNX graph reads what the network reads: records that are scaled and coded as
in training. How, stands in the file's metadata under lockstep.fit.`,
		Example: "  lockstep export digits.safetensors --job examples/digits/job.yaml --onnx digits.onnx",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if toONNX == "" && toSafetensors == "" {
				return usageError{errors.New("nothing to write: give --onnx FILE or --safetensors FILE")}
			}
			u.path = strings.Join(args, "")
			m, err := u.open(cmd.Context())
			if err != nil {
				return err
			}
			defer m.Close()
			return m.export(cmd.OutOrStdout(), toONNX, toSafetensors)
		},
	}
	u.addJob(cmd)
	cmd.Flags().StringVar(&toONNX, "onnx", "", "ONNX file to write")
	cmd.Flags().StringVar(&toSafetensors, "safetensors", "", "safetensors file to write")
	return cmd
}

// export writes the files that have a name.
func (m *model) export(out io.Writer, toONNX, toSafetensors string) error {
	var tensors []safetensors.Tensor
	for _, t := range m.trainer.ParamTensors() {
		tensors = append(tensors, safetensors.Tensor{Name: t.Name, Shape: t.Shape, F32: t.F32})
	}
	metadata := map[string]string{}
	for key, value := range map[string]any{metaInput: m.manifest.Input, metaFit: m.manifest.Fit} {
		text, err := json.Marshal(value)
		if err != nil {
			return err
		}
		metadata[key] = string(text)
	}
	if toSafetensors != "" {
		if err := replaceFile(toSafetensors, func(w io.Writer) error { return safetensors.Write(w, tensors, metadata) }); err != nil {
			return err
		}
		if _, err := fmt.Fprintf(out, "%s: %s\n", toSafetensors, plural(len(tensors), "tensor")); err != nil {
			return err
		}
	}
	if toONNX == "" {
		return nil
	}
	if err := replaceFile(toONNX, func(w io.Writer) error { return onnx.Write(w, m.plan, tensors, metadata) }); err != nil {
		return err
	}
	values, _ := m.plan.Graph()
	_, err := fmt.Fprintf(out, "%s: input %s, output %s for N records\n", toONNX, batchShape(values[0].Shape), batchShape(m.plan.Output()))
	return err
}

// batchShape writes the shape of any number of records: Nx1x28x28.
func batchShape(record []int) string {
	if len(record) == 0 {
		return "N"
	}
	return "Nx" + shape(record)
}
