package worker

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	pb "github.com/lockstep-ml/lockstep/proto/lockstep/v1"
)

func TestExports(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newExports()
		want := &pb.FetchStateRequest{JobId: "j", Generation: 2, Cursor: &pb.Cursor{Epoch: 1, Step: 3}}
		encoded := 0
		encode := func() ([]byte, error) {
			encoded++
			return []byte("state"), nil
		}
		// Two ask before there is an offer.
		got := make(chan string, 2)
		for range 2 {
			go func() {
				data, err := e.take(t.Context(), exportOf(want))
				got <- string(data)
				if err != nil {
					t.Error(err)
				}
			}()
		}
		synctest.Wait()
		e.publish(&pb.FetchStateRequest{JobId: "j", Generation: 1, Cursor: want.Cursor}, encode)()
		withdraw := e.publish(want, encode)
		if a, b := <-got, <-got; a != "state" || b != "state" || encoded != 1 {
			t.Errorf("got %q and %q from %d encodings, want both from one", a, b, encoded)
		}
		withdraw()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := e.take(ctx, exportOf(want)); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("after withdrawal: %v, want the deadline", err)
		}
	})
}
