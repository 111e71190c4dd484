package tensor

import (
	"math"
	"unsafe"

	"github.com/lockstep-ml/lockstep/internal/philox"
)

// portable is the implementation in plain Go, for machines without the assembly.
func portable() *kernels {
	k := &kernels{name: "portable", width: 4, rows: 4, masks: counts(), masks8: counts()}
	for v := range k.tile {
		for r := range k.rows {
			k.tile[v] = append(k.tile[v], func(t *tile) { t.run(r+1, v+1) })
			k.lane[v] = append(k.lane[v], func(t *tile) { t.runLanes(r+1, v+1) })
		}
	}
	k.narrow = [][]func(*narrow){{(*narrow).run}}
	for r := range k.rows {
		k.weight[0] = append(k.weight[0], func(g *weigh) { g.run(r+1, 1) })
		k.weight[1] = append(k.weight[1], func(g *weigh) { g.run(r+1, 2) })
		k.weight[2] = append(k.weight[2], func(g *weigh) { g.run(3*r+3, 1) })
	}
	for v := range k.copy {
		k.copy[v] = func(p *pack) { p.copyRows(v + 1) }
	}
	k.panels = (*pack).panels
	k.sum64, k.squares64 = (*vector).sum64, (*vector).squares64
	k.columns, k.columnProducts = (*vector).columns, (*vector).columnProducts
	k.line = [2]func(*pack){func(p *pack) { p.copyLines(8) }, func(p *pack) { p.copyLines(16) }}
	k.transpose, k.taps, k.gather = (*pack).transpose, (*pack).taps, (*pack).gather
	k.peak, k.vectors, k.philox = (*pack).peak, vectors_portable(), (*vector).philox
	return k
}

// counts are masks that are numbers.
func counts() *[17]unsafe.Pointer {
	m := new([17]unsafe.Pointer)
	for n := range m {
		m[n] = unsafe.Pointer(&[]int{n}[0])
	}
	return m
}

func at32(p unsafe.Pointer, offset uintptr) *float32 { return (*float32)(unsafe.Add(p, offset)) }

// columns is how many columns of a tile exist.
func (t *tile) columns(vecs int) int {
	if t.mask == nil {
		return 4 * vecs
	}
	return 4*(vecs-1) + *(*int)(t.mask)
}

// run computes every element of the panels; see kernels.tile.
func (t *tile) run(rows, vecs int) {
	n := t.columns(vecs)
	for i := range t.panels * rows {
		p, r := uintptr(i/rows), uintptr(i%rows)
		c := unsafe.Slice((*float32)(unsafe.Add(t.c, p*t.cNext+r*t.cRow)), n)
		for v := 0; v < n; v += 4 {
			var s [4]float32
			if t.load != 0 {
				copy(s[:], c[v:])
			}
			t.chains(&s, p*t.aNext+r*t.aRow, p*t.bNext+uintptr(4*v), t.k)
			for j := v; j < min(v+4, n); j++ {
				c[j] = t.end(s[j-v], p*t.colBiasNext+uintptr(4*j), p*t.rowBiasNext+4*r)
			}
		}
	}
}

// end adds the biases to an element, which lie so far in those, and applies max(0, x).
func (t *tile) end(s float32, col, row uintptr) float32 {
	if t.colBias != nil {
		s += *at32(t.colBias, col)
	}
	if t.rowBias != nil {
		s += *at32(t.rowBias, row)
	}
	if t.relu != 0 {
		s = max32(0, s)
	}
	return s
}

// chains goes on with four chains of one row over k steps, from places a and b.
// float64 holds every float32 sum, so that only the rounding is left of the
// conversions.
func (t *tile) chains(s *[4]float32, a, b uintptr, k int) {
	s0, s1, s2, s3 := float64(s[0]), float64(s[1]), float64(s[2]), float64(s[3])
	for range k {
		v, w := float64(*at32(t.a, a)), (*[4]float32)(unsafe.Add(t.b, b))
		s0 = add32(float64(v*float64(w[0])), s0)
		s1 = add32(float64(v*float64(w[1])), s1)
		s2 = add32(float64(v*float64(w[2])), s2)
		s3 = add32(float64(v*float64(w[3])), s3)
		a, b = a+t.aCol, b+t.bRow
	}
	*s = [4]float32{float32(s0), float32(s1), float32(s2), float32(s3)}
}

