package tensor

import (
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/lockstep-ml/lockstep/internal/rescue"
)

// job is work that falls into independent parts. Parts never share an element
// of a result, and what they are depends on shapes alone.
type job interface {
	part(w *worker, i int)
}

// worker is what one goroutine needs to compute: the arguments of kernels, and
// buffers for panels that grow as needed.
type worker struct {
	k        *kernels
	t        tile
	narrow   narrow
	narrowAt [6]int64 // where rows of B begin that are evenly apart, in bytes: see multiplyNarrow
	p        pack
	weigh    weigh
	weight   weightPart
	v        vector
	rows     [8]*float32 // for transpose
	a, b     []float32

	product product // of the present image
	across  across
	img     []float32
	imageOf *grid // whose border img has
	soonX   soon  // what the next image reads
	soonY   soon  // and writes
	spare   []float32
	random  []uint32
	part64  [sums]float64
	sum     []float32 // of one lane
	columns [8]int32
	mask    [2][8]int32
	tops    []uint32 // partial maxima of lanes, laneWidth each
}

// pool runs the parts of one job at a time on the calling goroutine and on
// helpers that wait for work in between. The engine owns it.
type pool struct {
	workers []*worker // workers[0] is the caller's
	start   []gate    // of each helper
	done    gate      // the helpers are through the present job
	alive   sync.WaitGroup

	job   job // nil: helpers end
	parts int64
	next  atomic.Int64
	busy  atomic.Int64          // helpers in the present job
	fault atomic.Pointer[error] // of a part that panicked
}

func newPool(k *kernels, threads int) *pool {
	p := &pool{start: make([]gate, threads-1), done: newGate()}
	for range threads {
		w := &worker{k: k}
		p.workers = append(p.workers, w)
	}
	for i := range p.start {
		p.start[i] = newGate()
		p.alive.Go(func() { p.help(&p.start[i], p.workers[1+i]) })
	}
	return p
}

// help takes part in jobs until there is none.
func (p *pool) help(start *gate, w *worker) {
	for {
		start.pass()
		if p.job == nil {
			return
		}
		p.attempt(w)
		if p.busy.Add(-1) == 0 {
			p.done.open()
		}
	}
}

func (p *pool) close() {
	for i := range p.start {
		p.start[i].open()
	}
	p.alive.Wait()
}

// run does parts 0 to n-1 of j and returns when all are done. If one panics it does
// so too, on the calling goroutine, when no helper is at the job any more.
func (p *pool) run(j job, n int) {
	helpers := min(n, len(p.workers)) - 1
	if helpers <= 0 {
		for i := range n {
			j.part(p.workers[0], i)
		}
		return
	}
	p.job, p.parts = j, int64(n)
	p.next.Store(0)
	p.busy.Store(int64(helpers))
	for i := range helpers {
		p.start[i].open()
	}
	p.attempt(p.workers[0])
	p.done.pass()
	p.job = nil
	if fault := p.fault.Swap(nil); fault != nil {
		panic(*fault)
	}
}

// attempt works, and notes a panic for run to pass on; no further parts begin then.
func (p *pool) attempt(w *worker) {
	if err := p.caught(w); err != nil {
		p.next.Store(p.parts)
		fault := err // err itself would be allocated each time
		p.fault.CompareAndSwap(nil, &fault)
	}
}

func (p *pool) caught(w *worker) (err error) {
	defer rescue.Catch(&err)
	p.work(w)
	return nil
}

func (p *pool) work(w *worker) {
	for {
		i := p.next.Add(1) - 1
		if i >= p.parts {
			return
		}
		p.job.part(w, int(i))
	}
}

// gate lets one goroutine through each time that another opens it. Who comes
// before it is open looks again for a while before it sleeps: to be woken takes
// longer than most jobs, and the next one is near as a rule.
type gate struct {
	state atomic.Int32
	wake  chan struct{}
}

const (
	gateClosed int32 = iota
	gateOpen
	gateAsleep // closed, and someone sleeps before it
)

// patience is how often a goroutine lets others run before it sleeps at a gate,
// and looks how often it looks in between: together for about 100 microseconds.
const (
	patience = 100
	looks    = 1000
)

func newGate() gate { return gate{wake: make(chan struct{}, 1)} }

func (g *gate) open() {
	if g.state.Swap(gateOpen) == gateAsleep {
		g.wake <- struct{}{}
	}
}

func (g *gate) pass() {
	for range patience {
		for range looks {
			if g.state.Load() == gateOpen {
				g.state.Store(gateClosed)
				return
			}
		}
		runtime.Gosched()
	}
	if g.state.CompareAndSwap(gateClosed, gateAsleep) {
		<-g.wake
	}
	g.state.Store(gateClosed)
}
