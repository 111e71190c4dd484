package e2e

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"encoding/csv"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"math"
	"math/rand/v2"
	"os"
	"path"
	"path/filepath"
	"slices"
	"sort"
	"strconv"
	"strings"
	"testing"

	"github.com/lockstep-ml/lockstep/internal/safetensors"
	"github.com/lockstep-ml/lockstep/pkg/dataset"
	"github.com/lockstep-ml/lockstep/pkg/job"
)

// standInRecords is how many records a stand-in has.
const standInRecords = 96

// standIn is random data in the form that a job reads, so that an example can be
// run where its own data are not.
type standIn struct {
	t       *testing.T
	dir     string
	classes int
	random  *rand.Rand
	archive map[string]map[string][]byte // files of archives, which splits may share
}

// newStandIn writes the files of a job's data below a new directory and returns it.
func newStandIn(t *testing.T, spec *job.Spec) string {
	s := &standIn{t: t, dir: t.TempDir(), classes: lastUnits(spec), random: rand.New(rand.NewPCG(1, 2)), archive: map[string]map[string][]byte{}}
	splits := []dataset.Files{spec.Data.Train}
	if spec.Data.Test.Path != "" || spec.Data.Test.Images != "" {
		splits = append(splits, spec.Data.Test)
	}
	for _, f := range splits {
		switch o := spec.Data.Options.(type) {
		case *dataset.IDX:
			s.idx(f)
		case *dataset.CSV:
			s.table(f.Path, o, standInRecords)
		case *dataset.Series:
			s.table(f.Path, &o.CSV, standInRecords+o.Window+o.Horizon)
		case *dataset.Text:
			s.text(f.Path, (standInRecords/2)*o.Length)
		case *dataset.Images:
			s.images(f)
		default:
			t.Fatalf("no stand-in is known for format %s", spec.Data.Format)
		}
	}
	return s.dir
}

// lastUnits is the number of outputs of a job's last dense layer.
func lastUnits(spec *job.Spec) int {
	for _, n := range slices.Backward(spec.Net.Model) {
		if units, ok := n.Fields["units"].(int64); ok && n.Kind == "dense" {
			return int(units)
		}
	}
	return 10
}

// write makes a file, packed if its name says so.
func (s *standIn) write(name string, content []byte) {
	s.t.Helper()
	if strings.HasSuffix(name, ".gz") {
		var packed bytes.Buffer
		w := gzip.NewWriter(&packed)
		_, err := w.Write(content)
		if err == nil {
			err = w.Close()
		}
		if err != nil {
			s.t.Fatal(err)
		}
		content = packed.Bytes()
	}
	file := filepath.Join(s.dir, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		s.t.Fatal(err)
	}
	if err := os.WriteFile(file, content, 0o644); err != nil {
		s.t.Fatal(err)
	}
}

// bytes are n random bytes.
func (s *standIn) bytes(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(s.random.Uint32())
	}
	return b
}

func (s *standIn) idx(f dataset.Files) {
	const side = 28
	images := []byte{0, 0, 8, 3}
	for _, d := range []uint32{standInRecords, side, side} {
		images = binary.BigEndian.AppendUint32(images, d)
	}
	s.write(f.Images, append(images, s.bytes(standInRecords*side*side)...))
	if f.Labels == "" {
		return
	}
	labels := binary.BigEndian.AppendUint32([]byte{0, 0, 8, 1}, standInRecords)
	for i := range standInRecords {
		labels = append(labels, byte(i%s.classes))
	}
	s.write(f.Labels, labels)
}

// table writes a table with the columns that a job names, and some numbers if it
// may have more.
func (s *standIn) table(name string, o *dataset.CSV, rows int) {
	columns := slices.Clone(o.Names)
	if o.Header {
		numbers := true
		for c, kind := range o.Columns {
			columns = append(columns, c)
			numbers = numbers && kind != "id" && kind != "text"
		}
		sort.Strings(columns)
		if !slices.Contains(columns, o.Target) {
			columns = append(columns, o.Target)
		}
		if numbers {
			columns = append(columns, "number_1", "number_2", "number_3")
		}
	}
	var out bytes.Buffer
	w := csv.NewWriter(&out)
	w.Comma = o.Separator
	records := [][]string{}
	if o.Header {
		records = append(records, columns)
	}
	for i := range rows {
		record := make([]string, len(columns))
		for j, c := range columns {
			record[j] = s.field(o, c, i)
		}
		records = append(records, record)
	}
	if err := w.WriteAll(records); err != nil {
		s.t.Fatal(err)
	}
	s.write(name, out.Bytes())
}

