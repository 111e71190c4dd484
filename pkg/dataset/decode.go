package dataset

import (
	"encoding/binary"
	"math"

	"github.com/lockstep-ml/lockstep/pkg/nn"
	"github.com/lockstep-ml/lockstep/pkg/shard"
)

// decode puts the bytes of one record's plane into a row of a batch.
type decode func(b *nn.Batch, row int, raw []byte)

// newDecode returns the decoder of a plane, or nil if there is none.
func newDecode(m *shard.Manifest, p shard.Plane) decode {
	n := p.Count
	switch {
	case p.Role == shard.RoleX && p.Type == shard.U8:
		return pixels(m.Fit.Columns, n)
	case p.Role == shard.RoleX && p.Type == shard.F32:
		return func(b *nn.Batch, row int, raw []byte) { floats(b.X[row*n:(row+1)*n], raw) }
	case p.Role == shard.RoleY && p.Type == shard.F32:
		return func(b *nn.Batch, row int, raw []byte) { floats(b.Y[row*n:(row+1)*n], raw) }
	case p.Role == shard.RoleWeight && p.Type == shard.F32 && n == 1:
		return func(b *nn.Batch, row int, raw []byte) { floats(b.Weights[row:row+1], raw) }
	case p.Role == shard.RoleTokens && p.Type != shard.F32:
		ints := integers(p.Type)
		return func(b *nn.Batch, row int, raw []byte) { ints(b.Tokens[row*n:(row+1)*n], raw) }
	case p.Role == shard.RoleClass && p.Type != shard.F32:
		ints := integers(p.Type)
		return func(b *nn.Batch, row int, raw []byte) { ints(b.Classes[row*n:(row+1)*n], raw) }
	}
	return nil
}

// pixels decodes bytes by one table for each channel. A byte v of channel c
// becomes (v - Shift) / Scale of column c.
func pixels(channels []shard.Column, n int) decode {
	if len(channels) == 0 || n%len(channels) != 0 {
		return nil
	}
	tables := make([][256]float32, len(channels))
	for c, col := range channels {
		for v := range tables[c] {
			tables[c][v] = float32((float64(v) - col.Shift) / col.Scale)
		}
	}
	per := n / len(channels)
	return func(b *nn.Batch, row int, raw []byte) {
		out := b.X[row*n : (row+1)*n]
		for c := range tables {
			lookUp(out[c*per:(c+1)*per], raw[c*per:(c+1)*per], &tables[c])
		}
	}
}

func lookUp(dst []float32, src []byte, t *[256]float32) {
	dst = dst[:len(src)]
	for i, v := range src {
		dst[i] = t[v]
	}
}

func floats(dst []float32, raw []byte) {
	for i := range dst {
		dst[i] = math.Float32frombits(binary.LittleEndian.Uint32(raw[4*i:]))
	}
}

// integers returns the decoder of a type of integer.
func integers(t shard.Type) func(dst []int32, raw []byte) {
	switch t {
	case shard.U8:
		return func(dst []int32, raw []byte) {
			for i := range dst {
				dst[i] = int32(raw[i])
			}
		}
	case shard.U16:
		return func(dst []int32, raw []byte) {
			for i := range dst {
				dst[i] = int32(binary.LittleEndian.Uint16(raw[2*i:]))
			}
		}
	}
	return func(dst []int32, raw []byte) {
		for i := range dst {
			dst[i] = int32(binary.LittleEndian.Uint32(raw[4*i:]))
		}
	}
}

// newBatch returns a batch with room for rows records of m and lanes lanes.
func newBatch(m *shard.Manifest, rows, lanes int) *nn.Batch {
	b := &nn.Batch{
		Lanes:   make([]int, 0, lanes),
		Rows:    make([]int, 0, lanes+1),
		Records: make([]int64, 0, rows),
	}
	for _, p := range m.Planes {
		switch p.Role {
		case shard.RoleX:
			b.X = make([]float32, rows*p.Count)
		case shard.RoleTokens:
			b.Tokens = make([]int32, rows*p.Count)
		case shard.RoleClass:
			b.Classes = make([]int32, rows*p.Count)
		case shard.RoleY:
			b.Y = make([]float32, rows*p.Count)
		case shard.RoleWeight:
			b.Weights = make([]float32, rows)
		}
	}
	return b
}

// resize sets the lengths of a batch of newBatch to rows.
func resize(b *nn.Batch, m *shard.Manifest, rows int) {
	for _, p := range m.Planes {
		switch p.Role {
		case shard.RoleX:
			b.X = b.X[:rows*p.Count]
		case shard.RoleTokens:
			b.Tokens = b.Tokens[:rows*p.Count]
		case shard.RoleClass:
			b.Classes = b.Classes[:rows*p.Count]
		case shard.RoleY:
			b.Y = b.Y[:rows*p.Count]
		case shard.RoleWeight:
			b.Weights = b.Weights[:rows]
		}
	}
}
