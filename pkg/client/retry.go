package client

import (
	"context"
	"fmt"
	"time"

	pb "github.com/lockstep-ml/lockstep/proto/lockstep/v1"
)

// current returns the connection to try and its number.
func (c *Client) current() (pb.JobsClient, int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return pb.NewJobsClient(c.conns[c.use]), c.use
}

// next gives up a connection that did not work, unless another caller has.
func (c *Client) next(failed int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.use == failed {
		c.use = (failed + 1) % len(c.conns)
	}
}

// call does a call, at another coordinator if one is away.
func (c *Client) call(ctx context.Context, do func(context.Context, pb.JobsClient) error) error {
	return c.retry(ctx, func(ctx context.Context, jobs pb.JobsClient) (bool, error) { return false, do(ctx, jobs) })
}

// retry calls do until it succeeds, fails for good, or nothing has worked for
// Config.Patience. do says whether it got anything before it failed; a call that
// was under way for longer than any connecting takes counts as such, for some
// coordinator was at work on it.
func (c *Client) retry(ctx context.Context, do func(context.Context, pb.JobsClient) (worked bool, err error)) error {
	deadline := time.Now().Add(c.patience)
	for {
		jobs, n := c.current()
		began := time.Now()
		worked, err := do(ctx, jobs)
		switch {
		case ctx.Err() != nil && err != nil:
			return ctx.Err()
		case err == nil || !away(err):
			return plain(err)
		}
		c.next(n)
		now := time.Now()
		if worked || now.Sub(began) > max(c.patience, 2*connectTimeout) {
			deadline = now.Add(c.patience)
		}
		if now.After(deadline) {
			return fmt.Errorf("%w for %s at %v: %w", ErrUnreachable, c.patience, c.addresses, plain(err))
		}
		select {
		case <-time.After(retryPause):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
