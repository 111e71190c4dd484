package worker

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/lockstep-ml/lockstep/pkg/allreduce"
	"github.com/lockstep-ml/lockstep/pkg/nn"
	pb "github.com/lockstep-ml/lockstep/proto/lockstep/v1"
)

// ringLog is a ring of one that notes what it was asked to sum.
type ringLog struct {
	sums []string
	fail int // the sum to fail at, counted from 1
}

func (r *ringLog) sum(kind string) error {
	r.sums = append(r.sums, kind)
	if len(r.sums) == r.fail {
		return &allreduce.NeighbourError{WorkerID: "w2", Err: errors.New("gone")}
	}
	return nil
}

func (r *ringLog) SumInt32(_ context.Context, v []int32) error { return r.sum("int") }

func (r *ringLog) SumFloat32(_ context.Context, v []float32) error { return r.sum("float") }

// silentRing is a ring of one.
type silentRing struct{}

func (silentRing) SumInt32(context.Context, []int32) error { return nil }

func (silentRing) SumFloat32(context.Context, []float32) error { return nil }

// sameBatch gives one batch again and again.
type sameBatch struct{ batch nn.Batch }

func (s *sameBatch) Next(context.Context) (*nn.Batch, error) { return &s.batch, nil }

func (s *sameBatch) Close() {}

// plainLearner has an integer and a float bucket.
type plainLearner struct {
	toy
	err error
}

func (l *plainLearner) Buckets() []nn.Bucket {
	return []nn.Bucket{{Int: make([]int32, 2)}, {Float: make([]float32, 2)}}
}

func (l *plainLearner) Stats() []int32 { return make([]int32, 1) }

func (l *plainLearner) Gradient(_ *nn.Batch, ready func(int)) error {
	ready(0)
	if l.err != nil {
		return l.err
	}
	ready(1)
	return nil
}

func TestPipelineSumsInOrder(t *testing.T) {
	r, l := &ringLog{}, &plainLearner{}
	p := newPipeline(t.Context(), r, nil, l)
	for range 2 {
		if err := p.gradient(l, nil); err != nil {
			t.Fatal(err)
		}
	}
	p.close()
	if want := []string{"int", "float", "int", "int", "float", "int"}; !slices.Equal(r.sums, want) {
		t.Errorf("sums %v, want %v", r.sums, want)
	}
}

func TestPipelineFails(t *testing.T) {
	members := []*pb.Member{{WorkerId: "w1"}, {WorkerId: "w2"}}
	for at := 1; at <= 3; at++ {
		r, l := &ringLog{fail: at}, &plainLearner{}
		p := newPipeline(t.Context(), r, members, l)
		err := p.gradient(l, nil)
		p.close()
		var b *brokenError
		if !errors.As(err, &b) || b.suspect != "w2" {
			t.Errorf("failure of sum %d: %v, want a broken ring with w2 as suspect", at, err)
		}
		if len(r.sums) != at {
			t.Errorf("failure of sum %d: %d sums were begun, want none after it", at, len(r.sums))
		}
	}
	// A gradient that fails leaves the pipeline in the middle of a step.
	l := &plainLearner{err: errors.New("not finite")}
	p := newPipeline(t.Context(), &ringLog{}, members, l)
	if err := p.gradient(l, nil); !errors.Is(err, l.err) {
		t.Errorf("error %v, want the gradient's", err)
	}
	p.close()
	// And one that was cancelled answers.
	ctx, cancel := context.WithCancelCause(t.Context())
	p = newPipeline(ctx, &ringLog{}, members, &plainLearner{})
	cancel(errSuperseded)
	<-p.ended
	if err := p.gradient(&plainLearner{}, nil); !errors.Is(err, errSuperseded) {
		t.Errorf("error %v, want %v", err, errSuperseded)
	}
}

func TestBrokenNamesTheSuspect(t *testing.T) {
	members := []*pb.Member{{WorkerId: "w1"}, {WorkerId: "w2"}}
	for _, c := range []struct {
		err  error
		want string
	}{
		{&allreduce.NeighbourError{WorkerID: "w2 at 10.0.0.2:7", Err: allreduce.ErrTimeout}, "w2"},
		{&allreduce.NeighbourError{WorkerID: "w2", Err: allreduce.ErrLeft}, ""}, // it lives
		{&allreduce.NeighbourError{WorkerID: "rank 1", Err: allreduce.ErrTimeout}, ""},
		{errors.New("no neighbour's fault"), ""},
		{&brokenError{suspect: "w1", err: errors.New("known")}, "w1"},
	} {
		var b *brokenError
		if err := broken(members, c.err); !errors.As(err, &b) || b.suspect != c.want {
			t.Errorf("%v: suspect %q, want %q", c.err, b.suspect, c.want)
		}
	}
	if err := broken(members, nil); err != nil {
		t.Errorf("no error became %v", err)
	}
}
