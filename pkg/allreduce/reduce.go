package allreduce

import (
	"encoding/binary"
	"math"
	"unsafe"
)

// number is what a ring can sum.
type number interface{ int32 | float32 }

// bytesOf returns the memory of v. On a little-endian machine that is the wire
// format; New refuses others.
func bytesOf[T number](v []T) []byte {
	if len(v) == 0 {
		return nil
	}
	return unsafe.Slice((*byte)(unsafe.Pointer(&v[0])), 4*len(v))
}

// littleEndian says whether this machine keeps numbers as the wire does.
func littleEndian() bool {
	return binary.NativeEndian.Uint16([]byte{1, 0}) == 1
}

// replace copies a payload over dst, which has exactly its length.
func replace[T number](dst []T, pieces [][]byte) {
	b := bytesOf(dst)
	for _, p := range pieces {
		b = b[copy(b, p):]
	}
}

// add adds a payload to dst, which has exactly its length. It is
//
//	for i := range dst {
//		dst[i] += number i of the payload
//	}
func add[T number](dst []T, pieces [][]byte) {
	var split [4]byte // a number that straddles pieces
	held := 0         // bytes of it so far
	for _, p := range pieces {
		if held > 0 {
			n := copy(split[held:], p)
			p = p[n:]
			if held += n; held < len(split) {
				continue
			}
			addWhole(dst[:1], split[:])
			dst, held = dst[1:], 0
		}
		whole := len(p) / 4
		addWhole(dst[:whole], p[:4*whole])
		dst = dst[whole:]
		held = copy(split[:], p[4*whole:])
	}
}

// addWhole adds the len(dst) numbers in b to dst.
func addWhole[T number](dst []T, b []byte) {
	switch d := any(dst).(type) {
	case []int32:
		addInt32(d, b)
	case []float32:
		addFloat32(d, b)
	}
}

// addInt32 adds four at a time; sums wrap around.
func addInt32(dst []int32, b []byte) {
	le := binary.LittleEndian
	for len(dst) >= 4 && len(b) >= 16 {
		dst[0] += int32(le.Uint32(b[0:]))
		dst[1] += int32(le.Uint32(b[4:]))
		dst[2] += int32(le.Uint32(b[8:]))
		dst[3] += int32(le.Uint32(b[12:]))
		dst, b = dst[4:], b[16:]
	}
	for i := range dst {
		dst[i] += int32(le.Uint32(b[4*i:]))
	}
}

// addFloat32 adds four at a time.
func addFloat32(dst []float32, b []byte) {
	le := binary.LittleEndian
	for len(dst) >= 4 && len(b) >= 16 {
		dst[0] += math.Float32frombits(le.Uint32(b[0:]))
		dst[1] += math.Float32frombits(le.Uint32(b[4:]))
		dst[2] += math.Float32frombits(le.Uint32(b[8:]))
		dst[3] += math.Float32frombits(le.Uint32(b[12:]))
		dst, b = dst[4:], b[16:]
	}
	for i := range dst {
		dst[i] += math.Float32frombits(le.Uint32(b[4*i:]))
	}
}
