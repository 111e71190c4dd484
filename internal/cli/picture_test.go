package cli

import (
	"bytes"
	"encoding/json"
	"image"
	"image/color"
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/lockstep-ml/lockstep/pkg/tensor"
)

// The pictures of these tests are 4x4, grey: picture i has i in its first pixel
// and 255 in its last.
const pictureRecords = 12

// pictures writes the files of a job on small pictures and the model that it
// begins with.
func pictures(t *testing.T, model string) (dir, job, path string) {
	t.Helper()
	dir = t.TempDir()
	images, labels := "\x00\x00\x08\x03\x00\x00\x00\x0c\x00\x00\x00\x04\x00\x00\x00\x04", "\x00\x00\x08\x01\x00\x00\x00\x0c"
	for i := range pictureRecords {
		images += string([]byte{byte(i), 15: 255})
		labels += string([]byte{byte(i % 3)})
	}
	write(t, filepath.Join(dir, "images"), images)
	write(t, filepath.Join(dir, "labels"), labels)
	job = filepath.Join(dir, "job.yaml")
	write(t, job, "name: small\nseed: 3\ndata: {format: idx, train: {images: images, labels: labels}, test: {images: images, labels: labels}}\n"+
		model+"\noptimizer: adam\nepochs: 1\nglobal_batch: 5\nlanes: 2\n")
	return dir, job, begin(t, job)
}

const (
	smallGAN = `model: [{dense: 8}, {reshape: [2, 2, 2]}, {conv_transpose2d: 1}, sigmoid]
recipe: {gan: {latent: 3, discriminator: [flatten, {dense: 1}]}}
loss: binary_cross_entropy`
	smallVariational = `model: [flatten, {dense: 4}, gaussian_sample, {dense: 16}, sigmoid]
recipe: variational_autoencoder
loss: binary_cross_entropy`
	smallDenoising = `model: [flatten, {dense: 16}]
recipe: {denoising_autoencoder: {noise: 0.5}}
loss: mse`
	smallClassifier = `model: [flatten, {dense: 3}]
loss: cross_entropy`
)

