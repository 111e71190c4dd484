package allreduce_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lockstep-ml/lockstep/pkg/allreduce"
	"github.com/lockstep-ml/lockstep/pkg/allreduce/linktest"
)

// rings makes the rings over links; opts must be valid.
func rings(t testing.TB, links []*linktest.Mem, opts allreduce.Options) []*allreduce.Ring {
	t.Helper()
	rs := make([]*allreduce.Ring, len(links))
	for rank, l := range links {
		r, err := allreduce.New(rank, len(links), l, opts)
		if err != nil {
			t.Fatal(err)
		}
		rs[rank] = r
	}
	return rs
}

// all runs f for every ring at once and returns its errors by rank.
func all(rs []*allreduce.Ring, f func(r *allreduce.Ring) error) []error {
	errs := make([]error, len(rs))
	var wg sync.WaitGroup
	for i, r := range rs {
		wg.Go(func() { errs[i] = f(r) })
	}
	wg.Wait()
	return errs
}

var errKilled = errors.New("killed")

// TestKillEveryRankInEveryRound: whichever rank dies in whichever round, of the
// first block or of the last, every other one has the whole sum or an error
// that names a neighbour, at once.
func TestKillEveryRankInEveryRound(t *testing.T) {
	const size = 4
	for victim := range size {
		for round := range 2 * (size - 1) {
			for _, block := range []int{0, 4} { // of 5
				t.Run(fmt.Sprintf("rank=%d/round=%d/block=%d", victim, round, block), func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) { killOne(t, size, victim, round, block) })
				})
			}
		}
	}
}

func killOne(t *testing.T, size, victim, round, block int) {
	links := linktest.Ring(size)
	links[victim].Fault = func(h allreduce.Header) error {
		if int(h.Round) == round && int(h.Block) == block && h.Segment == 1 {
			return errKilled
		}
		return nil
	}
	rs := rings(t, links, allreduce.Options{SegmentBytes: 40, Window: 2, Members: []string{"w0", "w1", "w2", "w3"}})
	begin := time.Now()
	sums := make([][]int32, size)
	errs := all(rs, func(r *allreduce.Ring) error {
		v := slices.Repeat([]int32{1}, 400)
		sums[r.Rank()] = v
		err := r.SumInt32(t.Context(), v)
		if err != nil {
			_ = links[r.Rank()].Close()
		}
		return err
	})
	if d := time.Since(begin); d > 0 {
		t.Errorf("the others waited %s", d)
	}
	if !errors.Is(errs[victim], errKilled) {
		t.Errorf("the fault did not fire: %v", errs[victim])
	}
	for rank, err := range errs {
		var who *allreduce.NeighbourError
		switch {
		case err == nil && block == 0:
			t.Errorf("rank %d has no error, though a rank died early", rank)
		case err == nil:
			if i := slices.IndexFunc(sums[rank], func(x int32) bool { return x != int32(size) }); i >= 0 {
				t.Errorf("rank %d has no error, but element %d is %d, want %d", rank, i, sums[rank][i], size)
			}
		case !errors.As(err, &who) || who.WorkerID == fmt.Sprintf("w%d", rank):
			t.Errorf("rank %d got %v, want an error naming a neighbour", rank, err)
		}
	}
}

// TestSilentRank: a rank that stands still without dying costs the others one
// StepTimeout, and the error names it.
func TestSilentRank(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		links := linktest.Ring(3)
		rs := rings(t, links, allreduce.Options{StepTimeout: 7 * time.Second, Members: []string{"a", "b", "c"}})
		begin := time.Now()
		errs := all(rs[:2], func(r *allreduce.Ring) error { return r.SumInt32(t.Context(), make([]int32, 30)) })
		if d := time.Since(begin); d != 7*time.Second {
			t.Errorf("the sum ended after %s, StepTimeout is 7s", d)
		}
		var who *allreduce.NeighbourError
		if !errors.As(errs[0], &who) || who.WorkerID != "c" || !errors.Is(errs[0], allreduce.ErrTimeout) {
			t.Errorf("got %v, want ErrTimeout naming c", errs[0])
		}
	})
}

