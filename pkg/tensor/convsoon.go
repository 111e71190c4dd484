package tensor

import "unsafe"

// Kernels of convolutions do so many ks between two questions for what is needed
// soon, those across channels acrossSteps.
const (
	tapSteps    = 4
	acrossSteps = 3
)

// soon is what the next image reads or writes: the caches are told of it while
// this one is computed, little by little.
type soon struct {
	x         []float32
	done, all int // numbers that this image computes
}

// next is image n+1 of a job, for the present group, of which this image computes
// so many numbers.
func (j *convJob) next(x []float32, n, group, size, all int) soon {
	if n+1 == j.n {
		return soon{}
	}
	return soon{x: x[((n+1)*j.plan.c.Groups+group)*size:][:size], all: all}
}

// aim sets what a kernel needs to ask while it computes part numbers, times times:
// where to begin, and how far to go each time. Those that could ask for a few lines
// of the cache only do not ask. There must be a place even if there is nothing to ask
// for: to ask for nil takes long.
func (s *soon) aim(at *unsafe.Pointer, step *uintptr, part, times int) {
	*at, *step = unsafe.Pointer(s), 0
	if len(s.x) == 0 {
		return
	}
	from, to := len(s.x)*s.done/s.all, len(s.x)*(s.done+part)/s.all
	s.done += part
	if n := (4*(to-from) + times - 1) / times; n <= cacheLine {
		*at, *step = pointer(s.x, from), uintptr(n)
	}
}
