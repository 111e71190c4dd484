package checkpoint

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func mustSave(t *testing.T, dir string, s *State) Entry {
	t.Helper()
	e, err := Save(dir, "digits-1", s)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func names(t *testing.T, dir string) []string {
	t.Helper()
	files, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	list := []string{}
	for _, f := range files {
		list = append(list, f.Name())
	}
	return list
}

func TestSaveAndLatest(t *testing.T) {
	dir := t.TempDir()
	for _, c := range []Cursor{{0, 9}, {1, 0}, {0, 10}} {
		mustSave(t, dir, sample(c.Epoch, c.Step))
	}
	s, e, skipped, err := Latest(dir, "digits-1")
	if err != nil || len(skipped) > 0 {
		t.Fatal(err, skipped)
	}
	if diff := cmp.Diff(sample(1, 0), s); diff != "" {
		t.Errorf("state (-want +got):\n%s", diff)
	}
	if want := filepath.Join(dir, "digits-1", "000001-000000000.safetensors"); e.Path != want || e.Cursor != (Cursor{1, 0}) {
		t.Errorf("entry %+v, want path %s", e, want)
	}
	list, err := List(dir, "digits-1")
	if err != nil {
		t.Fatal(err)
	}
	var cursors []Cursor
	for _, e := range list {
		cursors = append(cursors, e.Cursor)
	}
	if want := []Cursor{{1, 0}, {0, 10}, {0, 9}}; !slices.Equal(cursors, want) {
		t.Errorf("List gives %v, want %v", cursors, want)
	}
}

// Two workers with the same state have the same file.
func TestSaveIsDeterministic(t *testing.T) {
	a, b := mustSave(t, t.TempDir(), sample(1, 2)), mustSave(t, t.TempDir(), sample(1, 2))
	if a.SHA256 != b.SHA256 || a.Bytes != b.Bytes || len(a.SHA256) != 64 {
		t.Errorf("entries %+v and %+v", a, b)
	}
	text, err := os.ReadFile(a.Path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(text, encoded(t, sample(1, 2))) {
		t.Error("the file is not what Encode gives")
	}
}

func TestLatestSkipsDamaged(t *testing.T) {
	dir := t.TempDir()
	mustSave(t, dir, sample(0, 1))
	cut, swapped := mustSave(t, dir, sample(0, 3)), mustSave(t, dir, sample(0, 2))
	if err := os.Truncate(cut.Path, cut.Bytes-1); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(swapped.Path, encoded(t, sample(0, 1)), 0o644); err != nil {
		t.Fatal(err)
	}
	s, e, skipped, err := Latest(dir, "digits-1")
	if err != nil {
		t.Fatal(err)
	}
	if s == nil || s.Cursor != (Cursor{0, 1}) || e.Cursor != s.Cursor {
		t.Fatalf("got %+v, %+v; want the one of step 1", s, e)
	}
	if len(skipped) != 2 || skipped[0].Path != cut.Path || skipped[1].Path != swapped.Path {
		t.Fatalf("skipped %+v", skipped)
	}
	for i, want := range []string{"ends inside", "it is of epoch 0, step 1"} {
		if err := skipped[i].Reason; !errors.Is(err, ErrCorrupt) || !strings.Contains(err.Error(), want) {
			t.Errorf("reason %v, want %q", err, want)
		}
	}
}

func TestNoCheckpoint(t *testing.T) {
	dir := t.TempDir()
	s, e, skipped, err := Latest(dir, "digits-1")
	if s != nil || e != (Entry{}) || skipped != nil || err != nil {
		t.Errorf("got %v %v %v %v, want nothing", s, e, skipped, err)
	}
	jobs, err := Jobs(filepath.Join(dir, "none"))
	if jobs != nil || err != nil {
		t.Errorf("Jobs gives %v, %v", jobs, err)
	}
}

// fullDisk takes n bytes and no more.
type fullDisk struct {
	w    io.Writer
	left int
}

func (d *fullDisk) Write(p []byte) (int, error) {
	if len(p) > d.left {
		n, _ := d.w.Write(p[:d.left])
		d.left = 0
		return n, syscall.ENOSPC
	}
	d.left -= len(p)
	return d.w.Write(p)
}

// A disk that is full after any number of bytes leaves the earlier checkpoint
// as it is and nothing else, and saving works again once there is room.
func TestDiskFull(t *testing.T) {
	dir := t.TempDir()
	before := mustSave(t, dir, sample(0, 1))
	size := len(encoded(t, sample(0, 2)))
	for n := 0; n < size; n += 13 {
		_, err := save(dir, "digits-1", sample(0, 2), func(w io.Writer) io.Writer { return &fullDisk{w, n} })
		if !errors.Is(err, syscall.ENOSPC) || !strings.Contains(err.Error(), "digits-1 at epoch 0, step 2") {
			t.Fatalf("full after %d bytes: error %v", n, err)
		}
		if got := names(t, filepath.Join(dir, "digits-1")); len(got) != 1 {
			t.Fatalf("full after %d bytes: files %v", n, got)
		}
	}
	s, e, _, err := Latest(dir, "digits-1")
	if err != nil || s.Cursor != (Cursor{0, 1}) || e.Path != before.Path {
		t.Fatalf("latest %+v, %v", e, err)
	}
	mustSave(t, dir, sample(0, 2))
}

// What a crash left of a checkpoint, of any length, is neither listed nor kept.
func TestCrashWhileSaving(t *testing.T) {
	dir := t.TempDir()
	text := encoded(t, sample(0, 2))
	mustSave(t, dir, sample(0, 1))
	left := filepath.Join(dir, "digits-1", fileName(Cursor{0, 2})+partial)
	for n := 0; n <= len(text); n += 29 {
		if err := os.WriteFile(left, text[:n], 0o644); err != nil {
			t.Fatal(err)
		}
		s, _, skipped, err := Latest(dir, "digits-1")
		if err != nil || len(skipped) > 0 || s.Cursor != (Cursor{0, 1}) {
			t.Fatalf("%d bytes left: %+v, skipped %v, %v", n, s, skipped, err)
		}
	}
	mustSave(t, dir, sample(0, 3))
	if _, err := os.Stat(left); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the file of the crash is still there: %v", err)
	}
}

func TestPrune(t *testing.T) {
	dir := t.TempDir()
	for step := range 5 {
		mustSave(t, dir, sample(0, step))
	}
	other := filepath.Join(dir, "digits-1", "notes.txt")
	if err := os.WriteFile(other, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ keep, want int }{{9, 5}, {2, 2}, {0, 1}} {
		if err := Prune(dir, "digits-1", c.keep); err != nil {
			t.Fatal(err)
		}
		list, err := List(dir, "digits-1")
		if err != nil || len(list) != c.want || list[0].Cursor.Step != 4 {
			t.Errorf("keep %d: left %+v, %v; want the newest %d", c.keep, list, err, c.want)
		}
	}
	if _, err := os.Stat(other); err != nil {
		t.Errorf("a file that is not ours: %v", err)
	}
	jobs, err := Jobs(dir)
	if err != nil || !slices.Equal(jobs, []string{"digits-1"}) {
		t.Errorf("Jobs gives %v, %v", jobs, err)
	}
}

func TestJobNames(t *testing.T) {
	for _, job := range []string{"", ".", "..", "a/b", `a\b`, "c:", "a\x00b"} {
		if _, err := Save(t.TempDir(), job, sample(0, 0)); err == nil || !strings.Contains(err.Error(), "not the name of a job") {
			t.Errorf("job %q: error %v", job, err)
		}
		if _, err := List(t.TempDir(), job); err == nil {
			t.Errorf("job %q is listed", job)
		}
	}
}

func TestFileNames(t *testing.T) {
	for _, c := range []Cursor{{0, 0}, {1, 2}, {123456, 987654321}, {1234567, 1234567890}} {
		if got, ok := parseName(fileName(c)); !ok || got != c {
			t.Errorf("%v -> %s -> %v, %v", c, fileName(c), got, ok)
		}
	}
	for _, name := range []string{"", "x", "1-2.safetensors", "000001-000000002", "000001-000000002.safetensors.partial",
		"-00001-000000002.safetensors", "000001-000000002x.safetensors"} {
		if c, ok := parseName(name); ok {
			t.Errorf("%q is taken for the checkpoint of %v", name, c)
		}
	}
}

func TestUnwritableDirectory(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("a file in the way is reported differently on Windows")
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "digits-1"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Save(dir, "digits-1", sample(0, 0)); err == nil || !strings.Contains(err.Error(), "digits-1") {
		t.Errorf("error %v, want one that names the path", err)
	}
}

func TestModel(t *testing.T) {
	path := filepath.Join(t.TempDir(), "models", "digits-1.safetensors")
	tensors := sample(0, 0).Tensors[:1]
	metadata := map[string]string{"classes": "0,1"}
	saved, err := SaveModel(path, tensors, metadata)
	if err != nil {
		t.Fatal(err)
	}
	got, gotMetadata, loaded, err := LoadModel(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(tensors, got); diff != "" {
		t.Errorf("tensors (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(metadata, gotMetadata); diff != "" {
		t.Errorf("metadata (-want +got):\n%s", diff)
	}
	if saved != loaded || len(saved.SHA256) != 64 {
		t.Errorf("saved %+v, loaded %+v", saved, loaded)
	}
	if err := os.Truncate(path, saved.Bytes-1); err != nil {
		t.Fatal(err)
	}
	if _, _, _, err := LoadModel(path); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("a cut model: error %v, want one that names the file", err)
	}
}
