package linktest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/lockstep-ml/lockstep/pkg/allreduce"
)

// Link is a link that a test can close.
type Link interface {
	allreduce.Link
	Close() error
}

// Run checks that connect makes links as allreduce.Link and allreduce.Ring
// need them. connect returns the links of a new ring by rank; the suite closes
// them.
func Run(t *testing.T, connect func(t *testing.T, size int) []Link) {
	fresh := func(t *testing.T, size int) []Link {
		links := connect(t, size)
		t.Cleanup(func() { closeAll(t, links) })
		return links
	}
	t.Run("order", func(t *testing.T) { order(t, fresh(t, 3)) })
	t.Run("window", func(t *testing.T) { window(t, fresh(t, 2)) })
	t.Run("silence", func(t *testing.T) { silence(t, fresh(t, 2)) })
	t.Run("stuck", func(t *testing.T) { stuck(t, fresh(t, 2)) })
	t.Run("cancel", func(t *testing.T) { cancelled(t, fresh(t, 2)) })
	t.Run("close", func(t *testing.T) { closing(t, fresh(t, 3)) })
	for size := 2; size <= 5; size++ {
		t.Run(fmt.Sprintf("sum/size=%d", size), func(t *testing.T) { sums(t, fresh(t, size)) })
	}
}

// patience is far longer than anything here takes.
const patience = 20 * time.Second

func closeAll(t *testing.T, links []Link) {
	var g errgroup.Group
	for _, l := range links {
		g.Go(l.Close)
	}
	if err := g.Wait(); err != nil {
		t.Errorf("Close: %v", err)
	}
}

// together runs one function for every link at once.
func together(t *testing.T, links []Link, f func(rank int, l Link) error) {
	t.Helper()
	var g errgroup.Group
	for rank, l := range links {
		g.Go(func() error {
			if err := f(rank, l); err != nil {
				return fmt.Errorf("rank %d: %w", rank, err)
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
}

// message returns a header and a payload that depend on the rank and on i.
func message(rank, i, n int) (allreduce.Header, []byte) {
	p := make([]byte, n)
	for j := range p {
		p[j] = byte(7*j + 31*i + 101*rank)
	}
	return allreduce.Header{Generation: 9, Operation: uint64(i), Elements: uint64(rank), Kind: allreduce.Int32, Bytes: uint32(n)}, p
}

// order: segments of any size come whole and in the order sent, and what is
// sent may be overwritten at once.
func order(t *testing.T, links []Link) {
	sizes := []int{0, 4, 1, 40, 4096, 16384, 16379, 65537, 1 << 20, allreduce.MaxSegmentBytes, 0, 8}
	together(t, links, func(rank int, l Link) error {
		left := (rank + len(links) - 1) % len(links)
		for i, n := range sizes {
			h, p := message(rank, i, n)
			if err := l.Send(t.Context(), patience, h, p); err != nil {
				return err
			}
			clear(p)
			want, bytesWant := message(left, i, n)
			s, err := l.Recv(t.Context(), patience)
			if err != nil {
				return err
			}
			if s.Header != want || !bytes.Equal(bytes.Join(s.Payload, nil), bytesWant) {
				return fmt.Errorf("message %d of %d bytes is not what was sent; header %+v", i, n, s.Header)
			}
			s.Free()
		}
		return nil
	})
}

// window: a link takes as many segments as a ring may have under way while
// nobody receives.
func window(t *testing.T, links []Link) {
	together(t, links, func(rank int, l Link) error {
		for i := range allreduce.DefaultWindow {
			h, p := message(rank, i, allreduce.DefaultSegmentBytes)
			if err := l.Send(t.Context(), patience, h, p); err != nil {
				return err
			}
		}
		return nil
	})
}

// silence: a wait for a neighbour that sends nothing ends at its deadline, and
// the link is dead after it.
func silence(t *testing.T, links []Link) {
	begin := time.Now()
	_, err := links[0].Recv(t.Context(), 30*time.Millisecond)
	if !errors.Is(err, allreduce.ErrTimeout) {
		t.Fatalf("Recv from a silent neighbour: %v, want ErrTimeout", err)
	}
	if d := time.Since(begin); d > patience/2 {
		t.Errorf("Recv took %s, its deadline was 30ms", d)
	}
}

// stuck: sending to a neighbour that takes nothing ends at its deadline.
func stuck(t *testing.T, links []Link) {
	_, p := message(0, 0, allreduce.MaxSegmentBytes)
	for i := range 200 {
		h, _ := message(0, i, 0)
		h.Bytes = uint32(len(p))
		err := links[0].Send(t.Context(), 200*time.Millisecond, h, p)
		if errors.Is(err, allreduce.ErrTimeout) {
			return
		}
		if err != nil {
			t.Fatalf("Send to a neighbour that is stuck: %v, want ErrTimeout", err)
		}
	}
	t.Fatal("a neighbour that takes nothing was sent 400 MiB: the link has no bound")
}

// cancelled: the caller's context ends a wait.
func cancelled(t *testing.T, links []Link) {
	why := errors.New("enough")
	ctx, cancel := context.WithCancelCause(t.Context())
	time.AfterFunc(10*time.Millisecond, func() { cancel(why) })
	if _, err := links[0].Recv(ctx, patience); !errors.Is(err, why) {
		t.Fatalf("Recv: %v, want the cause of the cancelled context", err)
	}
}

// closing: Close ends the waits of the rank itself and of both neighbours.
func closing(t *testing.T, links []Link) {
	time.AfterFunc(10*time.Millisecond, func() { _ = links[0].Close() })
	together(t, links[:2], func(rank int, l Link) error {
		if _, err := l.Recv(t.Context(), patience); err == nil || errors.Is(err, allreduce.ErrTimeout) {
			return fmt.Errorf("Recv beside a closed link: %v, want an error before the deadline", err)
		}
		return nil
	})
	if err := links[0].Close(); err != nil {
		t.Errorf("second Close: %v", err)
	}
}

// sums: a ring over the links adds vectors of every awkward length, many
// segments and few, int32 exactly and float32 to the same bits everywhere.
func sums(t *testing.T, links []Link) {
	size := len(links)
	together(t, links, func(rank int, l Link) error {
		r, err := allreduce.New(rank, size, l, allreduce.Options{Generation: 9, SegmentBytes: 64, StepTimeout: patience})
		if err != nil {
			return err
		}
		for _, n := range []int{0, 1, size - 1, size, size + 1, 15, 16, 17, 64*size + 3, 5000} {
			if err := sumOnce(t.Context(), r, n); err != nil {
				return fmt.Errorf("length %d: %w", n, err)
			}
		}
		return nil
	})
}

// sumOnce sums a vector of each kind in which every element tells ranks apart.
func sumOnce(ctx context.Context, r *allreduce.Ring, n int) error {
	ints, floats := make([]int32, n), make([]float32, n)
	for i := range n {
		ints[i] = int32((r.Rank() + 1) * (i + 1))
		floats[i] = float32(ints[i])
	}
	if err := r.SumInt32(ctx, ints); err != nil {
		return err
	}
	if err := r.SumFloat32(ctx, floats); err != nil {
		return err
	}
	ranks := r.Size() * (r.Size() + 1) / 2 // 1 + 2 + … + size
	for i := range n {
		if want := int32(ranks * (i + 1)); ints[i] != want || floats[i] != float32(want) {
			return fmt.Errorf("element %d is %d and %g, want %d", i, ints[i], floats[i], want)
		}
	}
	return nil
}
