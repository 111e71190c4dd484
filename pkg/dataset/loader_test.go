package dataset

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/lockstep-ml/lockstep/internal/rescue"
	"github.com/lockstep-ml/lockstep/pkg/nn"
	"github.com/lockstep-ml/lockstep/pkg/shard"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func dealer(tb testing.TB, m *shard.Manifest, lanes, batch int) *shard.Dealer {
	tb.Helper()
	d, err := shard.NewDealer(m, 5, lanes, batch)
	if err != nil {
		tb.Fatal(err)
	}
	return d
}

// copyOf returns what a batch holds: the loader uses it again.
func copyOf(b *nn.Batch) nn.Batch {
	c := *b
	c.Lanes, c.Rows, c.Records = slices.Clone(b.Lanes), slices.Clone(b.Rows), slices.Clone(b.Records)
	c.X, c.Classes = slices.Clone(b.X), slices.Clone(b.Classes)
	return c
}

// The batches are the dealer's records, epoch after epoch, lane by lane, with
// each row's own pixels and label.
func TestLoaderBatches(t *testing.T) {
	set := memorySet(t, 1000, 12)
	d := dealer(t, set.m, 7, 50)
	lanes := []int{1, 4, 5}
	l := set.Loader(t.Context(), d, lanes, 0, 18, 2)
	defer l.Close()
	for _, at := range [][2]int{{0, 18}, {0, 19}, {1, 0}, {1, 1}, {1, 2}} {
		b, err := l.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if b.Epoch != at[0] || b.Step != at[1] || !slices.Equal(b.Lanes, lanes) {
			t.Fatalf("batch of epoch %d step %d lanes %v, want %v", b.Epoch, b.Step, b.Lanes, at)
		}
		for i, lane := range lanes {
			want := d.MicroBatch(nil, at[0], at[1], lane)
			if diff := cmp.Diff(want, b.Records[b.Rows[i]:b.Rows[i+1]]); diff != "" {
				t.Fatalf("%v lane %d (-want +got):\n%s", at, lane, diff)
			}
		}
		for row, id := range b.Records {
			if want := float32(float64(set.t.planes[0].mem[id*12+3]) / 255); b.X[row*12+3] != want {
				t.Fatalf("row %d is not record %d", row, id)
			}
		}
	}
}

// A lane's rows do not depend on which other lanes are loaded.
func TestLoaderLanesAreIndependent(t *testing.T) {
	set := memorySet(t, 500, 6)
	d := dealer(t, set.m, 5, 33)
	load := func(lanes ...int) nn.Batch {
		l := set.Loader(t.Context(), d, lanes, 2, 3, 1)
		defer l.Close()
		b, err := l.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return copyOf(b)
	}
	whole := load(0, 1, 2, 3, 4)
	for lane := range 5 {
		one := load(lane)
		if diff := cmp.Diff(whole.X[whole.Rows[lane]*6:whole.Rows[lane+1]*6], one.X); diff != "" {
			t.Errorf("lane %d (-in all +alone):\n%s", lane, diff)
		}
	}
}

func TestLoaderEvaluates(t *testing.T) {
	set := memorySet(t, 103, 6)
	d, err := shard.Sequential(set.m, 4, 10)
	if err != nil {
		t.Fatal(err)
	}
	var seen []int64
	for _, lanes := range [][]int{{0, 3}, {1}, {2}} {
		l := set.Loader(t.Context(), d, lanes, 0, 0, 3)
		got, err := drain(t.Context(), l)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := l.Next(t.Context()); err != io.EOF {
			t.Errorf("after the end: %v, want io.EOF", err)
		}
		l.Close()
		seen = append(seen, got...)
	}
	slices.Sort(seen)
	for i, id := range seen {
		if int64(i) != id {
			t.Fatalf("record %d: evaluated %d", i, id)
		}
	}
	if len(seen) != 103 {
		t.Errorf("%d records evaluated of 103", len(seen))
	}
}

func TestLoaderStops(t *testing.T) {
	set := memorySet(t, 100, 6)
	d := dealer(t, set.m, 2, 10)
	ctx, cancel := context.WithCancel(t.Context())
	l := set.Loader(ctx, d, []int{0}, 0, 0, 1)
	if _, err := l.Next(t.Context()); err != nil {
		t.Fatal(err)
	}
	cancel()
	for range 4 { // what was read ahead may still come
		if _, err := l.Next(t.Context()); err != nil {
			if !errors.Is(err, context.Canceled) {
				t.Errorf("after cancel: %v", err)
			}
			break
		}
	}
	l.Close()
	l.Close() // twice is fine
	late, stop := context.WithTimeout(t.Context(), 0)
	defer stop()
	l = set.Loader(t.Context(), d, []int{0}, 0, 0, 1)
	defer l.Close()
	if _, err := l.Next(late); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("past its deadline: %v", err)
	}
	if _, err := l.Next(t.Context()); err != nil {
		t.Errorf("the loader did not survive a deadline of Next: %v", err)
	}
}

