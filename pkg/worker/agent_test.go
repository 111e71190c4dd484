package worker

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"

	pb "github.com/lockstep-ml/lockstep/proto/lockstep/v1"
)

// obey runs one simulated worker in a bubble and hands it orders.
func obey(t *testing.T, f func(w *simProcess)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s := newSimulation(t, 1)
		s.workers[0].start()
		w := s.workers[0].now.Load()
		f(w)
		w.kill()
		<-w.stopped
	})
}

func solo(job string, generation uint64) order {
	return order{assignment: &pb.Assignment{JobId: job, Generation: generation,
		Members: []*pb.Member{{WorkerId: "w0", Address: "w0", Lanes: []int32{0, 1, 2, 3}}}}}
}

// said returns the last message of a kind that is in the outbox now.
func said[T any](w *simProcess, of func(*pb.ConnectRequest) T) (last T) {
	w.outbox.begin()
	for m := w.outbox.next(); m != nil; m = w.outbox.next() {
		if m.Message != nil {
			last = of(m)
		}
	}
	return last
}

func TestAgentIgnoresOldAndForeignOrders(t *testing.T) {
	obey(t, func(w *simProcess) {
		w.orders <- solo(simID, 3)
		time.Sleep(time.Minute) // it is done by then
		points := w.points.Load()
		w.orders <- solo(simID, 3)
		w.orders <- solo(simID, 2)
		w.orders <- order{release: &pb.Release{JobId: simID, Generation: 2}}
		w.orders <- order{release: &pb.Release{JobId: "other-1", Generation: 9}}
		w.orders <- order{assignment: &pb.Assignment{JobId: simID, Generation: 9, Members: []*pb.Member{{WorkerId: "w7"}}}}
		synctest.Wait()
		if w.points.Load() != points {
			t.Error("an old or foreign order made it work")
		}
		done := said(w, (*pb.ConnectRequest).GetJobDone)
		if done.GetGeneration() != 3 {
			t.Errorf("it says %v, want that generation 3 is done", done)
		}
		// A release that counts makes it free, and it forgets what it had to say.
		w.orders <- order{release: &pb.Release{JobId: simID, Generation: 3}}
		synctest.Wait()
		if got := said(w, (*pb.ConnectRequest).GetJobDone); got != nil {
			t.Errorf("after the release it still says %v", got)
		}
	})
}

func TestAgentTakesAnotherJob(t *testing.T) {
	obey(t, func(w *simProcess) {
		w.orders <- solo("first-1", 1)
		time.Sleep(2 * time.Millisecond) // in the middle of it
		w.orders <- solo(simID, 1)
		time.Sleep(time.Minute)
		if got := said(w, (*pb.ConnectRequest).GetJobDone); got.GetJobId() != simID {
			t.Errorf("done: %v, want %s", got, simID)
		}
	})
}

func TestAgentWantsTheCheckpoint(t *testing.T) {
	obey(t, func(w *simProcess) {
		o := solo(simID, 1)
		o.assignment.Checkpoint = &pb.Checkpoint{Cursor: &pb.Cursor{Step: 3}, WorkerIds: []string{"w5"}}
		w.orders <- o
		time.Sleep(time.Minute)
		broken := said(w, (*pb.ConnectRequest).GetRingBroken)
		if broken.GetSuspectWorkerId() != "" || broken.GetError() == "" || broken.GetGeneration() != 1 {
			t.Errorf("without the checkpoint it says %v; want that it can not begin, and no suspect", broken)
		}
	})
}

// What a fault is called decides what the coordinator does.
func TestAgentReports(t *testing.T) {
	for _, c := range []struct {
		err                        error
		broken, failed, workerOnly bool
		suspect                    string
	}{
		{err: &brokenError{suspect: "w1", err: errors.New("lost")}, broken: true, suspect: "w1"},
		{err: local("disk: %w", errors.New("full")), failed: true, workerOnly: true},
		{err: errors.New("not finite"), failed: true},
	} {
		obey(t, func(w *simProcess) {
			a := &agent{outbox: w.outbox, log: zap.NewNop()}
			a.report(&assigned{id: "j", generation: 4}, c.err)
			broken, failed := said(w, (*pb.ConnectRequest).GetRingBroken), said(w, (*pb.ConnectRequest).GetJobFailed)
			if (broken != nil) != c.broken || (failed != nil) != c.failed {
				t.Errorf("%v: says %v and %v", c.err, broken, failed)
			}
			if broken.GetSuspectWorkerId() != c.suspect || failed.GetWorkerOnly() != c.workerOnly {
				t.Errorf("%v: suspect %q, worker only %v", c.err, broken.GetSuspectWorkerId(), failed.GetWorkerOnly())
			}
		})
	}
}