// field is what stands in a column of row i.
func (s *standIn) field(o *dataset.CSV, column string, i int) string {
	switch kind := o.Columns[column]; {
	case kind == "category" && column == o.Target:
		return fmt.Sprintf("class%03d", i%s.classes)
	case kind == "category":
		return fmt.Sprintf("word%d", i%4)
	case kind == "id":
		return strconv.Itoa(s.random.IntN(20))
	case kind == "text":
		words := make([]string, 3+s.random.IntN(6))
		for j := range words {
			words[j] = fmt.Sprintf("w%d", s.random.IntN(50))
		}
		return strings.Join(words, " ")
	default:
		return strconv.FormatFloat(3+s.random.NormFloat64(), 'f', 4, 64)
	}
}

// text has as many characters as the network has outputs, less the two that stand
// for what is unknown and for filling.
func (s *standIn) text(name string, length int) {
	var out strings.Builder
	n := s.classes - 2
	for i := range length {
		c := i
		if i >= n {
			c = s.random.IntN(n)
		}
		out.WriteRune(rune('0' + c%n))
	}
	s.write(name, []byte(out.String()))
}

// images writes a folder with a folder for each class, or an archive of it.
func (s *standIn) images(f dataset.Files) {
	files := s.archive[f.Path]
	if files == nil {
		files = map[string][]byte{}
		s.archive[f.Path] = files
	}
	for i := range standInRecords {
		const side = 12
		m := image.NewRGBA(image.Rect(0, 0, side, side))
		for j, b := range s.bytes(side * side * 3) {
			m.Set(j/3%side, j/3/side, color.RGBA{b, b / 2, byte(i), 255})
		}
		var out bytes.Buffer
		if err := png.Encode(&out, m); err != nil {
			s.t.Fatal(err)
		}
		files[path.Join(f.Under, fmt.Sprintf("class%02d", i%s.classes), fmt.Sprintf("%03d.png", i))] = out.Bytes()
	}
	archive := strings.Contains(f.Path, ".tar") || strings.HasSuffix(f.Path, ".tgz")
	if !archive {
		for name, content := range files {
			s.write(path.Join(f.Path, name), content)
		}
		return
	}
	s.write(f.Path, s.pack(files))
}

// pack makes a tar archive of files; write compresses it.
func (s *standIn) pack(files map[string][]byte) []byte {
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	names := []string{}
	for name := range files {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		err := w.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(files[name]))})
		if err == nil {
			_, err = w.Write(files[name])
		}
		if err != nil {
			s.t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		s.t.Fatal(err)
	}
	return out.Bytes()
}

// startStandIn writes a file that all tensors of a job's network start from.
func startStandIn(t *testing.T, spec *job.Spec, dir string) {
	t.Helper()
	train, _, err := dataset.Build(t.Context(), spec.Data, dir)
	if err != nil {
		t.Fatal(err)
	}
	plan, err := spec.CheckInput(dataset.InputOf(train), 1)
	if err != nil {
		t.Fatal(err)
	}
	random := rand.New(rand.NewPCG(3, 4))
	var tensors []safetensors.Tensor
	for _, p := range plan.Tensors() {
		n := 1
		for _, d := range p.Shape {
			n *= d
		}
		middle, spread := float32(1), float32(0.1) // scales and variances
		if len(p.Shape) > 1 {
			middle, spread = 0, float32(1/math.Sqrt(float64(n/p.Shape[0])))
		}
		numbers := make([]float32, n)
		for i := range numbers {
			numbers[i] = middle + spread*(2*random.Float32()-1)
		}
		tensors = append(tensors, safetensors.Tensor{Name: p.Name, Shape: p.Shape, F32: numbers})
	}
	var out bytes.Buffer
	if err := safetensors.Write(&out, tensors, nil); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "start.safetensors"), out.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
}
