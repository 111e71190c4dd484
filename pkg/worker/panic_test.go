package worker

import (
	"testing"
	"testing/synctest"
	"time"

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
