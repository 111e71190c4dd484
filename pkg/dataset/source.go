package dataset

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/lockstep-ml/lockstep/internal/philox"
)

// splitPurpose draws which records a fraction sets aside. Its value is part of
// every result.
const splitPurpose philox.Purpose = 0x4000 << 16

// split is one set of records: where they are and which of them count.
type split struct {
	path  string // the field of the job, for errors: "data.train"
	files Files
	part  part
	// unlabelled records are to be predicted: of their planes only the inputs are
	// read, and targets need not be there.
	unlabelled bool
}

// part says which records of the files belong to a split.
type part struct {
	skip, take int64
	fraction   float64 // 0: all
	seed       uint64
	aside      bool // the records that the fraction sets aside, or the others
}

// splits returns the training and the test split of a spec; ok is false without a
// test split.
func (s *Spec) splits() (train, test split, ok bool) {
	train = split{path: "data.train", files: s.Train, part: part{skip: s.Train.Skip, take: s.Train.Take}}
	if s.Test.IsZero() {
		return train, test, false
	}
	if s.Test.Fraction == 0 {
		test = split{path: "data.test", files: s.Test, part: part{skip: s.Test.Skip, take: s.Test.Take}}
		return train, test, true
	}
	train.part.fraction, train.part.seed = s.Test.Fraction, s.Test.Seed
	test = train
	test.part.aside = true
	return train, test, true
}

// keep reports whether record i of the files is in the part, picked at random.
func (p part) keep(i int64) bool {
	if i < p.skip || p.take > 0 && i-p.skip >= p.take {
		return false
	}
	if p.fraction == 0 {
		return true
	}
	u := philox.New(p.seed, splitPurpose, 0, 0, 0).Float32(uint64(i))
	return (float64(u) < p.fraction) == p.aside
}

// cut returns the run of n records that is the part, if the fraction sets aside
// the last ones.
func (p part) cut(n int64) (lo, hi int64) {
	lo, hi = min(p.skip, n), n
	if p.take > 0 {
		hi = min(n, lo+min(p.take, n))
	}
	if p.fraction == 0 {
		return lo, hi
	}
	border := hi - int64(float64(hi-lo)*p.fraction+0.5)
	if p.aside {
		return border, hi
	}
	return lo, border
}

// source is an open data file.
type source struct {
	f          *os.File
	path, name string // the field and the file as the job names it
	size       int64  // bytes on disk
	packed     bool   // by gzip
}

// open opens the file that field of the job names.
func (e *env) open(field, name string) (*source, error) {
	full := fileOf(e.root, name)
	s := &source{path: field, name: name}
	f, err := os.Open(full)
	if err != nil {
		return nil, s.cannotOpen(full, err)
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = errors.New("not a file")
	}
	if err != nil {
		f.Close()
		return nil, s.cannotOpen(full, err)
	}
	s.f, s.size = f, info.Size()
	var magic [2]byte
	n, err := f.ReadAt(magic[:], 0)
	if err != nil && err != io.EOF {
		f.Close()
		return nil, s.cannotOpen(full, err)
	}
	s.packed = n == 2 && magic == [2]byte{0x1f, 0x8b}
	return s, nil
}

func (s *source) cannotOpen(full string, err error) error {
	e := s.bad("cannot be opened: %v", err)
	if errors.Is(err, fs.ErrNotExist) {
		if e.Msg = "no such file"; full != s.name {
			e.Msg += ": " + full + "; paths are relative to the data root, which is the job file's directory unless given"
		}
	}
	e.Err = err
	return e
}

// Close closes the file.
func (s *source) Close() error { return s.f.Close() }

// reader returns the unpacked bytes from the beginning. It stops when ctx ends.
func (s *source) reader(ctx context.Context) (*bufio.Reader, error) {
	raw := io.Reader(&stopReader{ctx: ctx, r: io.NewSectionReader(s.f, 0, s.size)})
	if !s.packed {
		return bufio.NewReaderSize(raw, 1<<18), nil
	}
	z, err := gzip.NewReader(bufio.NewReaderSize(raw, 1<<16))
	if err != nil {
		return nil, s.unreadable(err)
	}
	return bufio.NewReaderSize(z, 1<<16), nil
}

// unreadable makes an Error of a failed read.
func (s *source) unreadable(err error) error {
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("%s: %w", s.name, err)
	}
	e := s.bad("cannot be read: %v", err)
	if s.packed {
		e.Msg = fmt.Sprintf("is not a whole gzip file (%v); copy it again", err)
	}
	e.Err = err
	return e
}

// bad returns an Error about the file.
func (s *source) bad(format string, args ...any) *Error {
	return &Error{Path: s.path, File: s.name, Msg: fmt.Sprintf(format, args...)}
}

// badRecord returns an Error about a record.
func (s *source) badRecord(record int64, format string, args ...any) *Error {
	e := s.bad(format, args...)
	e.Record, e.HasRecord = record, true
	return e
}

// badLine returns an Error about a line.
func (s *source) badLine(line int, format string, args ...any) *Error {
	e := s.bad(format, args...)
	e.Line = line
	return e
}

// stopReader ends with the context's error.
type stopReader struct {
	ctx context.Context
	r   io.Reader
}

func (s *stopReader) Read(p []byte) (int, error) {
	if err := s.ctx.Err(); err != nil {
		return 0, err
	}
	return s.r.Read(p)
}

// skipBOM skips a byte order mark, which some programs put before UTF-8.
func skipBOM(r *bufio.Reader) {
	if head, _ := r.Peek(3); bytes.Equal(head, []byte("\xef\xbb\xbf")) {
		_, _ = r.Discard(3) // it was peeked: it is there
	}
}

// fileOf returns where a file that the job names lies.
func fileOf(root, name string) string {
	name = filepath.FromSlash(name)
	if filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(root, name)
}
