package cli

import (
	"os"

	"github.com/spf13/cobra"

	"github.com/lockstep-ml/lockstep/internal/build"
	"github.com/lockstep-ml/lockstep/internal/config"
	"github.com/lockstep-ml/lockstep/internal/node"
)

const about = `lockstep trains neural networks on several machines at once, and promises that
the result does not depend on them: the same job file and the same data give
the same bits in the model, on one worker or on eight, through killed workers,
late joiners and lost coordinators.

  coordinator  keeps the jobs and decides who works on what; run one, or three
               so that one may die
  worker       trains; run as many as you have machines
  job file     says what to train on what; docs/job-spec.md explains it

New here? This starts a cluster on this machine and trains a network that reads
handwritten digits, in less than a minute:

  lockstep demo

Then train a job file of your own with ` + "`lockstep train job.yaml --workers 2`" + `.
Every flag may also be given as an environment variable (--data-root is
LOCKSTEP_DATA_ROOT) or as a line of the YAML file that --config names.`

// Groups of commands in the help.
const (
	groupStart   = "start"
	groupCluster = "cluster"
	groupJobs    = "jobs"
	groupModels  = "models"
	groupMachine = "machine"
)

func (p Program) root() *cobra.Command {
	cobra.EnableCommandSorting = false // the order below is the one to learn them in
	root := &cobra.Command{
		Use:           "lockstep",
		Short:         "Train neural networks on several machines, with the same bits on any of them",
		Long:          about,
		Version:       build.Version(),
		SilenceErrors: true, // main reports
		SilenceUsage:  true,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error { return usage(cmd, err) })
	root.SetVersionTemplate("lockstep {{.Version}}\n")
	root.AddGroup(
		&cobra.Group{ID: groupStart, Title: "All in one command:"},
		&cobra.Group{ID: groupCluster, Title: "Clusters:"},
		&cobra.Group{ID: groupJobs, Title: "Jobs on a running cluster:"},
		&cobra.Group{ID: groupModels, Title: "Job files and models:"},
		&cobra.Group{ID: groupMachine, Title: "This machine and this program:"},
	)
	add := func(group string, commands ...*cobra.Command) {
		for _, c := range commands {
			c.GroupID = group
			checkArgs(c)
			root.AddCommand(c)
		}
	}
	add(groupStart, newDemo(p.reader()), newTrain(p.reader()))
	add(groupCluster, newUp(), newNodes(), newCerts())
	add(groupJobs, newSubmit(p.reader()), newJobs(), newWatch(p.reader()), newLogs(), newCancel(), newResume(), newDownload())
	add(groupModels, newValidate(p.reader()), newEval(p.reader()), newPredict(p.reader()), newSample(p.reader()), newGenerate(p.reader()), newExport(p.reader()), newImport(), newLayers(p.reader()))
	add(groupMachine, newBench(), newVersion())
	root.SetCompletionCommandGroupID(groupMachine)
	root.SetHelpCommandGroupID(groupMachine)
	// The processes of a cluster on this machine run this binary again.
	root.AddCommand(hide(node.Coordinator(p.Kinds)), hide(node.Worker(p.Kinds)), newHealth())
	config.Bind(root, os.LookupEnv)
	bound := root.PersistentPreRunE
	root.PersistentPreRunE = func(cmd *cobra.Command, args []string) error {
		if err := bound(cmd, args); err != nil {
			return usageError{err}
		}
		return nil
	}
	return root
}

func hide(cmd *cobra.Command) *cobra.Command {
	cmd.Hidden = true
	return cmd
}

// checkArgs makes a wrong number of arguments a usage error, here and below.
func checkArgs(cmd *cobra.Command) {
	if check := cmd.Args; check != nil {
		cmd.Args = func(cmd *cobra.Command, args []string) error {
			if err := check(cmd, args); err != nil {
				return usage(cmd, err)
			}
			return nil
		}
	}
	for _, c := range cmd.Commands() {
		checkArgs(c)
	}
}

// usage marks an error of the command line and says where to read on.
func usage(cmd *cobra.Command, err error) error {
	return usageError{hint{err, "run `" + cmd.CommandPath() + " --help` to see how it is used"}}
}

// hint is an error with a line that says what to do.
type hint struct {
	error
	todo string
}

func (e hint) Error() string { return e.error.Error() + "\n  " + e.todo }
func (e hint) Unwrap() error { return e.error }
