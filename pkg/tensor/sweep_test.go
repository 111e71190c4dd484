package tensor

import (
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
	"unsafe"
)

// sweep is a generator of calls of some operations.
type sweep struct {
	ops    []string // methods of Engine
	trials int
	run    func(c *trial)
}

func sweeps() []sweep {
	return slices.Concat(productSweeps(), convSweeps(), rowSweeps(), elementSweeps(), trainingSweeps())
}

// notSwept are the methods of Engine that compute nothing.
var notSwept = []string{"Close", "ISA", "Threads", "Spin"}

// TestEveryOperationIsSwept compares the sweeps with the methods of Engine.
func TestEveryOperationIsSwept(t *testing.T) {
	swept := slices.Clone(notSwept)
	for _, s := range sweeps() {
		swept = append(swept, s.ops...)
	}
	engine := reflect.TypeFor[*Engine]()
	for i := range engine.NumMethod() {
		if name := engine.Method(i).Name; !slices.Contains(swept, name) {
			t.Errorf("%s is in no sweep", name)
		}
	}
	for _, name := range swept {
		if _, ok := engine.MethodByName(name); !ok {
			t.Errorf("%s is swept, but Engine lacks it", name)
		}
	}
}

// way is how a trial is computed.
type way struct {
	isa     string
	threads int
	cut     bool // the batch in two calls
}

func (w way) String() string { return fmt.Sprintf("%s, %d threads, cut %t", w.isa, w.threads, w.cut) }

func ways() []way {
	var all []way
	for _, isa := range ISAs() {
		all = append(all, way{isa, 1, false}, way{isa, 2, false}, way{isa, 3, true})
	}
	return all
}

// TestSweep computes generated calls of every operation in every way. They must
// give the bits of their definition, which must be near exact arithmetic, change
// no input and write nothing beside their outputs. Every kernel of every
// instruction set must have been called, if all operations are tested.
func TestSweep(t *testing.T) {
	engines, called := map[way]*Engine{}, calledKernels{}
	for _, w := range ways() {
		e, err := New(Config{ISA: w.isa, Threads: w.threads})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(e.Close)
		called.watch(e)
		engines[w] = e
	}
	data, edges, tested := newNumbers(), newEdges(t), 0
	for n, s := range sweeps() {
		t.Run(s.ops[0], func(t *testing.T) {
			tested++
			trials := s.trials
			if testing.Short() {
				trials = trials/12 + 1
			}
			for i := range trials {
				var want *trial
				for _, w := range ways() {
					c := &trial{t: t, e: engines[w], cut: w.cut, i: i, data: data, edges: edges, define: want == nil,
						r: rand.New(rand.NewPCG(uint64(n), uint64(i))), pick: rand.New(rand.NewPCG(1, uint64(i)))}
					c.what = fmt.Sprintf("%s, trial %d: %s", s.ops[0], i, w)
					c.mood = c.r.IntN(4)
					edges.reset()
					s.run(c)
					c.finish()
					if want == nil {
						want = c
					}
					c.mustEqual(want)
				}
			}
		})
	}
	if !testing.Short() && tested == len(sweeps()) {
		called.check(t)
	}
}

// trial is one generated call. Its generator draws the same for every way.
type trial struct {
	t     *testing.T
	what  string
	e     *Engine
	r     *rand.Rand
	i     int // number of the trial
	mood  int // what numbers are like, see numbers
	edges *edges
	cut   bool
	data  *numbers

	define bool       // compare with the definition
	pick   *rand.Rand // which elements, if they are many
	args   []*argument
}

// argument is a slice with guards on both sides.
type argument struct {
	all    []float32
	offset int
	was    []float32
	out    bool
	ints   bool
}

func (a *argument) now() []float32 { return a.all[a.offset : a.offset+len(a.was)] }

// numbers are kinds of numbers to draw from:
//
//	0, 1  about 1; now and then 0, tiny or large
//	2     any float32 now and then: Inf, NaN and subnormal ones among them
//	3     products of a few of them are subnormal
type numbers [4][]float32

func newNumbers() *numbers {
	r := rand.New(rand.NewPCG(1, 2))
	d := &numbers{}
	for mood := range d {
		d[mood] = make([]float32, 1<<15+r.IntN(999))
		for i := range d[mood] {
			x := value(r)
			switch {
			case mood == 2 && r.IntN(20) == 0:
				x = math.Float32frombits(r.Uint32())
			case mood == 2 && r.IntN(20) == 0:
				x = []float32{inf32, -inf32, nan32, 0, math.Float32frombits(1 << 31), math.MaxFloat32, 1e-45, -1e-45}[r.IntN(8)]
			case mood == 3:
				x = float32(r.NormFloat64()) * float32(math.Ldexp(1, -r.IntN(90)))
			}
			d[mood][i] = x
		}
	}
	return d
}

// in returns n numbers that the operation must not change. Now and then they end
// where memory does, so that reading on is seen too.
func (c *trial) in(n int) []float32 {
	a := &argument{offset: 16 + c.r.IntN(16), was: make([]float32, n)}
	end := a.offset + n
	if edge := c.edges.next(end); edge != nil && c.r.IntN(2) == 0 {
		a.all = edge
	} else {
		a.all = make([]float32, end+48)
	}
	for i := range a.offset {
		a.all[i] = guard
	}
	for i := range a.all[a.offset+n:] {
		a.all[a.offset+n+i] = guard
	}
	source := c.data[c.mood]
	for i, at := 0, c.r.IntN(len(source)); i < n; at = 0 {
		i += copy(a.was[i:], source[at:])
	}
	copy(a.now(), a.was)
	c.args = append(c.args, a)
	return a.all[a.offset : a.offset+n : a.offset+n]
}

