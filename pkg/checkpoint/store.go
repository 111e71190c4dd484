package checkpoint

import (
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Entry is one checkpoint or model in a file.
type Entry struct {
	Path   string
	Cursor Cursor // of a checkpoint
	// SHA256 is the hex digest of the whole file. List, which does not read the
	// files, leaves it empty.
	SHA256 string
	Bytes  int64
}

// Skipped is a file that is not a whole checkpoint, and why.
type Skipped struct {
	Path   string
	Reason error
}

const extension = ".safetensors"

// Save writes the state to <dir>/<job>/ and returns when it is safe on the disk.
// A checkpoint of the same cursor is replaced. After an error (a full disk, say)
// earlier checkpoints are as they were and nothing of this one is left.
func Save(dir, job string, s *State) (Entry, error) {
	return save(dir, job, s, func(w io.Writer) io.Writer { return w })
}

// save is Save with a place for a test to make writing fail.
func save(dir, job string, s *State, through func(io.Writer) io.Writer) (Entry, error) {
	if err := checkJob(job); err != nil {
		return Entry{}, err
	}
	home := filepath.Join(dir, job)
	if err := makeDir(dir, home); err != nil {
		return Entry{}, fmt.Errorf("checkpoint of %s: %w", job, err)
	}
	removePartial(home)
	e := Entry{Path: filepath.Join(home, fileName(s.Cursor)), Cursor: s.Cursor}
	err := replaceFile(e.Path, func(w io.Writer) error {
		var err error
		e.SHA256, e.Bytes, err = Encode(through(w), s)
		return err
	})
	if err != nil {
		return Entry{}, fmt.Errorf("checkpoint of %s at %v: %w", job, s.Cursor, err)
	}
	return e, nil
}

// makeDir makes home inside dir, and makes its name safe.
func makeDir(dir, home string) error {
	if _, err := os.Stat(home); err == nil {
		return nil
	}
	if err := os.MkdirAll(home, 0o755); err != nil {
		return err
	}
	return syncDir(dir)
}

// removePartial removes what a crash left over. What it cannot remove does no
// harm: it is never read.
func removePartial(home string) {
	files, _ := filepath.Glob(filepath.Join(home, "*"+partial))
	for _, f := range files {
		os.Remove(f)
	}
}

// checkJob refuses names that would lead out of the directory.
func checkJob(job string) error {
	if job == "" || job == "." || job == ".." || strings.ContainsAny(job, `/\:`) || strings.ContainsRune(job, 0) {
		return fmt.Errorf("checkpoint: %q is not the name of a job", job)
	}
	return nil
}

func fileName(c Cursor) string {
	return fmt.Sprintf("%06d-%09d%s", c.Epoch, c.Step, extension)
}

func parseName(name string) (Cursor, bool) {
	var c Cursor
	base, ok := strings.CutSuffix(name, extension)
	if n, err := fmt.Sscanf(base, "%d-%d", &c.Epoch, &c.Step); !ok || n != 2 || err != nil || min(c.Epoch, c.Step) < 0 || fileName(c) != name {
		return Cursor{}, false
	}
	return c, true
}

// List returns the checkpoints of a job, newest first, by their names alone. A
// job without a directory has none.
func List(dir, job string) ([]Entry, error) {
	if err := checkJob(job); err != nil {
		return nil, err
	}
	home := filepath.Join(dir, job)
	files, err := os.ReadDir(home)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("checkpoints of %s: %w", job, err)
	}
	var entries []Entry
	for _, f := range files {
		c, ok := parseName(f.Name())
		info, err := f.Info()
		if !ok || err != nil || !info.Mode().IsRegular() {
			continue // not ours, or removed meanwhile
		}
		entries = append(entries, Entry{Path: filepath.Join(home, f.Name()), Cursor: c, Bytes: info.Size()})
	}
	slices.SortFunc(entries, func(a, b Entry) int {
		return cmp.Or(cmp.Compare(b.Cursor.Epoch, a.Cursor.Epoch), cmp.Compare(b.Cursor.Step, a.Cursor.Step))
	})
	return entries, nil
}

// Jobs returns the names of the jobs that have a directory in dir, sorted.
func Jobs(dir string) ([]string, error) {
	files, err := os.ReadDir(dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("checkpoints: %w", err)
	}
	var jobs []string
	for _, f := range files {
		if f.IsDir() {
			jobs = append(jobs, f.Name())
		}
	}
	return jobs, nil
}

// Load reads one checkpoint. The error wraps ErrCorrupt if the file is not a
// whole one.
func Load(path string) (*State, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("checkpoint: %w", err)
	}
	defer f.Close() // read only: nothing can be lost
	s, err := Decode(bufio.NewReaderSize(f, 64<<10))
	if err != nil {
		return nil, fmt.Errorf("checkpoint %s: %w", path, err)
	}
	return s, nil
}

// Latest returns the newest whole checkpoint of a job, and the newer files that
// it had to skip. The state is nil if there is none.
func Latest(dir, job string) (*State, Entry, []Skipped, error) {
	entries, err := List(dir, job)
	if err != nil {
		return nil, Entry{}, nil, err
	}
	var skipped []Skipped
	for _, e := range entries {
		s, err := Load(e.Path)
		if err == nil && s.Cursor != e.Cursor {
			err = fmt.Errorf("checkpoint %s: %w: it is of %v", e.Path, ErrCorrupt, s.Cursor)
		}
		if err == nil {
			return s, e, skipped, nil
		}
		skipped = append(skipped, Skipped{Path: e.Path, Reason: err})
	}
	return nil, Entry{}, skipped, nil
}

// Prune removes all but the newest keep checkpoints of a job, at least one. Call
// it after Save, which has shown that the newest is whole.
func Prune(dir, job string, keep int) error {
	entries, err := List(dir, job)
	if err != nil {
		return err
	}
	var errs []error
	for i := max(keep, 1); i < len(entries); i++ {
		if err := os.Remove(entries[i].Path); err != nil && !errors.Is(err, os.ErrNotExist) {
			errs = append(errs, fmt.Errorf("checkpoint: %w", err))
		}
	}
	return errors.Join(errs...)
}
