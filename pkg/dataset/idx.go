package dataset

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"math"
	"slices"

	"github.com/lockstep-ml/lockstep/pkg/shard"
)

// IDX is the format of the MNIST family: one file of images, one of labels, as
// bytes, packed by gzip or not.
type IDX struct {
	// Classes is the number of classes; 0 means the largest training label plus 1.
	Classes int
	Pixels
}

// idxFormat is the catalogue's entry.
func idxFormat() Format {
	return Format{
		Name:    "idx",
		Summary: "images and labels in two IDX files of bytes (MNIST and its family), .gz or not",
		Fields: append(append(filesFields("images", "labels"), pixelFields()...),
			Field{Name: "classes", Type: typeInt, Min: 1, Max: 256, Summary: "number of classes; otherwise the largest training label plus 1"}),
		decode: func(v values, bad func(field, format string, args ...any)) Options {
			return &IDX{Classes: int(v.int("classes")), Pixels: decodePixels(v, bad)}
		},
	}
}

func (o *IDX) fit(ctx context.Context, e *env, s split, m *shard.Manifest) (*table, error) {
	t, dims, err := o.open(ctx, e, s)
	if err != nil {
		return nil, err
	}
	m.Input.Shape = dims
	m.Planes = []shard.Plane{{Role: shard.RoleX, Type: shard.U8, Count: product(dims)}}
	if len(t.planes) > 1 {
		m.Planes = append(m.Planes, shard.Plane{Role: shard.RoleClass, Type: shard.U8, Count: 1})
		m.Input.Target = shard.Target{Kind: shard.Class, Classes: o.Classes}
	}
	if o.Classes == 0 && len(t.planes) > 1 {
		var most int
		most, _, err = mostLabel(t)
		m.Input.Target.Classes = most + 1
	}
	if err == nil {
		m.Fit.Columns, err = o.channels(t, dims)
	}
	if err == nil {
		err = o.check(t, dims, s, m)
	}
	if err != nil {
		return nil, errors.Join(err, t.Close())
	}
	return t, nil
}

func (o *IDX) inputs(m *shard.Manifest) (shard.Plane, error) {
	return shard.Plane{Role: shard.RoleX, Type: shard.U8, Count: product(m.Input.Shape)}, sameInput(m, m.Input.Shape, 0)
}

func (o *IDX) load(ctx context.Context, e *env, s split, m *shard.Manifest) (*table, error) {
	t, dims, err := o.open(ctx, e, s)
	if err != nil {
		return nil, err
	}
	if err := o.check(t, dims, s, m); err != nil {
		return nil, errors.Join(err, t.Close())
	}
	return t, nil
}

// check compares a split with what was fitted.
func (o *IDX) check(t *table, dims []int, s split, m *shard.Manifest) error {
	if !slices.Equal(dims, m.Input.Shape) {
		return &Error{Path: s.path + ".images", File: s.files.Images, Msg: "has images of shape " + shape(dims) +
			", the training images have " + shape(m.Input.Shape)}
	}
	if len(t.planes) != len(m.Planes) {
		return &Error{Path: s.path + ".labels", File: s.files.Images, Msg: "labels are given for one of train and test only; give both or none"}
	}
	if len(t.planes) < 2 {
		return nil
	}
	most, at, err := mostLabel(t)
	if err != nil || most < m.Input.Target.Classes {
		return err
	}
	lo, _ := s.part.cut(t.records)
	src := source{path: s.path + ".labels", name: s.files.Labels}
	if o.Classes > 0 {
		return src.badRecord(lo+at, "label %d is out of range: data.classes is %d, so labels are 0 to %d", most, o.Classes, o.Classes-1)
	}
	return src.badRecord(lo+at, "label %d is not in the training set, whose labels are 0 to %d; set data.classes if it is right",
		most, m.Input.Target.Classes-1)
}

// mostLabel returns the largest label and the first record that has it.
func mostLabel(t *table) (label int, at int64, err error) {
	label = -1
	err = t.planes[1].scan(t.records, func(first int64, b []byte) {
		for i, v := range b {
			if int(v) > label {
				label, at = int(v), first+int64(i)
			}
		}
	})
	return label, at, err
}

// idxHeader is the beginning of an IDX file.
type idxHeader struct {
	n     int64 // records
	dims  []int // of a record
	bytes int64 // length of the header
}

// record returns the bytes of one record.
func (h idxHeader) record() int64 { return int64(product(h.dims)) }

// The bounds on what a header may say; anything beyond is damage, not data.
const (
	mostRecords     = math.MaxInt32
	mostRecordBytes = 1 << 27
)

// readHeader reads and checks a header of an IDX file whose dimensions number
// least to most.
func (s *source) readHeader(r io.Reader, what string, least, most int) (idxHeader, error) {
	var h idxHeader
	var b [4]byte
	if _, err := io.ReadFull(r, b[:]); err != nil {
		return h, s.headerError(err)
	}
	if b[0] != 0 || b[1] != 0 {
		return h, s.bad("does not begin as an IDX file: its first bytes are % x, expected 00 00 08; give a file of the MNIST family", b[:])
	}
	if b[2] != 8 {
		return h, s.bad("holds numbers of IDX type 0x%02x; only bytes (0x08) can be read", b[2])
	}
	if n := int(b[3]); n < least || n > most {
		return h, s.bad("has %s, %s have %d to %d; are images and labels exchanged?", plural(n, "dimension"), what, least, most)
	}
	size := int64(1)
	for i := range int(b[3]) {
		var d [4]byte
		if _, err := io.ReadFull(r, d[:]); err != nil {
			return h, s.headerError(err)
		}
		v := int64(binary.BigEndian.Uint32(d[:]))
		if i == 0 {
			h.n = v
			continue
		}
		if size *= v; v == 0 || size > mostRecordBytes {
			return h, s.bad("its header gives dimension %d as %d: the file is damaged; copy it again", i, v)
		}
		h.dims = append(h.dims, int(v))
	}
	if h.n == 0 || h.n > mostRecords {
		return h, s.bad("its header gives %d records: the file is empty or damaged", h.n)
	}
	h.bytes = 4 + 4*int64(b[3])
	return h, nil
}

func (s *source) headerError(err error) error {
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		return s.bad("ends inside its header; copy it again")
	}
	return s.unreadable(err)
}