// out returns a slice of n results, which holds numbers before.
func (c *trial) out(n int) []float32 {
	s := c.in(n)
	c.args[len(c.args)-1].out = true
	return s
}

// over returns a slice for the results of an operation that may put them in place
// of x: now and then x.
func (c *trial) over(x []float32) []float32 {
	if c.r.IntN(3) > 0 {
		return c.out(len(x))
	}
	c.find(x).out = true
	return x
}

// ints returns n integers below limit, as many above 0 as below it if limit < 0.
func (c *trial) ints(n, limit int) []int32 {
	f := c.in(n)
	a := c.args[len(c.args)-1]
	a.ints = true
	for i := range f {
		v := c.r.IntN(max(limit, -2*limit))
		if limit < 0 {
			v += limit
		}
		f[i] = math.Float32frombits(uint32(int32(v)))
	}
	copy(a.was, f)
	return integers(f)
}

func (c *trial) outInts(n int) []int32 {
	s := c.ints(n, -1000)
	c.args[len(c.args)-1].out = true
	return s
}

func integers(f []float32) []int32 {
	return unsafe.Slice((*int32)(unsafe.Pointer(unsafe.SliceData(f))), len(f))
}

// result adds a result that is no slice.
func (c *trial) result(x float32) {
	c.args = append(c.args, &argument{all: []float32{x}, was: make([]float32, 1), out: true})
}

// find is the argument that s is, or begins.
func (c *trial) find(s []float32) *argument {
	for _, a := range c.args {
		if len(s) > 0 && len(a.was) > 0 && &a.now()[0] == &s[0] {
			return a
		}
	}
	return &argument{}
}

// was is what s held before the call.
func (c *trial) was(s []float32) []float32 { return c.find(s).was }

func (c *trial) wasInts(s []int32) []int32 { return integers(c.was(floats(s))) }

// batch calls f once for all of n rows, or for two runs of them.
func (c *trial) batch(n int, f func(from, to int)) {
	at := c.r.IntN(n + 1)
	if !c.cut {
		f(0, n)
		return
	}
	f(0, at)
	f(at, n)
}

// length is a number of elements: every one up to 69, then others, large now and
// then.
func (c *trial) length(large int) int {
	switch {
	case c.i < 70:
		return c.i
	case c.r.IntN(16) == 0:
		return large + c.r.IntN(large)
	}
	return c.r.IntN(400)
}

// upTo is 1 to n.
func (c *trial) upTo(n int) int { return 1 + c.r.IntN(n) }

// finish checks guards and inputs.
func (c *trial) finish() {
	c.t.Helper()
	for n, a := range c.args {
		for i, v := range a.all {
			switch at := i - a.offset; {
			case a.offset == 0: // not a slice of the operation
			case at < 0 || at >= len(a.was):
				if v != guard {
					c.t.Fatalf("%s: argument %d of %d elements: element %d is %g", c.what, n, len(a.was), at, v)
				}
			case !a.out && math.Float32bits(v) != math.Float32bits(a.was[at]):
				c.t.Fatalf("%s: argument %d: element %d was %g, is %g", c.what, n, at, a.was[at], v)
			}
		}
	}
}

// mustEqual compares the results with those of another way.
func (c *trial) mustEqual(want *trial) {
	c.t.Helper()
	for n, a := range c.args {
		got, want := a.now(), want.args[n].now()
		if !a.out {
			continue
		}
		if a.ints {
			c.equalInts(integers(got), integers(want))
		} else {
			mustEqual(c.t, fmt.Sprintf("%s, argument %d", c.what, n), got, want)
		}
	}
}

func (c *trial) equalInts(got, want []int32) {
	c.t.Helper()
	for i := range want {
		if got[i] != want[i] {
			c.t.Fatalf("%s: element %d is %d, want %d", c.what, i, got[i], want[i])
		}
	}
}

// effort is how many steps of definitions are computed for one result.
const effort = 12000

// check compares a result with its definition, which takes so many steps for an
// element, and that with exact arithmetic.
func (c *trial) check(name string, got []float32, steps int, definition func(i int) num) {
	c.t.Helper()
	if !c.define {
		return
	}
	for i := range c.picked(len(got), steps) {
		d := definition(i)
		if !same(got[i], d.f) {
			c.t.Fatalf("%s: %s %d of %d is %g (%08x), by definition %g (%08x)", c.what, name, i, len(got),
				got[i], math.Float32bits(got[i]), d.f, math.Float32bits(d.f))
		}
		c.near(name, i, float64(got[i]), d.v, d.e)
	}
}

// near fails if got is farther than e from v.
func (c *trial) near(name string, i int, got, v, e float64) {
	c.t.Helper()
	if e < math.Inf(1) && !(math.Abs(got-v) <= e) {
		c.t.Fatalf("%s: %s %d is %g, exactly %g: %g off, bound %g", c.what, name, i, got, v, math.Abs(got-v), e)
	}
}

// picked yields the elements that are compared: all of n, or as many as the effort
// allows.
func (c *trial) picked(n, steps int) func(yield func(int) bool) {
	few := max(effort/max(steps, 1), 4)
	return func(yield func(int) bool) {
		for i := range min(n, few) {
			if n > few {
				i = c.pick.IntN(n)
			}
			if !yield(i) {
				return
			}
		}
	}
}
