package tensor

import (
	"fmt"
	"runtime"
	"strings"
)

// Config says how an Engine computes. It never changes a result.
type Config struct {
	// ISA is the instruction set: one of ISAs, or "" for the best one.
	ISA string
	// Threads is how many goroutines one operation may use; 0 is GOMAXPROCS.
	Threads int
}

// Engine computes. Its methods may be called by one goroutine at a time. Shapes
// that do not fit are mistakes of the program: methods check them before they
// begin and panic with a message that names the operation.
type Engine struct {
	k       *kernels
	threads int
	pool    *pool

	// Of the present operation, kept so that none allocates.
	product     product
	laneProduct laneProduct
	batchJob    batchJob
	lane        []float32 // the gradient of one lane
	spare       []float32
	eachJob     eachJob
	rowJob      rowJob
	poolJob     poolJob
	normJob     normJob
	cellJob     cellJob
	columnJob   columnJob
	conv        convJob
	weight      weightJob
	turned      []float32 // weights, for the input gradient
	filters     []float32 // weights and bias, for vectors across channels
	plans       map[Conv]*convPlan
}

// ISAs lists the instruction sets that this machine can run, slowest first.
func ISAs() []string {
	var names []string
	for _, k := range available() {
		names = append(names, k.name)
	}
	return names
}

// New returns an engine. It fails if the machine lacks the instruction set.
func New(c Config) (*Engine, error) {
	if c.Threads < 0 {
		return nil, fmt.Errorf("tensor: %d threads; use 0 for one per CPU", c.Threads)
	}
	if c.Threads == 0 {
		c.Threads = runtime.GOMAXPROCS(0)
	}
	all := available()
	k := all[len(all)-1]
	if c.ISA != "" {
		k = nil
		for _, other := range all {
			if other.name == c.ISA {
				k = other
			}
		}
		if k == nil {
			return nil, fmt.Errorf("tensor: this machine cannot run the instruction set %q; it can run %s", c.ISA, strings.Join(ISAs(), ", "))
		}
	}
	return &Engine{plans: map[Conv]*convPlan{}, k: k, threads: c.Threads, pool: newPool(k, c.Threads)}, nil
}

// Close ends the goroutines of the engine and waits for them. The engine must not
// be used afterwards.
func (e *Engine) Close() { e.pool.close() }

// ISA is the name of the instruction set in use.
func (e *Engine) ISA() string { return e.k.name }

// Threads is how many goroutines one operation may use.
func (e *Engine) Threads() int { return e.threads }

// Spin does rounds of fused multiply-adds in registers and nothing else, on one
// thread, and returns the number of floating point operations. Its speed is the
// peak of a core; benchmarks relate their results to it.
func (e *Engine) Spin(rounds int) float64 {
	e.k.peak(&pack{n: max(rounds, 1)})
	return float64(max(rounds, 1)) * 24 * 2 * float64(e.k.width)
}
