package worker

import (
	"context"
	"errors"
	"time"

	"github.com/lockstep-ml/lockstep/internal/rescue"
	pb "github.com/lockstep-ml/lockstep/proto/lockstep/v1"
)

// readyTimeout is the longest that reading the data of a job may take.
const readyTimeout = time.Hour

// preparation makes a job ready on a goroutine of its own. It outlives the
// generation that began it: the next one, which comes when other workers would
// not wait or were lost, need not begin anew.
type preparation struct {
	cancel context.CancelFunc
	done   chan struct{} // closed when what follows is set
	task   *task
	err    error
}

// ready returns the task of j, once it is made. While it waits the coordinator
// hears that this worker is at it.
func (a *agent) ready(ctx context.Context, j *assigned, want *pb.Assignment) (*task, error) {
	if j.preparing == nil {
		j.preparing = a.begin(ctx, want)
	}
	a.reporter.prepare(j.id, want.Generation)
	defer a.reporter.prepare("", want.Generation)
	p := j.preparing
	select {
	case <-p.done:
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	p.cancel()
	j.preparing = nil
	if errors.Is(p.err, context.DeadlineExceeded) {
		return nil, local("data: not read within %s; is the disk or the network that they lie on too slow?", readyTimeout)
	}
	return p.task, p.err
}

// begin starts a preparation. Only its own cancel ends it early.
func (a *agent) begin(ctx context.Context, want *pb.Assignment) *preparation {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), readyTimeout)
	p := &preparation{cancel: cancel, done: make(chan struct{})}
	go func() {
		defer close(p.done)
		defer rescue.Catch(&p.err)
		p.task, p.err = a.prepare(ctx, want)
	}()
	return p
}

// abandon ends a preparation, if there is one, and waits for it.
func (j *assigned) abandon() {
	p := j.preparing
	if p == nil {
		return
	}
	p.cancel()
	<-p.done
	j.preparing, j.task = nil, p.task
}