func readPNG(t *testing.T, path string) image.Image {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	m, err := png.Decode(f)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func readText(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// Samples are the same on every instruction set, however many are made, in an IDX
// file and in a grid.
func TestSample(t *testing.T) {
	for name, model := range map[string]string{"gan": smallGAN, "variational": smallVariational} {
		t.Run(name, func(t *testing.T) {
			dir, job, path := pictures(t, model)
			make := func(file string, args ...string) string {
				out := filepath.Join(dir, file)
				if _, err := typed(t, append([]string{"sample", path, "--job", job, "--out", out}, args...)...); err != nil {
					t.Fatal(err)
				}
				return readText(t, out)
			}
			const header = 16
			few, many, other := make("few", "--count", "3"), make("many", "--count", "17"), make("other", "--count", "3", "--seed", "1")
			if !strings.HasPrefix(few, "\x00\x00\x08\x03\x00\x00\x00\x03\x00\x00\x00\x04\x00\x00\x00\x04") || len(many) != header+17*16 ||
				few[header:] != many[header:len(few)] || few == other || few[header:header+16] == few[header+16:header+32] {
				t.Errorf("3 of them %q, 17 %q, of another seed %q", few, many, other)
			}
			first := ""
			for _, isa := range tensor.ISAs() {
				t.Setenv("LOCKSTEP_ISA", isa)
				if got := make("grid.png", "--grid", "3x2", "--threads", "2"); first != "" && got != first {
					t.Errorf("%s draws another picture", isa)
				} else {
					first = got
				}
			}
			m := readPNG(t, filepath.Join(dir, "grid.png"))
			side := 4 * (tileSide / 4)
			if want := image.Rect(0, 0, 3*side+4*seam, 2*side+3*seam); m.Bounds() != want {
				t.Fatalf("the grid is %v, want %v", m.Bounds(), want)
			}
			at := image.Pt(seam+(side+seam)+side/4, seam+(side+seam)+side-1) // picture 4, row 3, column 1
			if got, want := m.At(at.X, at.Y), many[header+4*16+3*4+1]; got != (color.RGBA{want, want, want, 255}) {
				t.Errorf("the grid has %v where the file has %d", got, want)
			}
		})
	}
}

// An autoencoder's pictures stand above what it made of them; what it saw, if that
// differs, between.
func TestPredictDraws(t *testing.T) {
	for model, rows := range map[string]int{smallVariational: 2, smallDenoising: 3} {
		dir, job, path := pictures(t, model)
		out := filepath.Join(dir, "p.png")
		if _, err := typed(t, "predict", path, "--job", job, "--out", out, "--grid", "4x6"); err != nil {
			t.Fatal(err)
		}
		again := filepath.Join(dir, "new.png")
		if _, err := typed(t, "predict", path, "--job", job, "--records", filepath.Join(dir, "images"), "--out", again, "--grid", "4x6"); err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(again)
		if want, e := os.ReadFile(out); err != nil || e != nil || !bytes.Equal(got, want) {
			t.Errorf("%d rows: new records give another picture", rows)
		}
		m := readPNG(t, out)
		side := 4 * (tileSide / 4)
		tile := func(x, y int) (first, last color.Color) {
			x, y = seam+x*(side+seam), seam+y*(side+seam)
			return m.At(x, y), m.At(x+side-1, y+side-1)
		}
		grey := func(v int) color.Color { return color.RGBA{byte(v), byte(v), byte(v), 255} }
		noisy := 0
		for i := range 4 * 6 / rows {
			first, last := tile(i%4, i/4*rows)
			if i < pictureRecords && (first != grey(i) || last != grey(255)) {
				t.Errorf("%d rows: picture %d begins with %v and ends with %v", rows, i, first, last)
			}
			if seen, _ := tile(i%4, i/4*rows+1); seen != grey(i) {
				noisy++
			}
			if _, made := tile(i%4, i/4*rows+rows-1); i < pictureRecords && made == grey(255) {
				t.Errorf("%d rows: an untrained network made picture %d", rows, i)
			}
		}
		if rows == 3 && noisy == 0 {
			t.Error("there is no noise in what the network saw")
		}
	}
}

// A classifier is applied to pictures of which nobody says the class, and its
// answers are counted.
func TestPredictTallies(t *testing.T) {
	dir, job, path := pictures(t, smallClassifier)
	images := filepath.Join(dir, "images")
	lines, err := typed(t, "predict", path, "--job", job, "--records", images)
	if err != nil || strings.Count(lines, "\n") != pictureRecords || strings.Contains(lines, " is ") {
		t.Errorf("%v\n%s", err, lines)
	}
	if _, err := typed(t, "predict", path, "--job", job, "--limit", "-2"); err == nil || !strings.Contains(err.Error(), "--limit -2: give a number of records") {
		t.Errorf("a limit below 0: %v", err)
	}
	out, err := typed(t, "predict", path, "--job", job, "--records", images, "--tally", "--limit", "7", "--json")
	var got tally
	if err == nil {
		err = json.Unmarshal([]byte(out), &got)
	}
	if err != nil || got.Records != 7 || len(got.Classes) != 3 {
		t.Fatalf("%v, %v", out, err)
	}
	for i, c := range got.Classes {
		lines := strings.SplitAfter(lines, "\n")[:7]
		if want := strings.Count(strings.Join(lines, ""), "  "+c.Class+"  ("); int64(want) != c.Records {
			t.Errorf("class %d: %d records, but %d lines", i, c.Records, want)
		}
	}
	// Elsewhere the class is needed.
	if _, err := typed(t, "eval", path, "--job", job, "--set", "data.test={images: "+images+"}"); err == nil || !strings.Contains(err.Error(), "labels are given for one of train and test only") {
		t.Errorf("eval of pictures without labels: %v", err)
	}
}

func TestPicturesRefuse(t *testing.T) {
	_, gan, made := pictures(t, smallGAN)
	_, denoising, repairs := pictures(t, smallDenoising)
	_, classifier, tells := pictures(t, smallClassifier)
	_, prices, priced := untrained(t)
	for name, c := range map[string]struct {
		args string
		want string
	}{
		"no file":          {"sample " + made + " --job " + gan, "--out is missing"},
		"nothing new":      {"sample " + repairs + " --job " + denoising + " --out x.png", "lockstep predict --out pictures.png"},
		"no pictures":      {"sample " + priced + " --job " + prices + " --out x.png", "are of shape 1, not pictures"},
		"no grid":          {"sample " + made + " --job " + gan + " --out x.png --grid 8", `--grid "8": expected columns and rows, as 8x6`},
		"more than a grid": {"sample " + made + " --job " + gan + " --out x.png --grid 3x2x1", `--grid "3x2x1": expected columns and rows`},
		"a huge grid":      {"sample " + made + " --job " + gan + " --out x.png --grid 70000x70000", "at most 65536 pictures"},
		"no pictures at all": {"sample " + made + " --job " + gan + " --out x --count 0",
			"--count 0: expected 1 to 65536"},
		"a generator":  {"predict " + made + " --job " + gan, "lockstep sample lets it do so"},
		"a classifier": {"predict " + tells + " --job " + classifier + " --out x.png", "is no autoencoder"},
		"no classes":   {"predict " + repairs + " --job " + denoising + " --tally", "does not predict one for each record"},
		// Names are judged before anything is read.
		"another picture":  {"predict absent --job absent --out x.jpg", "give a name that ends in .png"},
		"another sample":   {"sample absent --job absent --out x.jpg", "--out x.jpg: pictures are written as .png or IDX"},
		"packed":           {"sample absent --job absent --out x-idx3-ubyte.gz", "or for IDX in .idx or -ubyte"},
		"a known ending":   {"sample absent --job absent --out X.PNG", "open absent"},
		"of a grid":        {"sample absent --job absent --out x.png --grid 0x2", `--grid "0x2"`},
		"that of MNIST":    {"sample absent --job absent --out t10k-images.idx3-ubyte", "open absent"},
		"that of the form": {"sample absent --job absent --out x.idx", "open absent"},
		"none":             {"sample absent --job absent --out v1.2/x", "open absent"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := typed(t, strings.Fields(c.args)...)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want %q", err, c.want)
			}
		})
	}
}
