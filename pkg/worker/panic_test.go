package worker

import (
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"

	"github.com/lockstep-ml/lockstep/pkg/checkpoint"
	pb "github.com/lockstep-ml/lockstep/proto/lockstep/v1"
)

// A panic anywhere in a job ends that job, on all workers. The worker goes on: it
// has nothing left of the job, not half a step either, and a later generation
// gives the bits of one that nothing happened to. (The bubble finds goroutines
// that stay behind.)
func TestPanicFailsTheJob(t *testing.T) {
	var want string
	obey(t, func(w *simProcess) {
		w.orders <- solo(simID, 1)
		time.Sleep(time.Minute)
		want = said(w, (*pb.ConnectRequest).GetJobDone).GetWeightsSha256()
	})
	for _, point := range []string{"prepare", "connect", "next batch", "backward", "before commit", "after commit", "evaluate", "before save", "save model"} {
		obey(t, func(w *simProcess) {
			w.panicAt.Store(point)
			w.orders <- solo(simID, 1)
			time.Sleep(time.Minute)
			failed := said(w, (*pb.ConnectRequest).GetJobFailed)
			if failed.GetError() != "panic in job toy-1: boom" || failed.WorkerOnly || failed.Generation != 1 {
				t.Errorf("%s: it says %v", point, failed)
			}
			w.panicAt.Store("")
			w.orders <- solo(simID, 2)
			time.Sleep(time.Minute)
			done := said(w, (*pb.ConnectRequest).GetJobDone)
			if done.GetWeightsSha256() != want || done.GetGeneration() != 2 {
				t.Errorf("%s: afterwards it says %v, want %.8s", point, done, want)
			}
		})
	}
}

// In a ring it is that one rank that reports the failure; the others go on from
// what they have, and copy it to the one that dropped its state.
func TestPanicInARing(t *testing.T) {
	for _, point := range []string{"before sum", "after sum", "backward"} {
		synctest.Test(t, func(t *testing.T) {
			s := newSimulation(t, 2)
			for _, w := range s.workers {
				w.start()
			}
			first, second := s.workers[0].now.Load(), s.workers[1].now.Load()
			s.assign(s.workers)
			time.Sleep(5 * time.Millisecond) // some steps are done
			second.panicAt.Store(point)
			time.Sleep(time.Minute)
			if got := said(first, (*pb.ConnectRequest).GetRingBroken); got.GetSuspectWorkerId() != "w1" {
				t.Errorf("%s: the other rank says %v", point, got)
			}
			if got := said(second, (*pb.ConnectRequest).GetJobFailed); got.GetError() != "panic in job toy-1: boom" || got.WorkerOnly {
				t.Errorf("%s: it says %v", point, got)
			}
			synctest.Wait()
			clear(second.disk) // or it might be as far as the other by its checkpoint
			second.panicAt.Store("")
			first.panicAt.Store("encode") // a panic for a request breaks the ring only
			s.assign(s.workers)
			time.Sleep(time.Minute)
			if got := said(second, (*pb.ConnectRequest).GetRingBroken); got.GetSuspectWorkerId() != "w0" {
				t.Errorf("%s: without the state it says %v", point, got)
			}
			first.panicAt.Store("")
			s.assign(s.workers)
			time.Sleep(time.Minute)
			if done := said(first, (*pb.ConnectRequest).GetJobDone); done.GetGeneration() != 3 {
				t.Errorf("%s: afterwards it says %v", point, done)
			}
			for _, p := range []*simProcess{first, second} {
				p.kill()
				<-p.stopped
			}
		})
	}
}

// The report does not wait for the disk: by then the others would have begun the
// next generation, in which an old report is of no account.
func TestPanicIsReportedAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, ctx := newSimulation(t, 1).workers[0].newProcess()
		a := &agent{
			world: p, id: "w0", orders: p.orders, prepare: p.prepare, newest: p.newest, outbox: p.outbox, reporter: &reporter{}, log: zap.NewNop(),
			save: func(*task, *checkpoint.State) (checkpoint.Entry, error) {
				time.Sleep(time.Minute)
				return checkpoint.Entry{}, nil
			},
		}
		go func() {
			defer close(p.stopped)
			_ = a.run(ctx)
		}()
		p.orders <- solo(simID, 1)
		time.Sleep(5 * time.Millisecond) // a checkpoint is being written
		p.panicAt.Store("backward")
		time.Sleep(time.Second)
		if got := said(p, (*pb.ConnectRequest).GetJobFailed); got.GetError() != "panic in job toy-1: boom" {
			t.Errorf("while the disk is slow it says %v", got)
		}
		p.kill()
		<-p.stopped
	})
}