func TestMismatchesAreNamed(t *testing.T) {
	int32s := func(n int) func(context.Context, *allreduce.Ring) error {
		return func(ctx context.Context, r *allreduce.Ring) error { return r.SumInt32(ctx, make([]int32, n)) }
	}
	floats := func(ctx context.Context, r *allreduce.Ring) error { return r.SumFloat32(ctx, make([]float32, 8)) }
	twice := func(ctx context.Context, r *allreduce.Ring) error {
		return errors.Join(r.SumInt32(ctx, nil), r.SumInt32(ctx, make([]int32, 8)))
	}
	for _, c := range []struct {
		name       string
		generation uint64 // of rank 1
		one        func(context.Context, *allreduce.Ring) error
		want       string
	}{
		{"length", 5, int32s(9), "vector length 9, want 8"},
		{"kind", 5, floats, "a sum of float32, want int32"},
		{"generation", 4, int32s(8), "generation 4, want 5"},
		{"nothing", 5, twice, ""}, // a sum of no elements is no operation
	} {
		t.Run(c.name, func(t *testing.T) {
			links := linktest.Ring(2)
			r0 := rings(t, links, allreduce.Options{Generation: 5})[0]
			r1 := rings(t, links, allreduce.Options{Generation: c.generation})[1]
			errs := all([]*allreduce.Ring{r0, r1}, func(r *allreduce.Ring) error {
				defer links[r.Rank()].Close()
				if r == r0 {
					return int32s(8)(t.Context(), r)
				}
				return c.one(t.Context(), r)
			})
			if c.want == "" {
				if err := errors.Join(errs...); err != nil {
					t.Error(err)
				}
				return
			}
			if !errors.Is(errs[0], allreduce.ErrFrame) || !strings.Contains(errs[0].Error(), c.want) {
				t.Errorf("rank 0: %v, want %q", errs[0], c.want)
			}
			if err := r0.SumInt32(t.Context(), make([]int32, 1)); err == nil || !strings.Contains(err.Error(), "broke earlier") {
				t.Errorf("a sum on a broken ring: %v", err)
			}
		})
	}
}

// TestFloatBitsAgree: float32 sums depend on their order, yet every rank must
// get the same bits.
func TestFloatBitsAgree(t *testing.T) {
	links := linktest.Ring(5)
	sums := make([][]float32, len(links))
	errs := all(rings(t, links, allreduce.Options{SegmentBytes: 64}), func(r *allreduce.Ring) error {
		v := make([]float32, 1003)
		for i := range v {
			v[i] = float32(math.Sin(float64(i*(r.Rank()+1)))) * float32(math.Pow(10, float64(i%9-r.Rank())))
		}
		sums[r.Rank()] = v
		return r.SumFloat32(t.Context(), v)
	})
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	for rank := range sums {
		for i, x := range sums[rank] {
			if math.Float32bits(x) != math.Float32bits(sums[0][i]) {
				t.Fatalf("element %d: rank 0 has %x, rank %d has %x", i, math.Float32bits(sums[0][i]), rank, math.Float32bits(x))
			}
		}
	}
}

func TestRingOfOne(t *testing.T) {
	r, err := allreduce.New(0, 1, nil, allreduce.Options{})
	if err != nil {
		t.Fatal(err)
	}
	v := []int32{3, 4}
	if err := r.SumInt32(t.Context(), v); err != nil || v[0] != 3 || v[1] != 4 {
		t.Errorf("sum of one rank: %v, %v", v, err)
	}
}

func TestNewRefuses(t *testing.T) {
	link := linktest.Ring(2)[0]
	for _, c := range []struct {
		rank, size int
		link       allreduce.Link
		opts       allreduce.Options
		want       string
	}{
		{0, 0, nil, allreduce.Options{}, "rank 0 of 0"},
		{2, 2, link, allreduce.Options{}, "rank 2 of 2"},
		{-1, 2, link, allreduce.Options{}, "rank -1 of 2"},
		{0, 2, nil, allreduce.Options{}, "needs a link"},
		{0, 2, link, allreduce.Options{SegmentBytes: 6}, "SegmentBytes 6"},
		{0, 2, link, allreduce.Options{Window: 9}, "Window 9"},
		{0, 2, link, allreduce.Options{StepTimeout: -1}, "StepTimeout -1ns"},
		{0, 2, link, allreduce.Options{Members: []string{"a"}}, "1 names for a ring of 2"},
	} {
		if _, err := allreduce.New(c.rank, c.size, c.link, c.opts); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("got %v, want %q", err, c.want)
		}
	}
}

// TestSumAllocatesNothing in steady state, over links in memory.
func TestSumAllocatesNothing(t *testing.T) {
	links := linktest.Ring(2)
	rs := rings(t, links, allreduce.Options{SegmentBytes: 256})
	ctx, stop := context.WithCancel(t.Context())
	a, b := make([]int32, 5000), make([]int32, 5000)
	var wg sync.WaitGroup
	wg.Go(func() {
		for rs[1].SumInt32(ctx, b) == nil {
		}
	})
	allocs := testing.AllocsPerRun(50, func() {
		if err := rs[0].SumInt32(ctx, a); err != nil {
			t.Error(err)
		}
	})
	stop()
	wg.Wait()
	if allocs > 0 && !raceEnabled {
		t.Errorf("a sum allocates %g times, want 0", allocs)
	}
}
