// Package alloctest counts what a step allocates in steady state, for tests.
//
// The buffers of an engine's thread grow when it gets its first part of a kind. On a
// busy machine that may come many steps late, for who gets a part is not fixed. So a
// step is in steady state when some runs in a row allocate nothing; what every step
// allocates never gets there. A measurement costs its runs and one more, six times if
// something is allocated.
package alloctest

import "testing"

// PerRun is testing.AllocsPerRun of f, the least of up to six times so many runs.
func PerRun(runs int, f func()) float64 {
	allocs := testing.AllocsPerRun(runs, f)
	for try := 0; try < 5 && allocs > 0; try++ {
		allocs = min(allocs, testing.AllocsPerRun(runs, f))
	}
	return allocs
}
