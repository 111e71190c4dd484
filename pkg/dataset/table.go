package dataset

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/lockstep-ml/lockstep/pkg/shard"
)

// memoryLimit is how many bytes the planes of a table may hold in memory before
// they go to files.
const memoryLimit = 64 << 20

// env is where a format finds files and keeps tables.
type env struct {
	root  string // of the paths in the job
	cache string // directory of kept tables; "": tables are not kept
	key   string // begins the names of kept tables
	limit int64  // bytes of memory that tables may still take
}

// table is all records of a split, readable at random.
type table struct {
	records int64
	planes  []tablePlane // in the manifest's order
	names   []string     // of the files of new records that have one each, or nil
}

// tablePlane is one plane of all records: record i at stride*i, in memory or in a
// file.
type tablePlane struct {
	name   string // the file to blame
	stride int64
	mem    []byte
	f      *os.File
	base   int64
	remove string // the file to remove when the table is closed, or ""
	kept   string // the file that later runs use again, or ""
}

// view returns the bytes of n records from first. It reads into scratch, which
// must have room, unless they are in memory.
func (p *tablePlane) view(scratch []byte, first, n int64) ([]byte, error) {
	if p.f == nil {
		return p.mem[first*p.stride : (first+n)*p.stride], nil
	}
	b := scratch[:n*p.stride]
	if _, err := p.f.ReadAt(b, p.base+first*p.stride); err != nil {
		if err == io.EOF {
			err = errors.New("the file became shorter")
		}
		return nil, &Error{File: p.name, Record: first, HasRecord: true, Err: err,
			Msg: fmt.Sprintf("cannot be read: %v; restore the file or submit the job again", err)}
	}
	return b, nil
}

// Close closes the table's files, and removes those that are not kept.
func (t *table) Close() error {
	var errs []error
	for _, p := range t.planes {
		if p.f != nil {
			errs = append(errs, p.f.Close())
		}
		if p.remove != "" {
			errs = append(errs, os.Remove(p.remove))
		}
	}
	return errors.Join(errs...)
}

// forget removes what later runs would use again, and reports whether anything was.
func (t *table) forget() bool {
	kept := false
	for _, p := range t.planes {
		kept = kept || p.kept != "" && os.Remove(p.kept) == nil
	}
	return kept
}

// sink takes a plane record by record and makes it readable at random.
type sink struct {
	env    *env
	name   string // the file to blame
	number int    // of the plane
	stride int64
	expect int64 // bytes to come, as far as is known
	buf    []byte
	f      *os.File
	w      *bufio.Writer
	n      int64
}

func (e *env) newSink(name string, number int, p shard.Plane) *sink {
	return &sink{env: e, name: name, number: number, stride: int64(p.Bytes())}
}

// Write takes the next bytes of the plane.
func (s *sink) Write(b []byte) (int, error) {
	s.n += int64(len(b))
	if s.f == nil && int64(len(b)) <= s.env.limit {
		s.env.limit -= int64(len(b))
		if s.buf == nil && s.expect <= s.env.limit {
			s.buf = make([]byte, 0, s.expect)
		}
		s.buf = append(s.buf, b...)
		return len(b), nil
	}
	if s.f == nil {
		if err := s.spill(); err != nil {
			return 0, s.failed(err)
		}
	}
	if _, err := s.w.Write(b); err != nil {
		return 0, s.failed(err)
	}
	return len(b), nil
}

// spill moves the plane to a file.
func (s *sink) spill() error {
	dir := s.env.directory()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	f, err := os.CreateTemp(dir, "lockstep-*.tmp")
	if err != nil {
		return err
	}
	s.f, s.w = f, bufio.NewWriterSize(f, 1<<18)
	s.env.limit += int64(len(s.buf))
	_, err = s.w.Write(s.buf)
	s.buf = nil
	return err
}

func (s *sink) failed(err error) error {
	return fmt.Errorf("%s: cannot write its table in %s: %w; free space there or choose another directory", s.name, s.env.directory(), err)
}

