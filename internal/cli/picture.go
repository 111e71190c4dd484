package cli

import (
	"encoding/binary"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"image/png"
	"io"

	"github.com/lockstep-ml/lockstep/pkg/shard"
)

// The tiles of a grid are enlarged to at most tileSide pixels, if they are smaller;
// seam pixels of grey lie between them.
const (
	tileSide = 56
	seam     = 4
	seamGrey = 96
)

// mostTiles is the most pictures of a grid.
const mostTiles = 1 << 16

// pixels turns records of pictures back into bytes, as they were in the files.
type pixels struct {
	channels, height, width int
	columns                 []shard.Column // of the channels
}

// pixelsOf is for the records of a manifest, which must be pictures.
func pixelsOf(m *shard.Manifest) (pixels, error) {
	s := m.Input.Shape
	picture := len(m.Planes) > 0 && m.Planes[0].Role == shard.RoleX && m.Planes[0].Type == shard.U8
	if !picture || len(s) != 3 || s[0] != 1 && s[0] != 3 {
		return pixels{}, usageError{fmt.Errorf("the job's records are of shape %s, not pictures; only grey or red, green and blue pictures can be drawn", shape(s))}
	}
	return pixels{channels: s[0], height: s[1], width: s[2], columns: m.Fit.Columns}, nil
}

// bytes is a record as bytes, channel after channel.
func (p pixels) bytes(record []float32) []byte {
	out := make([]byte, len(record))
	each := p.height * p.width
	for i, v := range record {
		c := p.columns[i/each]
		out[i] = byte(min(max(float64(float64(v)*c.Scale)+c.Shift, 0), 255) + 0.5)
	}
	return out
}

// grid is pictures in rows of some columns each.
type grid struct {
	pixels
	rows, columns, zoom int
	image               *image.RGBA
}

func newGrid(p pixels, columns, rows int) *grid {
	g := &grid{pixels: p, rows: rows, columns: columns, zoom: max(1, tileSide/p.height)}
	at := g.tile(rows*columns - 1)
	g.image = image.NewRGBA(image.Rect(0, 0, at.Max.X+seam, at.Max.Y+seam))
	draw.Draw(g.image, g.image.Bounds(), image.NewUniform(color.Gray{seamGrey}), image.Point{}, draw.Src)
	return g
}

// tile is where picture i lies.
func (g *grid) tile(i int) image.Rectangle {
	w, h := g.width*g.zoom, g.height*g.zoom
	x, y := seam+i%g.columns*(w+seam), seam+i/g.columns*(h+seam)
	return image.Rect(x, y, x+w, y+h)
}

// put draws a record as picture i.
func (g *grid) put(i int, record []float32) {
	b, at, each := g.bytes(record), g.tile(i), g.height*g.width
	for y := at.Min.Y; y < at.Max.Y; y++ {
		for x := at.Min.X; x < at.Max.X; x++ {
			from := (y-at.Min.Y)/g.zoom*g.width + (x-at.Min.X)/g.zoom
			// Of a grey picture the three are one.
			g.image.SetRGBA(x, y, color.RGBA{b[from], b[from+each*min(1, g.channels-1)], b[from+each*(g.channels-1)], 255})
		}
	}
}

func (g *grid) write(w io.Writer) error { return png.Encode(w, g.image) }

// parseGrid reads 8x6: columns and rows.
func parseGrid(text string) (columns, rows int, err error) {
	var rest string
	n, _ := fmt.Sscanf(text+" .", "%dx%d %s", &columns, &rows, &rest)
	if n != 3 || rest != "." || columns < 1 || rows < 1 || columns > mostTiles || rows > mostTiles/columns {
		return 0, 0, usageError{fmt.Errorf("--grid %q: expected columns and rows, as 8x6, of at most %d pictures", text, mostTiles)}
	}
	return columns, rows, nil
}

// writeIDX writes the header of an IDX file of bytes with so many pictures.
func (p pixels) writeIDX(w io.Writer, count int) error {
	dims := []int{count, p.channels, p.height, p.width}
	if p.channels == 1 {
		dims = []int{count, p.height, p.width}
	}
	header := []byte{0, 0, 8, byte(len(dims))}
	for _, d := range dims {
		header = binary.BigEndian.AppendUint32(header, uint32(d))
	}
	_, err := w.Write(header)
	return err
}

// errNoOut means that a command that writes a file was given none.
var errNoOut = errors.New("--out is missing: the file to write")
