package cli

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/lockstep-ml/lockstep/internal/nearest"
	"github.com/lockstep-ml/lockstep/pkg/job"
	"github.com/lockstep-ml/lockstep/pkg/nn"
)

func newLayers(r job.Reader) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "layers [NAME]",
		Short: "List what a job file can name: layers, losses, optimizers, metrics, recipes, augmentations",
		Long: `List what a job file can name: layers with what they make of the shape of a record,
losses, optimizers, schedules, metrics, recipes and augmentations. Fields stand with
their defaults; those with =? must be given. With NAME, one with its fields explained.`,
		Example: "  lockstep layers\n  lockstep layers conv2d",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			entries := r.Catalogue()
			if len(args) == 1 {
				all := entries
				if entries = named(all, args[0]); len(entries) == 0 {
					return usageError{hint{fmt.Errorf("there is nothing of the name %q%s", args[0], nearest.DidYouMean(args[0], names(all))),
						"lockstep layers lists all"}}
				}
			}
			switch out := cmd.OutOrStdout(); {
			case asJSON:
				return jsonLine(out, entries)
			case len(args) == 1:
				return describeEntries(out, entries)
			default:
				return listEntries(out, entries)
			}
		},
	}
	addJSON(cmd, &asJSON)
	return cmd
}

func named(entries []nn.Entry, name string) []nn.Entry {
	var out []nn.Entry
	for _, e := range entries {
		if e.Name == name {
			out = append(out, e)
		}
	}
	return out
}

func names(entries []nn.Entry) []string {
	var out []string
	for _, e := range entries {
		out = append(out, e.Name)
	}
	return out
}

func listEntries(out io.Writer, entries []nn.Entry) error {
	rows := [][]string{{"KIND", "NAME", "FIELDS", "SUMMARY"}}
	for _, e := range entries {
		var fields []string
		for _, f := range e.Fields {
			fields = append(fields, f.Name+preset(f))
		}
		rows = append(rows, []string{e.Class, e.Name, dash(strings.Join(fields, " ")), join("; ", e.Summary, e.Shapes)})
	}
	return table(out, rows)
}

// preset is what a field is if it is not given: "=3"; "=?" if it must be.
func preset(f nn.Field) string {
	switch {
	case f.Required:
		return "=?"
	case f.Default == nil || f.Default == "":
		return ""
	}
	return fmt.Sprint("=", f.Default)
}

// join puts what is not empty one after the other.
func join(between string, parts ...string) string {
	return strings.Join(slices.DeleteFunc(parts, func(p string) bool { return p == "" }), between)
}

func describeEntries(out io.Writer, entries []nn.Entry) error {
	for _, e := range entries {
		fmt.Fprintf(out, "%s (%s): %s\n", e.Name, e.Class, e.Summary)
		if e.Shapes != "" {
			fmt.Fprintln(out, "shapes of a record:", e.Shapes)
		}
		rows := [][]string{{"FIELD", "TYPE", "DEFAULT", "SUMMARY"}}
		for _, f := range e.Fields {
			value := "required"
			if !f.Required {
				value = "none"
				if f.Default != nil {
					value = fmt.Sprint(f.Default)
				}
			}
			rows = append(rows, []string{f.Name, f.Type, value, f.Summary})
		}
		if len(rows) == 1 {
			continue
		}
		if err := table(out, rows); err != nil {
			return err
		}
	}
	return nil
}
