package tensor

import (
	"sync"
	"sync/atomic"
)

// job is work that falls into independent parts. Parts never share an element
// of a result, and what they are depends on shapes alone.
type job interface {
	part(w *worker, i int)
}

// worker is what one goroutine needs to compute: the arguments of kernels, and
// buffers for panels that grow as needed.
type worker struct {
	k    *kernels
	t    tile
	p    pack
	v    vector
	rows [8]*float32 // for transpose
	a, b []float32

	panels []float32 // of the present block of B: b, or a part of a Packed

	product product // of the present image
	img     []float32
	imageOf *grid // whose border img has
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
	wake    chan struct{}
	helpers sync.WaitGroup // alive
	busy    sync.WaitGroup // in the present job

	job   job
	parts int64
	next  atomic.Int64
}

func newPool(k *kernels, threads int) *pool {
	p := &pool{wake: make(chan struct{})}
	for range threads {
		p.workers = append(p.workers, &worker{k: k})
	}
	for _, w := range p.workers[1:] {
		p.helpers.Go(func() {
			for range p.wake {
				p.work(w)
				p.busy.Done()
			}
		})
	}
	return p
}

func (p *pool) close() {
	close(p.wake)
	p.helpers.Wait()
}

// run does parts 0 to n-1 of j and returns when all are done.
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
	p.busy.Add(helpers)
	for range helpers {
		p.wake <- struct{}{}
	}
	p.work(p.workers[0])
	p.busy.Wait()
	p.job = nil
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
