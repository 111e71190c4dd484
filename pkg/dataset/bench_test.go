package dataset

import (
	"fmt"
	"testing"

	"github.com/lockstep-ml/lockstep/pkg/shard"
)

// The loader must never be what a step waits for: 300,000 images/s on one core.
func BenchmarkReadPixels(b *testing.B) {
	set := memorySet(b, 10000, 784)
	r := set.newReader()
	batch := newBatch(set.m, 1, 1)
	resize(batch, set.m, 1)
	b.SetBytes(4 * 784)
	for i := 0; b.Loop(); i++ {
		if err := r.read(batch, 0, int64(i*7919%10000)); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "records/s")
}

func BenchmarkLoader(b *testing.B) {
	set := memorySet(b, 10000, 784)
	d, err := shard.NewDealer(set.m, 1, 8, 256)
	if err != nil {
		b.Fatal(err)
	}
	l := set.Loader(b.Context(), d, []int{0, 1, 2, 3, 4, 5, 6, 7}, 0, 0, 2)
	defer l.Close()
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		batch, err := l.Next(b.Context())
		if err != nil {
			b.Fatal(err)
		}
		n += batch.Len()
	}
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "records/s")
}

// memorySet returns a verified set of n records of size bytes in memory.
func memorySet(tb testing.TB, n int64, size int) *Set {
	tb.Helper()
	mem := make([]byte, n*int64(size))
	for i := range mem {
		mem[i] = byte(i * 31)
	}
	labels := make([]byte, n)
	m := &shard.Manifest{Version: shard.Version, Format: "idx", Records: n, Window: 1 << 20,
		Shards: shard.Cut(n, int64(size)),
		Planes: []shard.Plane{{Role: shard.RoleX, Type: shard.U8, Count: size}, {Role: shard.RoleClass, Type: shard.U8, Count: 1}},
		Fit:    shard.Fit{Columns: []shard.Column{{Name: "grey", Type: "number", Scale: 255}}}}
	t := &table{records: n, planes: []tablePlane{{stride: int64(size), mem: mem}, {stride: 1, mem: labels}}}
	var err error
	for i := range m.Shards {
		if m.Shards[i].SHA256, _, err = t.checksum(m.Shards[i], nil); err != nil {
			tb.Fatal(err)
		}
	}
	return &Set{m: m, t: t, checked: newChecks(m)}
}

// What each augmentation costs for a record of 32x32 pixels in three colours.
func BenchmarkAugment(b *testing.B) {
	for i, n := range every() {
		b.Run(fmt.Sprintf("%s%d", n.Kind, i), func(b *testing.B) {
			set := augmented(b, imageSet(b, 64, 3, 32, 32), n)
			batch := newBatch(set.m, 64, 1)
			resize(batch, set.m, 64)
			set.augment.extend(batch)
			batch.Lanes, batch.Rows, batch.Records = []int{0}, []int{0, 64}, make([]int64, 64)
			m := &microBatch{spare: make([]float32, 3*32*32)}
			for b.Loop() {
				set.augment.vary(batch, m)
			}
			b.ReportMetric(b.Elapsed().Seconds()*1e9/float64(64*b.N), "ns/record")
		})
	}
}
