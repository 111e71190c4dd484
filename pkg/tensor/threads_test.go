package tensor

import (
	"strings"
	"sync/atomic"
	"testing"

	"github.com/lockstep-ml/lockstep/internal/rescue"
)

type faultyJob struct {
	at   int64 // the part that panics; -1: none
	done atomic.Int64
}

func (j *faultyJob) part(_ *worker, i int) {
	if int64(i) == j.at {
		panic("boom")
	}
	j.done.Add(1)
}

// A part that panics does so for who asked, whichever goroutine it was on, and the
// pool works on.
func TestPanicOfAPart(t *testing.T) {
	const parts = 50
	for _, threads := range []int{1, 4} {
		p := newPool(nil, threads)
		for at := range int64(parts) {
			err := func() (err error) {
				defer rescue.Catch(&err)
				p.run(&faultyJob{at: at}, parts)
				return nil
			}()
			caught, ok := err.(*rescue.Error)
			if !ok || caught.Value != "boom" || !strings.Contains(string(caught.Stack), "faultyJob") {
				t.Fatalf("%d threads, part %d: %v", threads, at, err)
			}
			whole := &faultyJob{at: -1}
			if p.run(whole, parts); whole.done.Load() != parts {
				t.Fatalf("%d threads: %d of %d parts afterwards", threads, whole.done.Load(), parts)
			}
		}
		calm := &faultyJob{at: -1}
		if n := testing.AllocsPerRun(20, func() { p.run(calm, parts) }); n != 0 {
			t.Errorf("%d threads: a job allocates %v times", threads, n)
		}
		p.close()
	}
}