func TestLoaderRefuses(t *testing.T) {
	set := memorySet(t, 100, 6)
	d := dealer(t, set.m, 2, 10)
	other := dealer(t, memorySet(t, 99, 6).m, 2, 10)
	for name, l := range map[string]*Loader{
		"order":  set.Loader(t.Context(), d, []int{1, 0}, 0, 0, 1),
		"lane":   set.Loader(t.Context(), d, []int{2}, 0, 0, 1),
		"step":   set.Loader(t.Context(), d, []int{0}, 0, 11, 1),
		"dealer": set.Loader(t.Context(), other, []int{0}, 0, 0, 1),
	} {
		if _, err := l.Next(t.Context()); err == nil {
			t.Errorf("%s: accepted", name)
		}
		l.Close()
	}
}

func TestLoaderDoesNotAllocate(t *testing.T) {
	set := memorySet(t, 1000, 12)
	l := set.Loader(t.Context(), dealer(t, set.m, 4, 100), []int{0, 1, 2, 3}, 0, 0, 2)
	defer l.Close()
	next := func() {
		if _, err := l.Next(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	for range 20 { // windows and the order of shards have their room
		next()
	}
	// An epoch of 10 steps makes a new order of the shards: 3 allocations.
	if n := testing.AllocsPerRun(50, next); n > 1 {
		t.Errorf("%v allocations a step", n)
	}
}

// changed returns a data set, its manifest, and the path of its images.
func changed(t *testing.T, gz bool) (Spec, *shard.Manifest, string) {
	const n = 3000
	images, tags := idx(ramp(n*28), n, 4, 7), idx(labels(n, 4), n)
	if gz {
		images, tags = packed(images), packed(tags)
	}
	root := writeFiles(t, map[string][]byte{"images": images, "labels": tags})
	spec, m, _ := build(t, idxSection, root)
	return spec, m, root
}

// A file that changes after the job was submitted is noticed, and only by who
// reads the part that changed.
func TestChangedFile(t *testing.T) {
	spec, m, root := changed(t, false)
	file := filepath.Join(root, "images")
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	data[16+28*1500] ^= 1
	if err := os.WriteFile(file, data, 0o644); err != nil {
		t.Fatal(err)
	}
	set := open(t, spec, root, m, "")
	d, err := shard.Sequential(m, 10, 100)
	if err != nil {
		t.Fatal(err)
	}
	bad := 0
	for lane := range 10 {
		l := set.Loader(t.Context(), d, []int{lane}, 0, 0, 1)
		_, err := drain(t.Context(), l)
		l.Close()
		if err == nil {
			continue
		}
		bad++
		for _, want := range []string{"images: shard", "differs from what was submitted", "submit the job again"} {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%q lacks %q", err, want)
			}
		}
	}
	if bad == 0 || bad > 2 {
		t.Errorf("%d lanes of 10 noticed one changed record, want those of its shard", bad)
	}
}

func TestFileOfOtherLength(t *testing.T) {
	spec, m, root := changed(t, false)
	shorter := map[string][]byte{"images": idx(ramp(100*28), 100, 4, 7), "labels": idx(labels(100, 4), 100)}
	_, err := Open(t.Context(), spec, writeFiles(t, shorter), m, "")
	if err == nil || !strings.Contains(err.Error(), "has 100 records, but had 3000 when the job was submitted") {
		t.Errorf("%v", err)
	}
	_, err = Open(t.Context(), spec, t.TempDir(), m, "")
	var e *Error
	if !errors.As(err, &e) || e.Path != "data.train.images" || !errors.Is(err, os.ErrNotExist) {
		t.Errorf("missing file: %v", err)
	}
	if set, err := Open(t.Context(), spec, root, m, ""); err != nil {
		t.Errorf("the right files: %v", err)
	} else if err := set.Close(); err != nil {
		t.Error(err)
	}
}

// Without a cache directory a large table lies in a temporary file until it is
// closed; with one, what a killed process left is removed after a day.
func TestTemporaryTables(t *testing.T) {
	tmp := t.TempDir()
	t.Setenv("TMPDIR", tmp)
	t.Setenv("TMP", tmp) // Windows
	spec, m, root := changed(t, true)
	train, _, _ := spec.splits()
	table, err := spec.Options.load(t.Context(), &env{root: root}, train, m)
	if err != nil {
		t.Fatal(err)
	}
	files := func(dir string) int {
		names, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		return len(names)
	}
	if n := files(tmp); n != 2 {
		t.Errorf("%d temporary files for two planes", n)
	}
	if err := table.Close(); err != nil || files(tmp) != 0 {
		t.Errorf("after Close (%v) %d files are left", err, files(tmp))
	}
	cache := t.TempDir()
	left := filepath.Join(cache, "lockstep-1.tmp")
	if err := os.WriteFile(left, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	e := &env{cache: cache}
	if e.sweep(time.Now().Add(time.Hour)); files(cache) != 1 {
		t.Error("a table that may be in the making was removed")
	}
	if e.sweep(time.Now().Add(25 * time.Hour)); files(cache) != 0 {
		t.Error("a table that nobody makes was left")
	}
}

// A table too large for memory goes to a file, which the next run uses again, and
// whose damage is noticed.
func TestSpilledTable(t *testing.T) {
	spec, m, root := changed(t, true)
	cache := t.TempDir()
	e := &env{root: root, cache: cache, key: m.Digest()[:32], limit: 5000}
	train, _, _ := spec.splits()
	table, err := spec.Options.load(t.Context(), e, train, m)
	if err != nil {
		t.Fatal(err)
	}
	if err := table.Close(); err != nil {
		t.Fatal(err)
	}
	kept, err := filepath.Glob(filepath.Join(cache, "*"))
	if err != nil || len(kept) != 1 || !strings.HasSuffix(kept[0], "-0.table") {
		t.Fatalf("cache holds %v", kept)
	}
	e.limit = 5000
	table, err = spec.Options.load(t.Context(), e, train, m) // again, over the kept file
	if err != nil {
		t.Fatal(err)
	}
	set := &Set{m: m, t: table, checked: newChecks(m)}
	if got := all(t, set); got.X[30] != float32(float64(ramp(31)[30])/255) {
		t.Error("spilled pixels differ")
	}
	if err := set.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestReusedTable(t *testing.T) {
	spec, m, root := changed(t, true)
	cache := t.TempDir()
	e := &env{root: root, cache: cache, key: m.Digest()[:32], limit: 0}
	train, _, _ := spec.splits()
	table, err := spec.Options.load(t.Context(), e, train, m)
	if err != nil {
		t.Fatal(err)
	}
	if err := table.Close(); err != nil {
		t.Fatal(err)
	}
	images, away := filepath.Join(root, "images"), filepath.Join(root, "away")
	if err := os.Rename(images, away); err != nil {
		t.Fatal(err)
	}
	all(t, open(t, spec, root, m, cache)) // needs the kept tables alone
	file := e.tableFile(0)
	if err := os.WriteFile(file, make([]byte, 28*3000), 0o644); err != nil {
		t.Fatal(err)
	}
	set := open(t, spec, root, m, cache)
	err = set.newReader().read(newBatch(m, 1, 1), 0, 7)
	if err == nil || !strings.Contains(err.Error(), file) {
		t.Errorf("a damaged table: %v, want an error that names %s", err, file)
	}
	if err := os.Rename(away, images); err != nil {
		t.Fatal(err)
	}
	all(t, open(t, spec, root, m, cache)) // the damaged table is not used again
}

func TestOpenRefuses(t *testing.T) {
	spec, m, root := changed(t, false)
	for name, spoil := range map[string]func(*shard.Manifest){
		"format":  func(m *shard.Manifest) { m.Format = "csv" },
		"version": func(m *shard.Manifest) { m.Version = 9 },
		"plane":   func(m *shard.Manifest) { m.Planes = []shard.Plane{{Role: "x", Type: "u16", Count: 1}} },
		"columns": func(m *shard.Manifest) { m.Fit.Columns = nil },
		"split":   func(m *shard.Manifest) { m.Split = shard.Test },
		"planes":  func(m *shard.Manifest) { m.Planes = m.Planes[:1] },
	} {
		c := *m
		spoil(&c)
		set, err := Open(t.Context(), spec, root, &c, "")
		if err == nil {
			t.Errorf("%s: accepted", name)
			_ = set.Close()
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Nanosecond)
	defer cancel()
	<-ctx.Done()
	if _, _, err := Build(ctx, spec, root); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Build past its deadline: %v", err)
	}
}

// A panic on the loader's goroutine comes out of Next as an error.
func TestPanicWhileReading(t *testing.T) {
	_, m, root := changed(t, false)
	spec, _, _ := build(t, idxSection, root)
	set, err := Open(t.Context(), spec, root, m, "")
	if err != nil {
		t.Fatal(err)
	}
	defer set.Close()
	set.checked = nil // the first record that is read
	l := set.Loader(t.Context(), dealer(t, m, 2, 10), []int{0, 1}, 0, 0, 1)
	defer l.Close()
	var panicked *rescue.Error
	if _, err := l.Next(t.Context()); !errors.As(err, &panicked) {
		t.Errorf("%v, want a panic as an error", err)
	}
}
