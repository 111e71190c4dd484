//go:build race

package allreduce_test

// raceEnabled says that the race detector, which allocates, is on.
const raceEnabled = true