// Reading the data may take longer than a coordinator waits for a generation
// that says nothing, and than others wait for this worker.
func TestSlowPreparation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSimulation(t, 1)
		p, ctx := s.workers[0].newProcess()
		begun := 0
		out := &reporter{}
		a := &agent{
			world: p, id: "w0", orders: p.orders, newest: p.newest, save: p.save, outbox: p.outbox, reporter: out, log: zap.NewNop(),
			prepare: func(ctx context.Context, want *pb.Assignment) (*task, error) {
				begun++
				if err := sleep(ctx, 5*time.Minute); err != nil {
					return nil, err
				}
				return p.prepare(ctx, want)
			},
		}
		go func() {
			defer close(p.stopped)
			_ = a.run(ctx)
		}()
		for generation := range uint64(4) {
			p.orders <- solo(simID, generation+1)
			for range 60 {
				time.Sleep(time.Second)
				got := out.take(false)
				if got.GetJobId() != simID || got.Generation != generation+1 || got.Cursor != nil {
					t.Fatalf("generation %d: while the data are read it says %v", generation+1, got)
				}
			}
		}
		time.Sleep(2 * time.Minute)
		if done := said(p, (*pb.ConnectRequest).GetJobDone); done.GetGeneration() != 4 || begun != 1 {
			t.Errorf("it says %v after reading the data %d times; want that generation 4 is done, after once", done, begun)
		}
		if got := out.take(false); got != nil && got.Cursor == nil {
			t.Errorf("it says %v when the data are read", got)
		}
		p.kill()
		<-p.stopped
	})
}

// A release while the data are read ends that.
func TestReleaseWhilePreparing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSimulation(t, 1)
		p, ctx := s.workers[0].newProcess()
		var ended error
		a := &agent{
			world: p, id: "w0", orders: p.orders, outbox: p.outbox, reporter: &reporter{}, log: zap.NewNop(),
			prepare: func(ctx context.Context, _ *pb.Assignment) (*task, error) {
				ended = sleep(ctx, time.Hour/2)
				return nil, ended
			},
		}
		go func() {
			defer close(p.stopped)
			_ = a.run(ctx)
		}()
		p.orders <- solo(simID, 1)
		p.orders <- order{release: &pb.Release{JobId: simID, Generation: 1}}
		synctest.Wait()
		if !errors.Is(ended, context.Canceled) {
			t.Errorf("the preparation ended with %v", ended)
		}
		p.kill()
		<-p.stopped
	})
}

// After a fault of its data a worker reads them again, as they may be restored by
// then; after any other those that it has will do.
func TestDataAreReadAgain(t *testing.T) {
	fault := errors.New("shard 0 differs")
	for name, c := range map[string]struct {
		spoil func(*task) // once
		reads int
	}{
		"data": {func(t *task) {
			good := t.train
			t.train = func(context.Context, []int, position) (batches, error) { t.train = good; return nil, fault }
		}, 2},
		"memory": {func(t *task) {
			good := t.newLearner
			t.newLearner = func([]int) (learner, error) { t.newLearner = good; return nil, fault }
		}, 1},
	} {
		synctest.Test(t, func(t *testing.T) {
			s := newSimulation(t, 1)
			p, ctx := s.workers[0].newProcess()
			read, closed := 0, 0
			a := &agent{
				world: p, id: "w0", orders: p.orders, newest: p.newest, save: p.save, outbox: p.outbox, reporter: &reporter{}, log: zap.NewNop(),
				prepare: func(ctx context.Context, want *pb.Assignment) (*task, error) {
					made, err := p.prepare(ctx, want)
					made.close = func() error { closed++; return nil }
					if read++; read == 1 {
						c.spoil(made)
					}
					return made, err
				},
			}
			go func() {
				defer close(p.stopped)
				_ = a.run(ctx)
			}()
			for generation := range uint64(2) {
				p.orders <- solo(simID, generation+1)
				time.Sleep(time.Minute)
			}
			if done := said(p, (*pb.ConnectRequest).GetJobDone); done.GetGeneration() != 2 || read != c.reads || closed != c.reads-1 {
				t.Errorf("%s: it says %v after reading the data %d times and closing them %d times, want %d and %d",
					name, done, read, closed, c.reads, c.reads-1)
			}
			p.kill()
			<-p.stopped
		})
	}
}
