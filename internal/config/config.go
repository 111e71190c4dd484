// Package config gives every flag of a command two more sources: the
// environment and a file.
//
// # Sources
//
// The value of a flag, say --data-dir, is the first that is there of
//
//	flag  --data-dir DIR on the command line
//	env   LOCKSTEP_DATA_DIR
//	file  data-dir: DIR in the YAML file that --config or LOCKSTEP_CONFIG names
//	      and then the flag's default
//
// A file may serve several commands: a key is known if any command of the
// program has a flag of that name, and a command takes what it knows. Lists may
// be written as YAML lists, name=value lists as YAML mappings.
package config

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/lockstep-ml/lockstep/internal/nearest"
)

const (
	flagName  = "config"
	envPrefix = "LOCKSTEP_"
)

// Bind adds the flag --config to root and all commands below it, and makes them
// take values from the environment and the file before they run. lookup is
// os.LookupEnv outside tests. A command below root must not set
// PersistentPreRunE itself.
func Bind(root *cobra.Command, lookup func(string) (string, bool)) {
	root.PersistentFlags().String(flagName, "", "YAML file with values for flags (also "+Env(flagName)+")")
	root.PersistentPreRunE = func(cmd *cobra.Command, _ []string) error {
		return apply(root, cmd, lookup)
	}
}

// Env returns the environment variable that stands for the flag.
func Env(flag string) string {
	return envPrefix + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}

// apply sets the flags of cmd that the command line left alone. All problems
// are reported at once.
func apply(root, cmd *cobra.Command, lookup func(string) (string, bool)) error {
	var errs []error
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		value, ok := lookup(Env(f.Name))
		if f.Changed || !ok || f.Name == "help" {
			return
		}
		if err := set(cmd.Flags(), f, []string{value}); err != nil {
			errs = append(errs, fmt.Errorf("environment variable %s=%q: %w", Env(f.Name), value, err))
		}
	})
	path, err := cmd.Flags().GetString(flagName)
	if err != nil || path == "" {
		return errors.Join(append(errs, err)...)
	}
	source, err := os.ReadFile(path)
	if err != nil {
		return errors.Join(append(errs, fmt.Errorf("--config: %w", err))...)
	}
	return errors.Join(append(errs, fromFile(root, cmd, path, source))...)
}

// fromFile sets the flags that neither the command line nor the environment set.
func fromFile(root, cmd *cobra.Command, path string, source []byte) error {
	settings, err := parse(path, source)
	if err != nil {
		return err
	}
	known := flagNames(root)
	var errs []error
	for _, s := range settings {
		f := cmd.Flags().Lookup(s.key)
		switch {
		case s.key == flagName || s.key == "help" || !slices.Contains(known, s.key):
			errs = append(errs, fmt.Errorf("%s: unknown key %q%s", s.at, s.key, nearest.DidYouMean(s.key, known)))
		case f == nil || f.Changed:
		default:
			if err := set(cmd.Flags(), f, s.values); err != nil {
				errs = append(errs, fmt.Errorf("%s: %s: %w", s.at, s.key, err))
			}
		}
	}
	return errors.Join(errs...)
}

// set gives a flag its value; a flag that is not a list takes exactly one.
func set(flags *pflag.FlagSet, f *pflag.Flag, values []string) error {
	list, isList := f.Value.(pflag.SliceValue)
	isMap := f.Value.Type() == "stringToString"
	switch {
	case isList && len(values) != 1:
		if err := list.Replace(values); err != nil {
			return err
		}
		f.Changed = true
		return nil
	case isMap || isList:
		return flags.Set(f.Name, strings.Join(values, ","))
	case len(values) != 1:
		return fmt.Errorf("expected one value (%s), got %d", f.Value.Type(), len(values))
	}
	if err := f.Value.Set(values[0]); err != nil {
		return fmt.Errorf("expected %s, got %q", f.Value.Type(), values[0])
	}
	f.Changed = true
	return nil
}

// flagNames lists the flags of root and of every command below it.
func flagNames(root *cobra.Command) []string {
	var names []string
	add := func(f *pflag.Flag) {
		if f.Name != "help" && f.Name != flagName {
			names = append(names, f.Name)
		}
	}
	root.Flags().VisitAll(add)
	root.PersistentFlags().VisitAll(add)
	for _, c := range root.Commands() {
		names = append(names, flagNames(c)...)
	}
	slices.Sort(names)
	return slices.Compact(names)
}
