package dataset

import (
	"context"
	"errors"
	"io"
	"os"

	"github.com/lockstep-ml/lockstep/pkg/shard"
)

// open returns the table of a split (images, then labels if there are any) and
// the shape of an image: (C, H, W), or (F) if the file gives no height and width.
func (o *IDX) open(ctx context.Context, e *env, s split) (*table, []int, error) {
	images, h, err := openIDX(ctx, e, s, "images", s.files.Images, 2, 4, 0)
	if err != nil {
		return nil, nil, err
	}
	t := &table{planes: []tablePlane{images}}
	lo, hi := s.part.cut(h.n)
	t.records = hi - lo
	if s.files.Labels != "" {
		labels, lh, err := openIDX(ctx, e, s, "labels", s.files.Labels, 1, 1, 1)
		if err != nil {
			return nil, nil, errors.Join(err, t.Close())
		}
		t.planes = append(t.planes, labels)
		if lh.n != h.n {
			err := &Error{Path: s.path + ".labels", File: s.files.Labels, Msg: "holds " + plural(int(lh.n), "label") + ", but " +
				s.files.Images + " holds " + plural(int(h.n), "image") + "; give two files of the same set"}
			return nil, nil, errors.Join(err, t.Close())
		}
	}
	if len(h.dims) == 2 {
		return t, []int{1, h.dims[0], h.dims[1]}, nil
	}
	return t, h.dims, nil
}

// openIDX returns the part of an IDX file that belongs to the split as plane
// number. A file that is not packed is the plane itself.
func openIDX(ctx context.Context, e *env, s split, key, name string, least, most, number int) (tablePlane, idxHeader, error) {
	src, err := e.open(s.path+"."+key, name)
	if err != nil {
		return tablePlane{}, idxHeader{}, err
	}
	r, err := src.reader(ctx)
	if err != nil {
		return tablePlane{}, idxHeader{}, errors.Join(err, src.Close())
	}
	h, err := src.readHeader(r, key, least, most)
	if err != nil {
		return tablePlane{}, h, errors.Join(err, src.Close())
	}
	lo, hi := s.part.cut(h.n)
	if !src.packed {
		p := tablePlane{name: name, stride: h.record(), f: src.f, base: h.bytes + lo*h.record()}
		if err := src.checkSize(h); err != nil {
			return tablePlane{}, h, errors.Join(err, src.Close())
		}
		return p, h, nil
	}
	out := e.newSink(name, number, shard.Plane{Type: shard.U8, Count: int(h.record())})
	// Deflate packs at most 1:1032, so a damaged header cannot ask for more than that.
	out.expect = min((hi-lo)*h.record(), 1032*src.size)
	p, err := src.unpack(r, h, lo, hi, out)
	return p, h, errors.Join(err, src.Close())
}

// checkSize compares the length of a file with its header.
func (s *source) checkSize(h idxHeader) error {
	want := h.bytes + h.n*h.record()
	switch {
	case s.size < want:
		return s.badRecord((s.size-h.bytes)/h.record(), "the file ends here: its header gives %d records, %d bytes, but it has %d bytes; copy it again",
			h.n, want, s.size)
	case s.size > want:
		return s.bad("has %s after its last record: the header gives %d records, %d bytes; copy it again", plural(int(s.size-want), "byte"), h.n, want)
	}
	return nil
}

// unpack copies records lo to hi into out, and reads the rest to check it.
func (s *source) unpack(r io.Reader, h idxHeader, lo, hi int64, out *sink) (tablePlane, error) {
	defer out.drop()
	size := h.record()
	for _, run := range []struct {
		w io.Writer
		n int64
	}{{io.Discard, lo * size}, {out, (hi - lo) * size}, {io.Discard, (h.n - hi) * size}} {
		n, err := io.CopyN(run.w, r, run.n)
		if err == io.EOF {
			done := n
			if run.w == io.Writer(out) {
				done += lo * size
			} else if out.n > 0 {
				done += hi * size
			}
			return tablePlane{}, s.badRecord(done/size, "the file ends here: its header gives %d records; copy it again", h.n)
		}
		if err != nil {
			return tablePlane{}, s.copyError(err)
		}
	}
	switch n, err := io.CopyN(io.Discard, r, 1); {
	case n > 0:
		return tablePlane{}, s.bad("has bytes after its last record: the header gives %d records; copy it again", h.n)
	case err != io.EOF:
		return tablePlane{}, s.copyError(err)
	}
	return out.finish()
}

// copyError tells a failed read from a failed write, which says so itself.
func (s *source) copyError(err error) error {
	var disk *os.PathError
	if errors.As(err, &disk) {
		return err
	}
	return s.unreadable(err)
}

// scan calls f with runs of whole records, in order; first is the number of the
// first of them. The bytes are valid until f returns.
func (p *tablePlane) scan(records int64, f func(first int64, b []byte)) error {
	run := max(checksumRun/p.stride, 1)
	var scratch []byte
	if p.f != nil {
		scratch = make([]byte, run*p.stride)
	}
	for first := int64(0); first < records; first += run {
		b, err := p.view(scratch, first, min(run, records-first))
		if err != nil {
			return err
		}
		f(first, b)
	}
	return nil
}
