package worker

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/lockstep-ml/lockstep/pkg/checkpoint"
	"github.com/lockstep-ml/lockstep/pkg/shard"
	pb "github.com/lockstep-ml/lockstep/proto/lockstep/v1"
)

// The simulation runs whole jobs, several workers and a coordinator, in one
// process under fake time. Every call that a generation makes to the world around
// it is a point at which the worker may be killed; from then on nothing that it
// does is seen by anyone. What was on its disk stays.

var errKilled = errors.New("killed")

// simJob is the job that all simulations run: 2 epochs of 5 steps, the last short.
const (
	simID      = "toy-1"
	simLanes   = 4
	simBatch   = 8
	simRecords = 37
	simTest    = 11
	simEpochs  = 2
)

// simNet is what connects the workers of a simulation.
type simNet struct {
	mu      sync.Mutex            // guards rings
	rings   map[string]*simRing   // by job and generation
	workers map[string]*simWorker // by address

	stopAfter int // epochs after which the job stops by itself; 0: none
}

// simRing sums by a meeting of all ranks.
type simRing struct {
	net     *simNet
	members []string

	mu      sync.Mutex // guards what follows
	meeting *meeting
	broken  chan struct{}
	blamed  int
}

type meeting struct {
	vectors map[int][]int32
	done    chan struct{}
}

func (r *simRing) fail(rank int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	select {
	case <-r.broken:
	default:
		r.blamed = rank
		close(r.broken)
	}
}

// sum adds v to the meeting of its round and waits for the others.
func (r *simRing) sum(ctx context.Context, rank int, v []int32) error {
	r.mu.Lock()
	select {
	case <-r.broken:
		r.mu.Unlock()
		return r.blame()
	default:
	}
	if r.meeting == nil {
		r.meeting = &meeting{vectors: map[int][]int32{}, done: make(chan struct{})}
	}
	m := r.meeting
	m.vectors[rank] = slices.Clone(v)
	if len(m.vectors) == len(r.members) {
		r.meeting = nil
		close(m.done)
	}
	r.mu.Unlock()
	timeout := time.NewTimer(time.Minute)
	defer timeout.Stop()
	select {
	case <-m.done:
	case <-ctx.Done():
		return ctx.Err()
	case <-timeout.C:
		return errors.New("ring: timeout")
	case <-r.broken:
		select {
		case <-m.done: // it was finished before the ring broke
		default:
			return r.blame()
		}
	}
	clear(v)
	for _, part := range m.vectors {
		for i := range v {
			v[i] += part[i]
		}
	}
	return nil
}

func (r *simRing) blame() error {
	return &brokenError{suspect: r.members[r.blamed], err: fmt.Errorf("ring: lost %s", r.members[r.blamed])}
}

// simSeat is one rank's end of a simRing.
type simSeat struct {
	*simRing
	rank   int
	worker *simProcess
}

func (s *simSeat) SumInt32(ctx context.Context, v []int32) error {
	if err := s.worker.point("before sum"); err != nil {
		return err
	}
	if err := s.sum(ctx, s.rank, v); err != nil {
		return err
	}
	return s.worker.point("after sum")
}

func (s *simSeat) SumFloat32(context.Context, []float32) error { return errors.New("not simulated") }

// simWorker is one machine: a disk, and one process after the other.
type simWorker struct {
	net  *simNet
	id   string
	disk map[checkpoint.Cursor][]byte

	killAt   atomic.Int64 // the point to die at; 0: never
	killNext []int64      // the points to die at in later lives, counted from their beginning
	points   atomic.Int64
	where    atomic.Pointer[string] // the point it last died at
	panicAt  atomic.Value           // name of the points to panic at, if any

	now atomic.Pointer[simProcess]
}

// simProcess is one life of a simWorker.
type simProcess struct {
	*simWorker
	*exports
	dead    chan struct{}
	kill    func()
	outbox  *outbox
	orders  chan order
	stopped chan struct{}
}

// point is passed whenever the process touches the world.
func (w *simProcess) point(name string) error {
	if !w.alive() {
		return errKilled
	}
	if w.panicAt.Load() == name {
		panic("boom")
	}
	if w.points.Add(1) == w.killAt.Load() {
		w.where.Store(&name)
		w.kill()
		return errKilled
	}
	return nil
}

func (w *simProcess) hook(name string) { _ = w.point(name) }

// newProcess makes a process that does nothing yet.
func (w *simWorker) newProcess() (*simProcess, context.Context) {
	ctx, cancel := context.WithCancel(context.Background())
	p := &simProcess{simWorker: w, exports: newExports(), dead: make(chan struct{}), outbox: newOutbox(), orders: make(chan order), stopped: make(chan struct{})}
	p.outbox.begin()
	p.kill = sync.OnceFunc(func() { close(p.dead); cancel() })
	w.now.Store(p)
	return p, ctx
}

