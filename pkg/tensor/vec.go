package tensor

import (
	"math"
	"unsafe"
)

// eachJob runs one element by element kernel over pieces of its arguments.
type eachJob struct {
	op   func(*vector)
	v    vector // of all elements
	step int
}

// eachPart is the number of elements that is worth waking a goroutine.
const eachPart = 1 << 13

// each runs a kernel over v.n elements. It must not reduce, and must not read
// pairs or the index.
func (e *Engine) each(op func(*vector)) {
	j := &e.eachJob
	parts := max(min(e.threads, j.v.n/eachPart), 1)
	j.op = op
	j.step = (j.v.n/parts + 15) / 16 * 16
	if parts == 1 {
		j.step = max(j.v.n, 1)
	}
	e.pool.run(j, (j.v.n+j.step-1)/max(j.step, 1))
	j.op, j.v = nil, vector{}
}

func (j *eachJob) part(w *worker, i int) {
	v := &w.v
	from := i * j.step
	*v = j.v
	v.n = min(j.step, j.v.n-from)
	v.masks = w.k.masks
	for _, p := range v.pointers() {
		if *p != nil {
			*p = unsafe.Add(*p, 4*from)
		}
	}
	j.op(v)
}

// pointers are the arguments in memory.
func (v *vector) pointers() [9]*unsafe.Pointer {
	return [...]*unsafe.Pointer{&v.x, &v.y, &v.z, &v.u, &v.a, &v.b, &v.p, &v.q, &v.r}
}

// args gets the arguments of the next each ready: an output and inputs.
func (e *Engine) args(p, x []float32, more ...[]float32) *vector {
	v := &e.eachJob.v
	v.n, v.p, v.x = len(p), start(p), start(x)
	for i, s := range more {
		*[]*unsafe.Pointer{&v.y, &v.z, &v.u}[i] = start(s)
	}
	return v
}

func start[T any](s []T) unsafe.Pointer { return unsafe.Pointer(unsafe.SliceData(s)) }

// bits is a scalar as kernels take it.
func bits(x float32) uint64 { return uint64(math.Float32bits(x)) }

// aimVec gets the worker's vector ready for a kernel of n elements.
func (w *worker) aimVec(n int) *vector {
	w.v.n, w.v.masks = n, w.k.masks
	return &w.v
}

// sum is the sum of x, in 16 strided partial sums.
func (w *worker) sum32(x []float32) float32 {
	v := w.aimVec(len(x))
	v.x, v.part0 = start(x), [sums]float32{}
	w.k.opSum(v)
	return tree(&v.part0)
}

// greatest is the greatest element of x, -Inf if there is none.
func (w *worker) greatest(x []float32) float32 {
	v := w.aimVec(len(x))
	v.x = start(x)
	for i := range v.part0 {
		v.part0[i] = -inf32
	}
	w.k.opMax(v)
	top := v.part0[0]
	for _, p := range v.part0[1:] {
		top = max32(p, top)
	}
	return top
}

// scale sets y to s*x.
func (w *worker) scale(y, x []float32, s float32) {
	v := w.aimVec(len(y))
	v.p, v.x, v.s0 = start(y), start(x), bits(s)
	w.k.opScale(v)
}
