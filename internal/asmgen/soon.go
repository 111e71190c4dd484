package main

import (
	"github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// tapSteps is how many ks of a convolution are written out: the more the fewer
// sums of addresses, which take the places of products. Across channels they are
// the three taps of a line of most filters.
const (
	tapSteps    = 4
	acrossSteps = 3
)

// soon counts the ks that are written out, and asks the caches on the way for
// what will be read and written soon.
type soon struct {
	at    [2]reg.GPVirtual
	step  [2]operand.Mem
	all   int // that are written out
	steps int // written so far; the last one is for rests
}

func soonOf(t *tile, all int) (s soon) {
	s.all = all
	for i, name := range []string{"soonX", "soonY"} {
		s.at[i], s.step[i] = t.load(name), t.field(name+"Step")
	}
	return s
}

// next begins a k. It returns its place among those written out.
func (s *soon) next() int {
	s.steps++
	return (s.steps - 1) % s.all
}

// rest is whether the present k is not one of those written out.
func (s *soon) rest() bool { return s.steps > s.all }

// ask asks twice in all the ks that are written out.
func (s *soon) ask(c *build.Context) {
	if s.steps == 1 || s.steps == 1+s.all/2 {
		i := min(s.steps-1, 1)
		c.PREFETCHT0(operand.Mem{Base: s.at[i]})
		c.ADDQ(s.step[i], s.at[i])
	}
}

// done ends a k. It returns by how many ks pointers must move now, if at all.
func (s *soon) done() int {
	switch {
	case s.steps == s.all:
		return s.all
	case s.rest():
		return 1
	}
	return 0
}