// run computes one column of panels of one row; see kernels.narrow.
func (n *narrow) run() {
	for i := range uintptr(n.panels) {
		var p [sums]float32
		for at := 0; at < n.whole; at += 4 * sums {
			n.add(&p, i*n.aRow, uintptr(at), sums)
		}
		if n.mask != nil {
			n.add(&p, i*n.aRow, uintptr(n.whole), *(*int)(n.mask)+*(*int)(n.mask2))
		}
		c := at32(n.c, i*n.cRow)
		t := tile{colBias: n.bias, relu: n.relu}
		s := tree(&p)
		if n.load != 0 {
			s = *c + s
		}
		*c = t.end(s, 0, 0)
	}
}

// add goes on with the partial sums of one row.
func (n *narrow) add(p *[sums]float32, a, at uintptr, ks int) {
	for k := range p {
		var x, y float32
		if k < ks {
			x, y = *at32(n.a, a+at+uintptr(4*k)), *at32(n.b, uintptr(*(*int64)(n.bRows))+at+uintptr(4*k))
		}
		p[k] = fma32(x, y, p[k])
	}
}

// run goes on with every sum; see kernels.weight.
func (g *weigh) run(taps, vecs int) {
	t := tile{a: g.image, aCol: 4, b: g.dy, bRow: uintptr(16 * vecs)}
	for i := range taps * vecs {
		s := (*[4]float32)(unsafe.Add(g.sums, 16*i))
		if g.load == 0 {
			*s = [4]float32{}
		}
		x, dy := int(*(*int32)(unsafe.Add(g.offsets, 4*(i/vecs)))), uintptr(16*(i%vecs))
		for range g.images {
			for range g.lines {
				t.chains(s, uintptr(x), dy, g.line/4)
				x, dy = x+g.line+g.lineGap, dy+uintptr(4*g.line*vecs)
			}
			x += g.imageGap
		}
	}
}

// runLanes computes every element of the panels for each lane; see kernels.lane.
func (t *tile) runLanes(rows, vecs int) {
	n := t.columns(vecs)
	sizes := unsafe.Slice((*int)(t.laneSize), t.lanes)
	tops := unsafe.Slice((*[16]uint32)(t.laneMax), t.lanes)
	scale := math.Float32frombits(uint32(t.scale))
	for i := range t.panels * rows {
		p, r := uintptr(i/rows), uintptr(i%rows)
		c := unsafe.Slice((*int32)(unsafe.Add(t.c, p*t.cNext+r*t.cRow)), n)
		for v := 0; v < n; v += 4 {
			a, b := p*t.aNext+r*t.aRow, p*t.bNext+uintptr(4*v)
			for l, size := range sizes {
				var s [4]float32
				t.chains(&s, a, b, size)
				a, b = a+uintptr(size)*t.aCol, b+uintptr(size)*t.bRow
				for j := v; j < min(v+4, n); j++ {
					g := s[j-v]
					tops[l][0] = max(tops[l][0], math.Float32bits(g)&^(1<<31))
					c[j] += roundInt(g * scale)
				}
			}
		}
	}
}

func (p *pack) copyRows(vecs int) {
	n := 8*(vecs-1) + *(*int)(p.mask)
	for i := range uintptr(p.n) {
		dst := unsafe.Slice((*float32)(unsafe.Add(p.dst, i*p.dstStep)), 8*vecs)
		clear(dst[copy(dst, unsafe.Slice((*float32)(unsafe.Add(p.src, i*p.srcStep)), n)):])
	}
}

