package philox

import (
	"slices"
	"testing"
)

// The vectors are the known answers of Random123 (kat_vectors, philox4x32 10).
func TestKnownAnswers(t *testing.T) {
	const f = 0xffffffff
	for _, c := range []struct {
		key  [2]uint32
		ctr  [4]uint32
		want [4]uint32
	}{
		{[2]uint32{}, [4]uint32{}, [4]uint32{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
		{[2]uint32{f, f}, [4]uint32{f, f, f, f}, [4]uint32{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
		{[2]uint32{0xa4093822, 0x299f31d0}, [4]uint32{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
			[4]uint32{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
	} {
		if got := Block(c.key, c.ctr); got != c.want {
			t.Errorf("Block(%x, %x) = %x, want %x", c.key, c.ctr, got, c.want)
		}
	}
}

func TestStreamsDiffer(t *testing.T) {
	seen := map[uint32][5]int{}
	for seed := range 2 {
		for purpose := range 2 {
			for epoch := range 3 {
				for step := range 3 {
					for lane := range 3 {
						at := [5]int{seed, purpose, epoch, step, lane}
						w := New(uint64(seed), Shards+Purpose(purpose), epoch, step, lane).Uint32(5)
						if other, ok := seen[w]; ok {
							t.Fatalf("%v and %v draw the same word", at, other)
						}
						seen[w] = at
					}
				}
			}
		}
	}
}

// A stream is Block of its coordinates, as the comments say: trained models depend
// on it. The numbers of the last lines were made by another program.
func TestStreamsAreBlocks(t *testing.T) {
	seed, epoch, step, lane := uint64(0x0123456789abcdef), 3, 70, 5
	s := New(seed, Dropout+2, epoch, step, lane)
	k := Block([2]uint32{0x89abcdef, 0x01234567}, [4]uint32{uint32(Dropout) + 2, 3, 0, 0})
	for _, i := range []uint64{0, 1, 6, 1<<34 - 1, 1 << 34, 1<<34 + 3} {
		block := Block([2]uint32{k[0], k[1]}, [4]uint32{uint32(i / 4), uint32(i / 4 >> 32), 70, 5})
		if got := s.Uint32(i); got != block[i%4] {
			t.Errorf("word %d is %08x, want %08x", i, got, block[i%4])
		}
		if got, want := s.Float32(i), float32(block[i%4]>>8)/(1<<24); got != want {
			t.Errorf("number %d is %g, want %g", i, got, want)
		}
	}
	order := []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}
	s.Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
	if want := []int{4, 6, 8, 5, 0, 7, 1, 2, 9, 3}; !slices.Equal(order, want) || s.Uint32(0) != 0xa6080d46 {
		t.Errorf("shuffled %v, word %08x", order, s.Uint32(0))
	}
}

// TestShuffleIsFair draws all orders of four things: each about as often. The
// deviation of a count is 31.
func TestShuffleIsFair(t *testing.T) {
	count := map[[4]byte]int{}
	for seed := range uint64(24000) {
		x := [4]byte{0, 1, 2, 3}
		New(seed, Window, 0, 0, 0).Shuffle(4, func(i, j int) { x[i], x[j] = x[j], x[i] })
		count[x]++
	}
	for order, n := range count {
		if n < 850 || n > 1150 {
			t.Errorf("%v comes %d times in 24000", order, n)
		}
	}
	if len(count) != 24 {
		t.Errorf("%d orders of 24", len(count))
	}
}

func TestShuffleIsAPermutation(t *testing.T) {
	for _, n := range []int{0, 1, 2, 17, 1000} {
		x := make([]int, n)
		for i := range x {
			x[i] = i
		}
		New(1, Shards, 0, 0, 0).Shuffle(n, func(i, j int) { x[i], x[j] = x[j], x[i] })
		if n == 1000 && slices.IsSorted(x) {
			t.Error("nothing moved")
		}
		slices.Sort(x)
		for i, v := range x {
			if i != v {
				t.Fatalf("n=%d: not a permutation", n)
			}
		}
	}
}

func TestFloat32Range(t *testing.T) {
	s := New(3, Noise, 0, 0, 0)
	var sum float64
	const n = 10000
	for i := range uint64(n) {
		f := s.Float32(i)
		if f < 0 || f >= 1 {
			t.Fatalf("Float32(%d) = %g", i, f)
		}
		sum += float64(f)
	}
	// The mean of n uniform draws has standard deviation 1/sqrt(12n) = 0.0029.
	if mean := sum / n; mean < 0.485 || mean > 0.515 {
		t.Errorf("mean %g", mean)
	}
}
