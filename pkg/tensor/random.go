package tensor

import "github.com/lockstep-ml/lockstep/internal/philox"

// DropoutMask sets dst[i] to 1/keep if word base+i of the stream, as a number in
// [0, 1) of 24 bits, is below keep, and to 0 if not.
func (e *Engine) DropoutMask(dst []float32, keep float32, s philox.Stream, base uint64) {
	w := e.pool.workers[0]
	for i := 0; i < len(dst); i += wordChunk {
		to := dst[i:min(i+wordChunk, len(dst))]
		v := w.drawn(to, s, base+uint64(i))
		v.s0, v.s1 = bits(keep), bits(1/keep)
		e.k.opKeep(v)
	}
}

// Uniform sets dst[i] to lo + (hi-lo)*u, u in [0, 1) from word base+i.
func (e *Engine) Uniform(dst []float32, lo, hi float32, s philox.Stream, base uint64) {
	w := e.pool.workers[0]
	for i := 0; i < len(dst); i += wordChunk {
		to := dst[i:min(i+wordChunk, len(dst))]
		v := w.drawn(to, s, base+uint64(i))
		v.s0, v.s1 = bits(hi-lo), bits(lo)
		e.k.opUniform(v)
	}
}

// Normal sets dst to draws of the normal distribution, by Box and Muller. Word
// base+2j gives the radius and word base+2j+1 the angle of elements 2j and 2j+1.
func (e *Engine) Normal(dst []float32, mean, deviation float32, s philox.Stream, base uint64) {
	w := e.pool.workers[0]
	for i := 0; i < len(dst); i += wordChunk {
		n := min(wordChunk, len(dst)-i)
		words := w.words(n+n%2, s, base+uint64(i))
		for j := 0; j < n; j += 2 {
			// 1-u lies in (0, 1]: its logarithm is finite.
			radius := sqrt32(-2 * log32(1-unit(words[j])))
			sin, cos := sincosTurn(unit(words[j+1]))
			dst[i+j] = fma32(deviation, radius*cos, mean)
			if j+1 < n {
				dst[i+j+1] = fma32(deviation, radius*sin, mean)
			}
		}
	}
}

// wordChunk is how many words are drawn at once: what stays in the first cache.
const wordChunk = 2048

// drawn gets the vector ready for a kernel that makes dst of random words.
func (w *worker) drawn(dst []float32, s philox.Stream, base uint64) *vector {
	words := w.words(len(dst), s, base)
	v := w.aimVec(len(dst))
	v.p, v.x = start(dst), start(words)
	return v
}

// words draws words base to base+n of the stream. They hold until the next call.
func (w *worker) words(n int, s philox.Stream, base uint64) []uint32 {
	const each = 32 // words of one round of the kernel: 8 blocks
	skip := int(base % 4)
	rounds := (skip + n + each - 1) / each
	if len(w.random) < rounds*each {
		w.random = make([]uint32, rounds*each)
	}
	v := w.aimVec(rounds)
	v.p, v.s2 = start(w.random), base/4
	v.s0, v.s1, v.s3, v.s4 = uint64(s.Key[0]), uint64(s.Key[1]), uint64(s.Step[0]), uint64(s.Step[1])
	if v.s2>>32 == (v.s2+uint64(8*rounds))>>32 {
		w.k.philox(v)
	} else {
		v.philox() // the counter carries within the call
	}
	return w.random[skip : skip+n]
}

// unit makes a number in [0, 1) of the 24 high bits.
func unit(w uint32) float32 { return float32(w>>8) * 0x1p-24 }

// sincosTurn is sine and cosine of u full turns, 0 <= u < 1.
func sincosTurn(u float32) (sin, cos float32) {
	const turn = 6.28318530717958647692
	q := int(float32(u*4) + 0.5) // the nearest quarter
	x := float32(turn * (u - float32(float32(q)*0.25)))
	z := float32(x * x)
	sin = fma32(z, 1.0/362880, -1.0/5040)
	sin = fma32(sin, z, 1.0/120)
	sin = fma32(sin, z, -1.0/6)
	sin = fma32(float32(sin*z), x, x)
	cos = fma32(z, 1.0/40320, -1.0/720)
	cos = fma32(cos, z, 1.0/24)
	cos = fma32(cos, z, -0.5)
	cos = fma32(cos, z, 1)
	switch q % 4 {
	case 1:
		return cos, -sin
	case 2:
		return -sin, -cos
	case 3:
		return -cos, sin
	}
	return sin, cos
}
