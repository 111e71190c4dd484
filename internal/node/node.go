// Package node turns flags into running coordinators and workers. The programs
// cmd/coordinator and cmd/worker are these commands, and cmd/lockstep has them as
// hidden subcommands, so that one binary can start a whole cluster.
//
// A node runs until it gets SIGINT or SIGTERM, or, with --until-eof, until its
// standard input ends (see internal/local). It logs to standard error, as JSON
// for machines or as text for people.
package node

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"golang.org/x/term"

	"github.com/lockstep-ml/lockstep/internal/local"
)

// common are the settings of both kinds of nodes.
type common struct {
	logLevel  string
	logFormat string
	untilEOF  bool
}

func (c *common) addFlags(f *pflag.FlagSet) {
	f.StringVar(&c.logLevel, "log-level", "info", "least important message to log: debug, info, warn or error")
	f.StringVar(&c.logFormat, "log-format", "auto", "json, text, or auto: text if standard error is a terminal")
	f.BoolVar(&c.untilEOF, "until-eof", false, "stop when standard input ends")
}

// logger makes what the flags say. The caller syncs it at the end.
func (c *common) logger() (*zap.Logger, error) {
	level, err := zapcore.ParseLevel(c.logLevel)
	if err != nil {
		return nil, fmt.Errorf("--log-level %q: expected debug, info, warn or error", c.logLevel)
	}
	conf := zap.NewProductionEncoderConfig()
	conf.EncodeTime = zapcore.RFC3339NanoTimeEncoder
	conf.EncodeDuration = zapcore.StringDurationEncoder
	var encoder zapcore.Encoder
	switch text := term.IsTerminal(int(os.Stderr.Fd())); {
	case c.logFormat == "text" || c.logFormat == "auto" && text:
		conf.EncodeTime = zapcore.TimeEncoderOfLayout("15:04:05.000")
		encoder = zapcore.NewConsoleEncoder(conf)
	case c.logFormat == "json" || c.logFormat == "auto":
		encoder = zapcore.NewJSONEncoder(conf)
	default:
		return nil, fmt.Errorf("--log-format %q: expected json, text or auto", c.logFormat)
	}
	return zap.New(zapcore.NewCore(encoder, zapcore.Lock(os.Stderr), level)), nil
}

// run runs a node with a logger until the command's context or, if asked for,
// the standard input ends.
func (c *common) run(cmd *cobra.Command, node func(context.Context, *zap.Logger) error) error {
	log, err := c.logger()
	if err != nil {
		return err
	}
	defer func() { _ = log.Sync() }() // standard error may be a terminal, which cannot sync
	ctx := cmd.Context()
	if c.untilEOF {
		var cancel context.CancelFunc
		ctx, cancel = local.UntilEOF(ctx, os.Stdin)
		defer cancel()
	}
	if err := node(ctx, log); ctx.Err() == nil || !errors.Is(err, context.Canceled) {
		return err
	}
	return nil // it was to stop, and did
}