// finish returns the plane. The sink is used up.
func (s *sink) finish() (tablePlane, error) {
	p := tablePlane{name: s.name, stride: s.stride, mem: s.buf}
	if s.f == nil {
		return p, nil
	}
	err := errors.Join(s.w.Flush(), s.f.Close())
	from := s.f.Name()
	s.f = nil
	to := from
	if s.env.cache == "" {
		p.remove = from
	} else if err == nil {
		to = s.env.tableFile(s.number)
		p.kept = to
		if err = os.Rename(from, to); err != nil && s.env.kept(s.number, s.n) {
			err = os.Remove(from) // another process made the same table first
		}
	}
	if err == nil {
		p.f, err = os.Open(to)
	}
	if err != nil {
		_ = os.Remove(from) // may be gone; the error that counts is err
		return p, s.failed(err)
	}
	return p, nil
}

// drop throws an unfinished plane away.
func (s *sink) drop() {
	if s.f != nil {
		_ = s.f.Close() // nobody will read it
		_ = os.Remove(s.f.Name())
		s.f = nil
	}
}

// directory returns where tables that memory does not hold are written.
func (e *env) directory() string {
	if e.cache == "" {
		return os.TempDir()
	}
	return e.cache
}

// sweep removes what a process that was killed left half written. Nobody writes
// a table for a day.
func (e *env) sweep(now time.Time) {
	left, _ := filepath.Glob(filepath.Join(e.cache, "lockstep-*.tmp")) // the pattern is good
	for _, file := range left {
		if info, err := os.Stat(file); err == nil && now.Sub(info.ModTime()) > 24*time.Hour {
			_ = os.Remove(file) // it stays if it must; it is only space
		}
	}
}

// tableFile is where plane number is kept.
func (e *env) tableFile(number int) string {
	return filepath.Join(e.cache, fmt.Sprintf("%s-%d.table", e.key, number))
}

// kept reports whether plane number is kept and has size bytes. What is in it is
// checked by the shards' checksums.
func (e *env) kept(number int, size int64) bool {
	info, err := os.Stat(e.tableFile(number))
	return e.cache != "" && err == nil && info.Size() == size
}

// reuse opens the table that an earlier run kept for m, or returns nil.
func (e *env) reuse(m *shard.Manifest) *table {
	t := &table{records: m.Records}
	for i, p := range m.Planes {
		stride := int64(p.Bytes())
		if !e.kept(i, stride*m.Records) {
			break
		}
		f, err := os.Open(e.tableFile(i))
		if err != nil {
			break
		}
		t.planes = append(t.planes, tablePlane{name: e.tableFile(i), stride: stride, f: f, kept: e.tableFile(i)})
	}
	if len(t.planes) < len(m.Planes) {
		_ = t.Close() // opened for reading only
		return nil
	}
	return t
}

// fill makes a table of the records that produce puts: one slice a plane of m.
func (e *env) fill(name string, m *shard.Manifest, produce func(put func(planes ...[]byte) error) error) (*table, error) {
	sinks := make([]*sink, len(m.Planes))
	for i, p := range m.Planes {
		sinks[i] = e.newSink(name, i, p)
		defer sinks[i].drop()
	}
	t := &table{}
	err := produce(func(planes ...[]byte) error {
		t.records++
		if len(planes) != len(sinks) {
			return fmt.Errorf("data set: %s makes %d planes, the manifest has %d", name, len(planes), len(sinks))
		}
		for i, b := range planes {
			if int64(len(b)) != sinks[i].stride {
				return fmt.Errorf("data set: plane %d of %s has %d bytes a record, the manifest says %d", i, name, len(b), sinks[i].stride)
			}
			if _, err := sinks[i].Write(b); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	for _, s := range sinks {
		p, err := s.finish()
		if err != nil {
			return nil, errors.Join(err, t.Close())
		}
		t.planes = append(t.planes, p)
	}
	return t, nil
}
