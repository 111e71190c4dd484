package worker

import (
	"context"
	"fmt"
	"sync"

	"github.com/lockstep-ml/lockstep/internal/rescue"
	pb "github.com/lockstep-ml/lockstep/proto/lockstep/v1"
)

// exports is where a generation offers its state to ranks that are behind, and
// the peer service looks for it. One state at a time is on offer.
type exports struct {
	mu      sync.Mutex // guards what follows; held while the state is encoded
	offer   export
	encode  func() ([]byte, error) // nil: nothing on offer
	data    []byte                 // what encode returned
	changed chan struct{}          // closed, and made anew, when the offer changes
}

// export names a state: requests for any other are not answered with it.
type export struct {
	job         string
	generation  uint64
	epoch, step int64
}

func exportOf(r *pb.FetchStateRequest) export {
	return export{r.GetJobId(), r.GetGeneration(), int64(r.GetCursor().GetEpoch()), r.GetCursor().GetStep()}
}

func newExports() *exports { return &exports{changed: make(chan struct{})} }

// publish offers a state, which must not change until the function it returns
// was called. That waits for an encoding in progress.
func (e *exports) publish(want *pb.FetchStateRequest, encode func() ([]byte, error)) (withdraw func()) {
	e.put(exportOf(want), encode)
	return func() { e.put(export{}, nil) }
}

func (e *exports) put(offer export, encode func() ([]byte, error)) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.offer, e.encode, e.data = offer, encode, nil
	close(e.changed)
	e.changed = make(chan struct{})
}

// take returns the state that is asked for, waiting for it to be offered until
// ctx ends: the one who asks may be a little ahead of this worker. The state is
// encoded once for all that ask.
func (e *exports) take(ctx context.Context, want export) ([]byte, error) {
	for {
		data, changed, err := e.look(want)
		if data != nil || err != nil {
			return data, err
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, fmt.Errorf("job %s: no state of generation %d at epoch %d step %d was offered here: %w",
				want.job, want.generation, want.epoch, want.step, ctx.Err())
		}
	}
}

// look returns the data, or what to wait for.
func (e *exports) look(want export) ([]byte, <-chan struct{}, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.encode == nil || e.offer != want {
		return nil, e.changed, nil
	}
	if e.data == nil {
		data, err := e.encoded()
		if err != nil {
			return nil, nil, err
		}
		e.data = data
	}
	return e.data, nil, nil
}

// encoded is what encode returns; a panic is an error, as this is the goroutine of a
// request.
func (e *exports) encoded() (data []byte, err error) {
	defer rescue.Catch(&err)
	return e.encode()
}
