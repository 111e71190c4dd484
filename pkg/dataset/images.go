package dataset

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"image"
	_ "image/jpeg" // for image.Decode
	_ "image/png"
	"io"
	"slices"

	"github.com/lockstep-ml/lockstep/internal/nearest"
	"github.com/lockstep-ml/lockstep/pkg/shard"
)

// Images is a folder of JPEG and PNG files, or a tar archive of one, packed by
// gzip or not. The folder has one folder for each class.
type Images struct {
	// Height and Width are what every image is brought to.
	Height, Width int
	// Grey makes one channel of an image instead of three.
	Grey bool
	// Stretch brings the whole image to the size; otherwise its middle of the right
	// proportions is.
	Stretch bool
	Pixels
}

// imagesFormat is the catalogue's entry.
func imagesFormat() Format {
	return Format{
		Name:    "images",
		Summary: "a folder with a folder of JPEG or PNG files for each class, or a .tar or .tar.gz of it; a fraction picks at random",
		Fields: append(append(filesFields("path", "under"), pixelFields()...),
			Field{Name: "size", Type: typeNumbers, Required: true, Summary: "height and width in pixels, or one number for both"},
			Field{Name: "grey", Type: typeBool, Default: false, Summary: "one channel instead of red, green and blue"},
			Field{Name: "stretch", Type: typeBool, Default: false, Summary: "bring the whole image to the size instead of its middle"}),
		decode: decodeImages,
	}
}

func decodeImages(v values, bad func(field, format string, args ...any)) Options {
	o := &Images{Grey: v.bool("grey"), Stretch: v.bool("stretch"), Pixels: decodePixels(v, bad)}
	size := v.numbers("size")
	if len(size) != 1 && len(size) != 2 {
		bad("size", "has %s; expected height and width, or one number for both", plural(len(size), "number"))
		return o
	}
	for _, n := range size {
		if n < 1 || n > mostSide || n != float64(int(n)) {
			bad("size", "%v is not a number of pixels from 1 to %d", n, mostSide)
		}
	}
	o.Height, o.Width = int(size[0]), int(size[len(size)-1])
	return o
}

// The bounds on images: mostSide on what they become, mostPixels on what is read.
const (
	mostSide      = 4096
	mostPixels    = 1 << 26
	mostFileBytes = 256 << 20
)

func (o *Images) channelCount() int {
	if o.Grey {
		return 1
	}
	return 3
}

func (o *Images) fit(ctx context.Context, e *env, s split, m *shard.Manifest) (*table, error) {
	classes := map[string]bool{}
	err := e.images(ctx, s, func(f imageFile) error {
		classes[f.class] = true
		return nil
	})
	if err != nil {
		return nil, err
	}
	if len(classes) == 0 {
		return nil, e.noImages(ctx, s)
	}
	dims := []int{o.channelCount(), o.Height, o.Width}
	m.Fit.Classes = sortedWords(classes)
	m.Input = shard.Input{Shape: dims, Target: shard.Target{Kind: shard.Class, Classes: len(classes)}}
	m.Planes = []shard.Plane{
		{Role: shard.RoleX, Type: shard.U8, Count: product(dims)},
		{Role: shard.RoleClass, Type: shard.U16, Count: 1},
	}
	t, err := o.load(ctx, e, s, m)
	if err != nil {
		return nil, err
	}
	if m.Fit.Columns, err = o.channels(t, dims); err != nil {
		return nil, errors.Join(err, t.Close())
	}
	return t, nil
}

func (o *Images) inputs(m *shard.Manifest) (shard.Plane, error) {
	dims := []int{o.channelCount(), o.Height, o.Width}
	return shard.Plane{Role: shard.RoleX, Type: shard.U8, Count: product(dims)}, sameInput(m, dims, 0)
}

func (o *Images) load(ctx context.Context, e *env, s split, m *shard.Manifest) (*table, error) {
	class := make([]byte, 2)
	out := make([]byte, o.channelCount()*o.Height*o.Width)
	var buf bytes.Buffer
	var names []string
	t, err := e.fill(s.files.Path, m, func(put func(planes ...[]byte) error) error {
		return e.images(ctx, s, func(f imageFile) error {
			bad := func(format string, args ...any) error {
				err := &Error{Path: s.path, File: s.files.Path, Record: f.number, HasRecord: true}
				err.Msg = f.name + ": " + fmt.Sprintf(format, args...)
				return err
			}
			i := slices.Index(m.Fit.Classes, f.class)
			if i < 0 && !s.unlabelled {
				return bad("class %q is not in the training set%s", f.class, nearest.DidYouMean(f.class, m.Fit.Classes))
			}
			img, err := f.decode(&buf)
			if err != nil {
				return bad("%v; replace or remove it", err)
			}
			o.shape(out, img)
			if s.unlabelled {
				names = append(names, f.name)
				return put(out)
			}
			binary.LittleEndian.PutUint16(class, uint16(i))
			return put(out, class)
		})
	})
	if err != nil {
		return nil, err
	}
	t.names = names
	return t, nil
}

// decode reads the image. It refuses one that is too large before it unpacks it.
func (f imageFile) decode(buf *bytes.Buffer) (image.Image, error) {
	r, err := f.open()
	if err != nil {
		return nil, err
	}
	buf.Reset()
	n, err := io.Copy(buf, io.LimitReader(r, mostFileBytes+1))
	if err = errors.Join(err, r.Close()); err != nil {
		return nil, err
	}
	if n > mostFileBytes {
		return nil, fmt.Errorf("is larger than %d MiB", mostFileBytes>>20)
	}
	c, _, err := image.DecodeConfig(bytes.NewReader(buf.Bytes()))
	if err != nil {
		return nil, fmt.Errorf("cannot be decoded: %w", err)
	}
	if c.Width <= 0 || c.Height <= 0 || c.Width > mostPixels/c.Height {
		return nil, fmt.Errorf("has %d x %d pixels, more than %d in all", c.Width, c.Height, mostPixels)
	}
	img, _, err := image.Decode(bytes.NewReader(buf.Bytes()))
	if err != nil {
		return nil, fmt.Errorf("cannot be decoded: %w", err)
	}
	return img, nil
}

// shape writes an image of any size as (channels, height, width) into out.
func (o *Images) shape(out []byte, img image.Image) {
	rgb, w, h := planes(img)
	x0, y0, x1, y1 := 0, 0, w, h
	if !o.Stretch {
		x0, y0, x1, y1 = middle(w, h, o.Width, o.Height)
	}
	size := o.Width * o.Height
	if o.Grey {
		grey(rgb[0], rgb[1], rgb[2])
		rgb = [3][]byte{rgb[0]}
	}
	for c := range o.channelCount() {
		resize := resizer{src: rgb[c], stride: w, x0: x0, y0: y0, w: x1 - x0, h: y1 - y0}
		resize.to(out[c*size:(c+1)*size], o.Width, o.Height)
	}
}

// middle returns the largest box in the middle of w x h with the proportions of
// tw x th.
func middle(w, h, tw, th int) (x0, y0, x1, y1 int) {
	bw, bh := w, h
	if w*th > h*tw {
		bw = max(1, (h*tw+th/2)/th)
	} else {
		bh = max(1, (w*th+tw/2)/tw)
	}
	x0, y0 = (w-bw)/2, (h-bh)/2
	return x0, y0, x0 + bw, y0 + bh
}
