package shard

import (
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestManifestRoundTrip(t *testing.T) {
	fill := 2.5
	m := manifest(10, 4, 3)
	m.Input = Input{Shape: []int{1, 28, 28}, Target: Target{Kind: Class, Classes: 10}}
	m.Fit = Fit{Columns: []Column{{Name: "a", Type: "number", Shift: 1, Scale: 0.1, Fill: &fill}}, Classes: []string{"x", "y"}}
	got, err := Decode(m.Encode())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(m, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got.Digest() != m.Digest() {
		t.Error("digest changed on the way")
	}
	m.Shards[0].SHA256 = strings.Repeat("1", 64)
	if got.Digest() == m.Digest() {
		t.Error("another checksum, the same digest")
	}
}

func TestManifestValidate(t *testing.T) {
	for name, c := range map[string]struct {
		spoil func(*Manifest)
		want  string
	}{
		"version":  {func(m *Manifest) { m.Version = 2 }, "version 2"},
		"records":  {func(m *Manifest) { m.Records = 11 }, "shards hold 10 records of 11"},
		"overflow": {func(m *Manifest) { m.Records = 1 << 40 }, "must be 1 to"},
		"window":   {func(m *Manifest) { m.Window = 0 }, "window 0"},
		"gap":      {func(m *Manifest) { m.Shards[1].First = 5 }, "shard 1"},
		"empty":    {func(m *Manifest) { m.Shards[0].Records = 0 }, "shard 0"},
		"checksum": {func(m *Manifest) { m.Shards[2].SHA256 = "zz" }, "hex digits"},
		"type":     {func(m *Manifest) { m.Planes[0].Type = "f99" }, "unknown type"},
		"count":    {func(m *Manifest) { m.Planes[0].Count = -1 }, "plane 0"},
		"twice":    {func(m *Manifest) { m.Planes = append(m.Planes, m.Planes[0]) }, "second of its role"},
		"no input": {func(m *Manifest) { m.Planes[0].Role = RoleY }, "no input"},
		"scale":    {func(m *Manifest) { m.Fit.Target = []Column{{Name: "p", Scale: math.NaN()}} }, `"p"`},
	} {
		m := manifest(10, 4, 3)
		c.spoil(m)
		if err := m.Validate(); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q in it", name, err, c.want)
		}
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(manifest(10, 4, 3).Encode())
	f.Add([]byte(`{"version":1,"records":-1}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := Decode(data)
		if err != nil {
			return
		}
		if d, err := NewDealer(m, 1, 2, 8); err == nil {
			d.MicroBatch(nil, 0, 0, 1)
		}
	})
}

func TestCut(t *testing.T) {
	for _, c := range []struct {
		records, bytes int64
		shards         int
	}{
		{60000, 785, 129}, {10000, 785, 129}, {1500, 785, 75}, {10, 4, 1},
		{3, 100 << 20, 3}, {1 << 20, 1 << 20, 1 << 14}, {0, 5, 0},
	} {
		s := Cut(c.records, c.bytes)
		if len(s) != c.shards {
			t.Errorf("Cut(%d, %d): %d shards, want %d", c.records, c.bytes, len(s), c.shards)
		}
		var next int64
		for _, x := range s {
			if x.First != next || x.Records < 1 || x.Records > s[0].Records || x.Records < s[0].Records-1 {
				t.Fatalf("Cut(%d, %d): shard %+v after %d", c.records, c.bytes, x, next)
			}
			next += x.Records
		}
		if next != c.records {
			t.Errorf("Cut(%d, %d) covers %d", c.records, c.bytes, next)
		}
	}
}

func TestAssignLanes(t *testing.T) {
	inf, nan := math.Inf(1), math.NaN()
	for _, c := range []struct {
		lanes, size int
		speeds      []float64
		want        [][]int
	}{
		{8, 3, nil, [][]int{{0, 1, 2}, {3, 4, 5}, {6, 7}}},
		{8, 1, nil, [][]int{{0, 1, 2, 3, 4, 5, 6, 7}}},
		{6, 2, []float64{200, 100}, [][]int{{0, 1, 2, 3}, {4, 5}}},
		{4, 2, []float64{1e9, 1}, [][]int{{0, 1, 2}, {3}}},
		{4, 2, []float64{nan, 5}, [][]int{{0, 1}, {2, 3}}},
		{4, 2, []float64{inf, -3}, [][]int{{0, 1}, {2, 3}}},
		{4, 2, []float64{math.MaxFloat64, math.MaxFloat64}, [][]int{{0, 1}, {2, 3}}},
		{2, 3, nil, [][]int{{0}, {1}, {}}},
		{3, 0, nil, nil},
	} {
		if diff := cmp.Diff(c.want, AssignLanes(c.lanes, c.size, c.speeds)); diff != "" {
			t.Errorf("AssignLanes(%d, %d, %v) (-want +got):\n%s", c.lanes, c.size, c.speeds, diff)
		}
	}
}