// start runs the process.
func (w *simWorker) start() {
	p, ctx := w.newProcess()
	a := &agent{
		world: p, id: w.id, orders: p.orders, prepare: p.prepare, newest: p.newest, save: p.save,
		outbox: p.outbox, reporter: &reporter{}, log: zap.NewNop(),
	}
	go func() {
		defer close(p.stopped)
		_ = a.run(ctx)
	}()
}

func (w *simProcess) alive() bool {
	select {
	case <-w.dead:
		return false
	default:
		return true
	}
}

func (w *simProcess) connect(ctx context.Context, a *pb.Assignment, rank int) (ring, func(), error) {
	if err := w.point("connect"); err != nil {
		return nil, nil, err
	}
	w.net.mu.Lock()
	defer w.net.mu.Unlock()
	key := fmt.Sprint(a.JobId, a.Generation)
	r := w.net.rings[key]
	if r == nil {
		r = &simRing{net: w.net, broken: make(chan struct{})}
		for _, m := range a.Members {
			r.members = append(r.members, m.WorkerId)
		}
		w.net.rings[key] = r
	}
	return &simSeat{r, rank, w}, func() { r.fail(rank) }, nil
}

func (w *simProcess) fetch(ctx context.Context, address string, want *pb.FetchStateRequest) ([]byte, error) {
	if err := w.point("before fetch"); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	data, err := w.net.workers[address].now.Load().exports.take(ctx, exportOf(want))
	if err != nil {
		return nil, errors.New(err.Error()) // only its text travels
	}
	return data, w.point("after fetch")
}

func (w *simProcess) publish(want *pb.FetchStateRequest, encode func() ([]byte, error)) func() {
	return w.exports.publish(want, func() ([]byte, error) {
		if err := w.point("encode"); err != nil {
			return nil, err
		}
		return encode()
	})
}

func (w *simProcess) prepare(_ context.Context, a *pb.Assignment) (*task, error) {
	train, test := simDealers()
	t := &task{
		job: a.JobId, digest: "d", metrics: []string{"m"}, checkpointEvery: 3, checkpointKeep: 2, digestEvery: 2,
		span: span{Epochs: simEpochs, StepsPerEpoch: train.StepsPerEpoch(), Steps: simEpochs*train.StepsPerEpoch() - 1},
		newLearner: func([]int) (learner, error) {
			l := newToy(simLanes, w.hook)
			l.stopAfter = w.net.stopAfter
			return l, nil
		},
		testSteps: test.StepsPerEpoch(),
		saveModel: func(l learner) (string, error) {
			return l.(*toy).weights(), w.point("save model")
		},
		close: func() error { return nil },
	}
	t.train = func(_ context.Context, lanes []int, from position) (batches, error) {
		read := func(point string) {
			time.Sleep(time.Millisecond) // steps take time
			w.hook(point)
		}
		return &toyBatches{dealer: train, lanes: lanes, at: from, hook: read}, nil
	}
	t.test = func(_ context.Context, lanes []int) (batches, error) {
		return &toyBatches{dealer: test, lanes: lanes, hook: w.hook}, nil
	}
	return t, w.point("prepare")
}

func simDealers() (train, test *shard.Dealer) {
	manifest := func(n int64) *shard.Manifest {
		m := &shard.Manifest{Version: shard.Version, Records: n, Window: 5, Shards: shard.Cut(n, 1<<12),
			Planes: []shard.Plane{{Role: shard.RoleX, Type: shard.U8, Count: 1}}}
		for i := range m.Shards {
			m.Shards[i].SHA256 = strings.Repeat("0", 64)
		}
		return m
	}
	train, err := shard.NewDealer(manifest(simRecords), 7, simLanes, simBatch)
	if err != nil {
		panic(err)
	}
	test, err = shard.Sequential(manifest(simTest), simLanes, simBatch)
	if err != nil {
		panic(err)
	}
	return train, test
}

func (w *simProcess) newest(*task) (*checkpoint.State, error) {
	var best *checkpoint.Cursor
	for c := range w.disk {
		if best == nil || best.Before(c) {
			best = &c
		}
	}
	if best == nil {
		return nil, nil
	}
	return checkpoint.Decode(bytes.NewReader(w.disk[*best]))
}

func (w *simProcess) save(_ *task, s *checkpoint.State) (checkpoint.Entry, error) {
	if err := w.point("before save"); err != nil {
		return checkpoint.Entry{}, err
	}
	var b bytes.Buffer
	sha, n, err := checkpoint.Encode(&b, s)
	if err != nil {
		return checkpoint.Entry{}, err
	}
	time.Sleep(time.Millisecond) // a disk: steps go on meanwhile
	if !w.alive() {
		return checkpoint.Entry{}, errKilled
	}
	w.disk[s.Cursor] = b.Bytes()
	return checkpoint.Entry{Cursor: s.Cursor, SHA256: sha, Bytes: n}, w.point("after save")
}
