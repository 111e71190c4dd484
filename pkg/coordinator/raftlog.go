package coordinator

import (
	"fmt"
	"io"

	"github.com/hashicorp/go-hclog"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// raftLogger returns the logger that Raft wants; it writes to log.
func raftLogger(log *zap.Logger) hclog.Logger {
	l := hclog.NewInterceptLogger(&hclog.LoggerOptions{Name: "raft", Level: hclog.Info, Output: io.Discard})
	l.RegisterSink(zapSink{log.Named("raft")})
	return l
}

// zapSink is a hclog.SinkAdapter.
type zapSink struct{ log *zap.Logger }

func (s zapSink) Accept(_ string, level hclog.Level, message string, args ...any) {
	to := zapcore.DebugLevel
	switch level {
	case hclog.Info:
		to = zapcore.InfoLevel
	case hclog.Warn:
		to = zapcore.WarnLevel
	case hclog.Error:
		to = zapcore.ErrorLevel
	}
	entry := s.log.Check(to, message)
	if entry == nil {
		return
	}
	fields := make([]zap.Field, 0, len(args)/2)
	for i := 0; i+1 < len(args); i += 2 {
		if f, ok := args[i+1].(hclog.Format); ok && len(f) > 0 {
			args[i+1] = fmt.Sprintf(fmt.Sprint(f[0]), f[1:]...)
		}
		fields = append(fields, zap.Any(fmt.Sprint(args[i]), args[i+1]))
	}
	entry.Write(fields...)
}
