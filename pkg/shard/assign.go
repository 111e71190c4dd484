package shard

import "math"

// AssignLanes gives lanes 0..lanes-1 to size ranks: rank r gets the r-th entry,
// a run of neighbouring lanes. speeds (records/s of each rank, or nil if they are
// unknown) set the shares, so that the slowest rank is done as early as possible;
// every rank gets at least one lane while there are enough. A speed that is not a
// positive number counts as the mean of those that are. If size exceeds lanes the
// last ranks get none.
func AssignLanes(lanes, size int, speeds []float64) [][]int {
	if lanes < 0 || size < 1 {
		return nil
	}
	counts := shares(lanes, weights(size, speeds))
	out := make([][]int, size)
	next := 0
	for r, n := range counts {
		out[r] = make([]int, n)
		for i := range out[r] {
			out[r][i] = next
			next++
		}
	}
	return out
}

// weights returns a positive share of work for each rank.
func weights(size int, speeds []float64) []float64 {
	w := make([]float64, size)
	var sum float64
	var known int
	for r := range w {
		if r < len(speeds) && speeds[r] > 0 && !math.IsInf(speeds[r], 0) {
			w[r] = speeds[r]
			sum += speeds[r]
			known++
		}
	}
	mean := 1.0
	if known > 0 && !math.IsInf(sum, 0) {
		mean = sum / float64(known)
	}
	for r := range w {
		if w[r] == 0 || math.IsInf(sum, 0) {
			w[r] = mean
		}
	}
	return w
}

// shares divides lanes by weight. One lane goes to each rank first; each further
// lane goes to the rank that is then least loaded, which gives the smallest
// possible time of the slowest rank. Ties go to the lower rank.
func shares(lanes int, w []float64) []int {
	n := make([]int, len(w))
	for r := range w {
		if r < lanes {
			n[r] = 1
		}
	}
	for left := lanes - len(w); left > 0; left-- {
		best := 0
		for r := range w {
			if float64(n[r]+1)/w[r] < float64(n[best]+1)/w[best] {
				best = r
			}
		}
		n[best]++
	}
	return n
}
