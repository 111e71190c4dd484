// Package philox is the one source of randomness: Philox4x32-10, a generator
// without state. A draw is a function of where it is used, so nothing has to be
// saved, sent or replayed, and it does not matter who draws.
//
// # Terms
//
//	purpose  what the numbers are for: shuffling, dropout of layer 3, …
//	stream   all draws for one (seed, purpose, epoch, step, lane)
//	index    the position of a 32-bit word in its stream
//
// # Cost
//
// One Block is 10 rounds of two 32x32->64 bit multiplications and gives four
// words: about 0.7 GB/s on one core in plain Go.
//
// Source: J. Salmon, M. Moraes, R. Dror, D. Shaw, "Parallel random numbers: as
// easy as 1, 2, 3", SC 2011.
package philox

import "math/bits"

// Purpose keeps streams with the same coordinates apart. The low 16 bits are
// free for a part of the purpose, say the number of a layer.
type Purpose uint32

// The purposes in use. A value never changes: it is part of every result.
const (
	Shards  Purpose = 1 << 16 // order of the shards of an epoch
	Window  Purpose = 2 << 16 // order of the records inside a lane's window
	Init    Purpose = 3 << 16 // initial values; low bits: number of the parameter
	Dropout Purpose = 4 << 16 // masks; low bits: number of the layer
	Augment Purpose = 5 << 16 // augmentation; low bits: its number
	Noise   Purpose = 6 << 16 // noise fed to a network; low bits: its number
	Tokens  Purpose = 7 << 16 // which tokens continue a text
)

const (
	mul0, mul1   = 0xD2511F53, 0xCD9E8D57
	weyl0, weyl1 = 0x9E3779B9, 0xBB67AE85
)

// Block is the Philox4x32-10 function.
func Block(key [2]uint32, ctr [4]uint32) [4]uint32 {
	k0, k1 := key[0], key[1]
	c0, c1, c2, c3 := ctr[0], ctr[1], ctr[2], ctr[3]
	for range 10 {
		hi0, lo0 := bits.Mul32(mul0, c0)
		hi1, lo1 := bits.Mul32(mul1, c2)
		c0, c1, c2, c3 = hi1^c1^k0, lo1, hi0^c3^k1, lo0
		k0 += weyl0
		k1 += weyl1
	}
	return [4]uint32{c0, c1, c2, c3}
}

// Stream is a sequence of 2^64 blocks of four words. The zero Stream is valid
// but belongs to no purpose.
type Stream struct {
	// Key and Step are the fixed words of every block: block b of the stream is
	// Block(Key, {uint32(b), uint32(b>>32), Step[0], Step[1]}).
	Key  [2]uint32
	Step [2]uint32
}

// New returns the stream of the given coordinates. What a purpose does not
// depend on (a lane, say) is 0.
func New(seed uint64, purpose Purpose, epoch, step, lane int) Stream {
	k := Block([2]uint32{uint32(seed), uint32(seed >> 32)}, [4]uint32{uint32(purpose), uint32(epoch), 0, 0})
	return Stream{Key: [2]uint32{k[0], k[1]}, Step: [2]uint32{uint32(step), uint32(lane)}}
}

// Block returns words 4b to 4b+3.
func (s Stream) Block(b uint64) [4]uint32 {
	return Block(s.Key, [4]uint32{uint32(b), uint32(b >> 32), s.Step[0], s.Step[1]})
}

// Uint32 returns word i.
func (s Stream) Uint32(i uint64) uint32 {
	return s.Block(i / 4)[i%4]
}

// Float32 returns word i as a number in [0, 1) with 24 random bits.
func (s Stream) Float32(i uint64) float32 {
	return float32(s.Uint32(i)>>8) * 0x1p-24
}

// Shuffle permutes n things by Fisher and Yates, calling swap(i, j) with j <= i.
// Step i uses word i of the stream; the bias of the multiply-shift reduction is
// below n/2^32.
func (s Stream) Shuffle(n int, swap func(i, j int)) {
	for i := n - 1; i > 0; i-- {
		j, _ := bits.Mul32(s.Uint32(uint64(i)), uint32(i+1))
		swap(i, int(j))
	}
}
