package shard

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// manifest returns a valid manifest of n records in shards of about per records.
func manifest(n, per, window int64) *Manifest {
	m := &Manifest{Version: Version, Format: "test", Records: n, Window: window,
		Planes: []Plane{{Role: RoleX, Type: U8, Count: 1}}}
	for at := int64(0); at < n; at += per {
		m.Shards = append(m.Shards, Shard{First: at, Records: min(per, n-at), SHA256: strings.Repeat("0", 64)})
	}
	return m
}

func dealer(t *testing.T, m *Manifest, lanes, batch int) *Dealer {
	t.Helper()
	d, err := NewDealer(m, 7, lanes, batch)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// Every record of every epoch is used exactly once, in lanes and steps of the
// stated sizes, whatever does not divide what.
func TestExactlyOnce(t *testing.T) {
	for _, c := range []struct {
		n, per, window int64
		lanes, batch   int
	}{
		{60000, 235, 1 << 20, 7, 250},
		{60000, 469, 1000, 7, 250},
		{60000, 60000, 1 << 20, 8, 128},
		{1001, 10, 16, 3, 50},
		{1001, 1, 5, 11, 11},
		{10, 3, 2, 8, 8},
		{5, 2, 100, 8, 100}, // fewer records than lanes
		{1, 1, 1, 1, 1},
		{97, 97, 7, 97, 200},
		{4096, 64, 64, 4, 64},
	} {
		t.Run(fmt.Sprintf("N=%d B=%d V=%d", c.n, c.batch, c.lanes), func(t *testing.T) {
			d := dealer(t, manifest(c.n, c.per, c.window), c.lanes, c.batch)
			for epoch := range 2 {
				checkEpoch(t, d, c.n, c.lanes, c.batch, epoch)
			}
		})
	}
}

func checkEpoch(t *testing.T, d *Dealer, n int64, lanes, batch, epoch int) {
	t.Helper()
	seen := make([]int, n)
	var buf []int64
	for step := range d.StepsPerEpoch() {
		want := int(min(int64(batch), n-int64(step)*int64(batch)))
		var total, least, most = 0, batch, 0
		for lane := range lanes {
			buf = d.MicroBatch(buf, epoch, step, lane)
			if len(buf) != d.LaneCount(step, lane) {
				t.Fatalf("step %d lane %d: %d records, LaneCount says %d", step, lane, len(buf), d.LaneCount(step, lane))
			}
			for _, r := range buf {
				seen[r]++
			}
			total += len(buf)
			least, most = min(least, len(buf)), max(most, len(buf))
		}
		if total != want || total != d.StepRecords(step) {
			t.Fatalf("step %d has %d records, want %d; StepRecords says %d", step, total, want, d.StepRecords(step))
		}
		if most-least > 1 || most > d.MaxLaneCount() {
			t.Fatalf("step %d: micro-batches of %d to %d records; MaxLaneCount says %d", step, least, most, d.MaxLaneCount())
		}
	}
	for r, uses := range seen {
		if uses != 1 {
			t.Fatalf("epoch %d: record %d used %d times", epoch, r, uses)
		}
	}
	for _, step := range []int{-1, d.StepsPerEpoch()} {
		if got := d.MicroBatch(nil, epoch, step, 0); len(got) != 0 {
			t.Errorf("step %d is outside the epoch but has records %v", step, got)
		}
	}
}

// A lane touches only the shards that LaneShards names, and lanes share at most
// the shard at a cut.
func TestLaneReadsOnlyItsShards(t *testing.T) {
	const n, per, lanes = 5000, 37, 7
	d := dealer(t, manifest(n, per, 64), lanes, 50)
	for epoch := range 3 {
		var named int
		for lane := range lanes {
			shards := d.LaneShards(epoch, lane)
			named += len(shards)
			touched := map[int]bool{}
			for step := range d.StepsPerEpoch() {
				for _, r := range d.MicroBatch(nil, epoch, step, lane) {
					touched[int(r/per)] = true
				}
			}
			for s := range touched {
				if !slices.Contains(shards, s) {
					t.Fatalf("epoch %d lane %d reads shard %d, LaneShards says %v", epoch, lane, s, shards)
				}
			}
			if len(touched) != len(shards) {
				t.Errorf("epoch %d lane %d: LaneShards names %d shards, %d are read", epoch, lane, len(shards), len(touched))
			}
		}
		if most := (n+per-1)/per + lanes - 1; named > most {
			t.Errorf("epoch %d: lanes read %d shards in all, want at most %d", epoch, named, most)
		}
	}
}

// The answer depends on the question alone, not on what was asked before.
func TestPure(t *testing.T) {
	m := manifest(3000, 11, 100)
	warm := dealer(t, m, 5, 64)
	for _, q := range [][3]int{{0, 0, 0}, {2, 46, 3}, {0, 1, 0}, {1, 20, 4}, {2, 3, 3}, {0, 0, 0}} {
		got := warm.MicroBatch(nil, q[0], q[1], q[2])
		fresh := dealer(t, m, 5, 64).MicroBatch(nil, q[0], q[1], q[2])
		if diff := cmp.Diff(fresh, got); diff != "" {
			t.Errorf("%v: asked late (-fresh +late):\n%s", q, diff)
		}
	}
}

func TestSeedAndEpochMatter(t *testing.T) {
	m := manifest(3000, 11, 100)
	a, _ := NewDealer(m, 1, 2, 64)
	b, _ := NewDealer(m, 2, 2, 64)
	first := a.MicroBatch(nil, 0, 0, 0)
	if slices.Equal(first, b.MicroBatch(nil, 0, 0, 0)) {
		t.Error("two seeds deal the same records")
	}
	if slices.Equal(first, a.MicroBatch(nil, 1, 0, 0)) {
		t.Error("two epochs deal the same records")
	}
}

// The order is part of every result: it must not change between versions.
func TestOrderIsFixed(t *testing.T) {
	d := dealer(t, manifest(20, 4, 5), 3, 7)
	var got strings.Builder
	for step := range d.StepsPerEpoch() {
		for lane := range 3 {
			fmt.Fprint(&got, d.MicroBatch(nil, 0, step, lane))
		}
		fmt.Fprintln(&got)
	}
	const want = "[3 1 2][8 9][6 17]\n[0 12][11 10 15][7 18]\n[13 14][4 5][16 19]\n"
	if diff := cmp.Diff(want, got.String()); diff != "" {
		t.Errorf("order (-want +got):\n%s", diff)
	}
}

func TestSequential(t *testing.T) {
	d, err := Sequential(manifest(10, 4, 3), 3, 6)
	if err != nil {
		t.Fatal(err)
	}
	var got strings.Builder
	for step := range d.StepsPerEpoch() {
		for lane := range 3 {
			fmt.Fprint(&got, d.MicroBatch(nil, 4, step, lane))
		}
		fmt.Fprintln(&got)
	}
	const want = "[0 1][4 5][7 8]\n[2 3][6][9]\n"
	if diff := cmp.Diff(want, got.String()); diff != "" {
		t.Errorf("order (-want +got):\n%s", diff)
	}
	if d.Endless() {
		t.Error("an evaluation is endless")
	}
}

func TestDealerRefuses(t *testing.T) {
	m := manifest(10, 4, 3)
	for _, c := range []struct{ lanes, batch int }{{0, 5}, {-1, 5}, {8, 7}} {
		if _, err := NewDealer(m, 0, c.lanes, c.batch); err == nil {
			t.Errorf("lanes %d, batch %d: accepted", c.lanes, c.batch)
		}
	}
	m.Shards[1].First++
	if _, err := NewDealer(m, 0, 2, 5); err == nil {
		t.Error("a manifest with a gap was accepted")
	}
}

func FuzzExactlyOnce(f *testing.F) {
	f.Add(uint16(100), uint8(7), uint8(9), uint8(3), uint8(10))
	f.Fuzz(func(t *testing.T, n uint16, per, window, lanes, batch uint8) {
		records := int64(n%2000) + 1
		v := int(lanes%17) + 1
		m := manifest(records, int64(per)+1, int64(window)+1)
		checkEpoch(t, dealer(t, m, v, v+int(batch)), records, v, v+int(batch), 1)
	})
}

func BenchmarkMicroBatch(b *testing.B) {
	d, err := NewDealer(manifest(60000, 469, 1<<20), 1, 8, 256)
	if err != nil {
		b.Fatal(err)
	}
	var buf []int64
	for i := 0; b.Loop(); i++ {
		buf = d.MicroBatch(buf, 0, i%d.StepsPerEpoch(), i%8)
	}
}
