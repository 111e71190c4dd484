package client

import (
	"context"
	"fmt"
	"io"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	pb "github.com/lockstep-ml/lockstep/proto/lockstep/v1"
)

// each calls f with every message of a stream, and says whether there was any.
// It returns nil at the stream's end. An error of f ends it.
func each[M any](stream grpc.ServerStreamingClient[M], f func(*M) error) (worked bool, err error) {
	for {
		m, err := stream.Recv()
		if err == io.EOF {
			return worked, nil
		}
		if err != nil {
			return worked, err
		}
		worked = true
		if err := f(m); err != nil {
			return worked, stop{err}
		}
	}
}

// stop is an error of the caller's function: it is never tried again.
type stop struct{ error }

func (s stop) Unwrap() error { return s.error }

// unstop returns the caller's own error.
func unstop(err error) error {
	if s, ok := err.(stop); ok {
		return s.error
	}
	return err
}

// Watch calls f with the job at once and whenever it changed, and with the points
// of its steps, until the job has ended; then it returns nil. It goes on through
// the loss of coordinators: no point is reported twice, but those that only a lost
// leader had are missing. An error of f ends it and is returned.
func (c *Client) Watch(ctx context.Context, id string, f func(*pb.WatchResponse) error) error {
	var step int64
	return unstop(c.retry(ctx, func(ctx context.Context, jobs pb.JobsClient) (bool, error) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		stream, err := jobs.Watch(ctx, &pb.WatchRequest{JobId: id, AfterStep: step})
		if err != nil {
			return false, err
		}
		return each(stream, func(m *pb.WatchResponse) error {
			if n := len(m.Points); n > 0 {
				step = m.Points[n-1].GlobalStep
			}
			return f(m)
		})
	}))
}

// Logs calls f with the events of a job that are kept, oldest first; if follow is
// set also with new ones, until the job has ended. An error of f ends it and is
// returned.
func (c *Client) Logs(ctx context.Context, id string, follow bool, f func(*pb.Event) error) error {
	var seen []*pb.Event // of earlier streams and this one
	return unstop(c.retry(ctx, func(ctx context.Context, jobs pb.JobsClient) (bool, error) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		stream, err := jobs.Logs(ctx, &pb.LogsRequest{JobId: id, Follow: follow})
		if err != nil {
			return false, err
		}
		before := seen
		return each(stream, func(m *pb.LogsResponse) error {
			for _, e := range m.Events {
				if known(before, e) {
					continue
				}
				seen = append(seen[max(0, len(seen)-maxSeen):], e)
				if err := f(e); err != nil {
					return err
				}
			}
			return nil
		})
	}))
}

// maxSeen is at least the number of events that a coordinator keeps of a job.
const maxSeen = 1000

func known(events []*pb.Event, e *pb.Event) bool {
	for _, k := range events {
		if proto.Equal(k, e) {
			return true
		}
	}
	return false
}

// idleTimeout bounds the wait for the next piece of a model.
const idleTimeout = 30 * time.Second

// Download writes the model file of a job that has succeeded to w. After an error
// what w got is not the whole file.
func (c *Client) Download(ctx context.Context, id string, w io.Writer) error {
	return unstop(c.retry(ctx, func(ctx context.Context, jobs pb.JobsClient) (bool, error) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		idle := time.AfterFunc(idleTimeout, cancel)
		defer idle.Stop()
		stream, err := jobs.Download(ctx, &pb.DownloadRequest{JobId: id})
		if err != nil {
			return false, err
		}
		var got, total int64
		worked, err := each(stream, func(m *pb.DownloadResponse) error {
			idle.Reset(idleTimeout)
			total = max(total, m.TotalBytes)
			n, err := w.Write(m.Data)
			got += int64(n)
			return err
		})
		switch {
		case err != nil && worked:
			return true, stop{fmt.Errorf("after %d of %d bytes: %w", got, total, plain(unstop(err)))}
		case err == nil && got != total:
			return true, stop{fmt.Errorf("the model ended after %d of %d bytes", got, total)}
		}
		return worked, err
	}))
}