func (p *pack) panels() {
	for i := range uintptr(p.n) {
		for j := range uintptr(p.first) {
			*(*[8]float32)(unsafe.Add(p.dst, j*p.dstStep+32*i)) = *(*[8]float32)(unsafe.Add(p.src, i*p.srcStep+32*j))
		}
	}
}

func (p *pack) transpose() {
	rows := (*[8]unsafe.Pointer)(p.rows)
	for k := range uintptr(p.n) {
		dst := (*[8]float32)(unsafe.Add(p.dst, k*p.dstStep))
		for j := range dst {
			dst[j] = *at32(rows[j], 4*k)
		}
	}
}

func (p *pack) taps() {
	mask, mask2 := (*[8]int32)(p.mask), (*[8]int32)(p.mask2)
	for k, offset := range unsafe.Slice((*int32)(p.offsets), p.n) {
		dst := (*[8]float32)(unsafe.Add(p.dst, uintptr(k)*p.dstStep))
		for j := range dst {
			switch {
			case mask[j] != 0:
				dst[j] = *at32(p.src, uintptr(p.first+int(offset)+4*j))
			case mask2[j] != 0:
				dst[j] = *at32(p.src, uintptr(p.second+int(offset)+4*j))
			default:
				dst[j] = 0
			}
		}
	}
}

func (p *pack) copyLines(cols int) {
	for k, offset := range unsafe.Slice((*int32)(p.offsets), p.n) {
		dst := unsafe.Slice((*float32)(unsafe.Add(p.dst, uintptr(k)*p.dstStep)), cols)
		copy(dst, unsafe.Slice(at32(p.src, uintptr(p.first+int(offset))), cols))
	}
}

func (p *pack) gather() {
	columns := (*[8]int32)(p.columns)
	for k, offset := range unsafe.Slice((*int32)(p.offsets), p.n) {
		dst := (*[8]float32)(unsafe.Add(p.dst, uintptr(k)*p.dstStep))
		for j, c := range columns {
			dst[j] = *at32(p.src, uintptr(offset+c))
		}
	}
}

func (p *pack) peak() {
	s := [4]float64{}
	for range p.n {
		for range 24 {
			s[0], s[1], s[2], s[3] = add32(1, s[0]), add32(1, s[1]), add32(1, s[2]), add32(1, s[3])
		}
	}
	p.first = int(s[0] + s[1] + s[2] + s[3])
}

func (v *vector) philox() {
	stream := philox.Stream{Key: [2]uint32{uint32(v.s0), uint32(v.s1)}, Step: [2]uint32{uint32(v.s3), uint32(v.s4)}}
	blocks := unsafe.Slice((*[4]uint32)(v.p), 8*v.n)
	for i := range blocks {
		blocks[i] = stream.Block(v.s2 + uint64(i))
	}
}

func (v *vector) sum64() {
	p := (*[sums]float64)(v.p)
	for i, x := range unsafe.Slice((*float32)(v.x), sums*v.n) {
		p[i%sums] += float64(x)
	}
}

func (v *vector) squares64() {
	p := (*[sums]float64)(v.p)
	for i, x := range unsafe.Slice((*float32)(v.x), sums*v.n) {
		p[i%sums] += float64(float64(x) * float64(x))
	}
}

func (v *vector) columns() {
	p := unsafe.Slice((*float32)(v.p), v.n)
	for r := range uintptr(v.s1) {
		for i, x := range unsafe.Slice((*float32)(unsafe.Add(v.x, r*uintptr(v.s0))), v.n) {
			p[i] += x
		}
	}
}

func (v *vector) columnProducts() {
	p := unsafe.Slice((*float32)(v.p), v.n)
	for r := range uintptr(v.s1) {
		y := unsafe.Slice((*float32)(unsafe.Add(v.y, r*uintptr(v.s0))), v.n)
		for i, x := range unsafe.Slice((*float32)(unsafe.Add(v.x, r*uintptr(v.s0))), v.n) {
			p[i] += float32(x * y[i])
		}
	}
}
