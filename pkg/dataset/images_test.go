package dataset

import (
	"archive/tar"
	"bytes"
	"errors"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/lockstep-ml/lockstep/pkg/nn"
)

// picture returns a w x h PNG whose pixel (x, y) is at(x, y).
func picture(tb testing.TB, w, h int, at func(x, y int) color.Color) []byte {
	tb.Helper()
	img := image.NewNRGBA(image.Rect(0, 0, w, h))
	for y := range h {
		for x := range w {
			img.Set(x, y, at(x, y))
		}
	}
	var b bytes.Buffer
	if err := png.Encode(&b, img); err != nil {
		tb.Fatal(err)
	}
	return b.Bytes()
}

func plain(c color.Color) func(int, int) color.Color {
	return func(int, int) color.Color { return c }
}

// folder writes files below a new directory.
func folder(tb testing.TB, files map[string][]byte) string {
	tb.Helper()
	dir := tb.TempDir()
	for name, data := range files {
		full := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
			tb.Fatal(err)
		}
		if err := os.WriteFile(full, data, 0o644); err != nil {
			tb.Fatal(err)
		}
	}
	return dir
}

// archive returns a tar of files in the order of their names.
func archive(tb testing.TB, files map[string][]byte) []byte {
	tb.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, name := range sortedKeys(files) {
		if err := w.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(files[name]))}); err != nil {
			tb.Fatal(err)
		}
		if _, err := w.Write(files[name]); err != nil {
			tb.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		tb.Fatal(err)
	}
	return b.Bytes()
}

func pets(tb testing.TB) map[string][]byte {
	red, blue := color.NRGBA{200, 10, 20, 255}, color.NRGBA{0, 40, 250, 255}
	return map[string][]byte{
		"pets/train/dog/b.png":   picture(tb, 4, 4, plain(blue)),
		"pets/train/cat/a.PNG":   picture(tb, 9, 5, plain(red)),
		"pets/train/cat/c.png":   picture(tb, 2, 2, func(x, y int) color.Color { return color.NRGBA{uint8(10 * x), uint8(20 * y), 5, 255} }),
		"pets/train/cat/._a.png": []byte("not an image"),
		"pets/train/LICENSE":     []byte("text"),
		"pets/test/dog/d.png":    picture(tb, 3, 3, plain(blue)),
	}
}

// A folder and its archive are the same data set.
func TestImages(t *testing.T) {
	files := pets(t)
	tarred := archive(t, files)
	root := folder(t, files)
	for name, data := range map[string][]byte{"pets.tar": tarred, "pets.tgz": packed(tarred)} {
		if err := os.WriteFile(filepath.Join(root, name), data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	digest := ""
	for path, under := range map[string]string{".": "pets/train", "pets": "train", "pets/train": "", "pets.tar": "pets/train", "pets.tgz": "pets/train/"} {
		section := map[string]any{"format": "images", "train": map[string]any{"path": path, "under": under},
			"test": map[string]any{"path": "pets.tar", "under": "pets/test"}, "size": 2, "scale": "none"}
		spec, m, test := build(t, section, root)
		if digest == "" {
			digest = m.Digest()
		}
		if m.Digest() != digest {
			t.Errorf("%s under %q is another data set", path, under)
		}
		want := nn.Input{Shape: []int{3, 2, 2}, Target: nn.Target{Kind: nn.TargetClass, Classes: 2}}
		if diff := cmp.Diff(want, InputOf(m)); diff != "" {
			t.Errorf("input (-want +got):\n%s", diff)
		}
		b := all(t, open(t, spec, root, m, ""))
		if !slices.Equal(b.Classes, []int32{0, 0, 1}) || !slices.Equal(m.Fit.Classes, []string{"cat", "dog"}) {
			t.Errorf("classes %v of %v", b.Classes, m.Fit.Classes)
		}
		pixels := []float32{200, 200, 200, 200, 10, 10, 10, 10, 20, 20, 20, 20, 0, 10, 0, 10, 0, 0, 20, 20, 5, 5, 5, 5}
		if diff := cmp.Diff(pixels, b.X[:24]); diff != "" {
			t.Errorf("pixels (-want +got):\n%s", diff)
		}
		if b := all(t, open(t, spec, root, test, "")); len(b.Classes) != 1 || b.Classes[0] != 1 || b.X[11] != 250 {
			t.Errorf("test set: classes %v, %v", b.Classes, b.X)
		}
	}
	grey := map[string]any{"format": "images", "train": map[string]any{"path": "pets/train"}, "size": []any{1, 2}, "grey": true, "scale": "none", "stretch": true}
	spec, m, _ := build(t, grey, root)
	// 0.299*200 + 0.587*10 + 0.114*20 = 67.95
	if b := all(t, open(t, spec, root, m, "")); len(b.X) != 6 || b.X[0] != 68 {
		t.Errorf("grey: %v", b.X)
	}
}

func TestImagesRefuses(t *testing.T) {
	files := pets(t)
	cut := files["pets/train/dog/b.png"][:40]
	section := map[string]any{"format": "images", "train": map[string]any{"path": "p", "under": "pets/train"}, "size": 2}
	tested := with(section, map[string]any{"test": map[string]any{"path": "p", "under": "pets/test"}})
	for want, c := range map[string]struct {
		files   map[string][]byte
		section map[string]any
	}{
		"p: record 2: pets/train/dog/b.png: cannot be decoded":                     {map[string][]byte{"p": archive(t, with2(files, "pets/train/dog/b.png", cut))}, section},
		`p: record 0: pets/test/emu/d.png: class "emu" is not in the training set`: {map[string][]byte{"p": archive(t, with2(files, "pets/test/emu/d.png", files["pets/test/dog/d.png"]))}, tested},
		"p: is no tar archive and no folder":                                       {map[string][]byte{"p": []byte(strings.Repeat("no archive", 200))}, section},
		"p: cannot be read: unexpected EOF":                                        {map[string][]byte{"p": archive(t, files)[:1300]}, section},
		"p: is not a whole gzip file":                                              {map[string][]byte{"p": packed(archive(t, files))[:200]}, section},
		`p: has no .jpg, .jpeg or .png file in a folder of a class under "elsewhere"; check path, under, skip and take; its first image is pets/test/dog/d.png`: {map[string][]byte{"p": archive(t, files)}, with(section, map[string]any{"train": map[string]any{"path": "p", "under": "elsewhere"}})},
	} {
		if _, _, err := Build(t.Context(), decodeSpec(t, c.section), writeFiles(t, c.files)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

// Links to files count as files; others, which have no picture to read, are refused.
func TestImageLinks(t *testing.T) {
	root := folder(t, pets(t))
	section := map[string]any{"format": "images", "train": "linked", "size": 2}
	link := func(to, from string) {
		t.Helper()
		from = filepath.Join(root, "linked", from)
		if err := errors.Join(os.MkdirAll(filepath.Dir(from), 0o755), os.Symlink(filepath.Join(root, "pets", to), from)); err != nil {
			t.Fatal(err)
		}
	}
	link("train/cat/a.PNG", "cat/a.png")
	link("train/dog/b.png", "dog/b.png")
	spec, m, _ := build(t, section, root)
	if b := all(t, open(t, spec, root, m, "")); len(b.Classes) != 2 {
		t.Errorf("classes %v of two links", b.Classes)
	}
	refused := func(want string) {
		t.Helper()
		if _, _, err := Build(t.Context(), decodeSpec(t, section), root); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	link("train/dog", "emu")
	refused("emu is a link to a folder; put the folder itself there, or remove it")
	link("train/cat/a.PNG", "in/cat/a.png")
	link("train/dog/b.png", "in/dog/b.png")
	section["train"] = map[string]any{"path": "linked", "under": "in"}
	if _, _, err := Build(t.Context(), decodeSpec(t, section), root); err != nil {
		t.Errorf("a link outside under: %v", err)
	}
	section["train"] = "linked"
	if err := os.Remove(filepath.Join(root, "linked", "emu")); err != nil {
		t.Fatal(err)
	}
	link("nowhere", "dog/c.png")
	refused("dog/c.png: no such file")

	var b bytes.Buffer
	w := tar.NewWriter(&b)
	if err := errors.Join(w.WriteHeader(&tar.Header{Typeflag: tar.TypeLink, Name: "cat/a.png", Linkname: "dog/b.png"}), w.Close(),
		os.WriteFile(filepath.Join(root, "p"), b.Bytes(), 0o644)); err != nil {
		t.Fatal(err)
	}
	section["train"] = "p"
	refused("record 0: cat/a.png: is a link; pack it with tar --dereference")
}

// with2 returns files with one added or replaced; another of its folder's split is
// kept.
func with2(files map[string][]byte, name string, data []byte) map[string][]byte {
	out := map[string][]byte{name: data}
	for k, v := range files {
		if _, ok := out[k]; !ok && !(strings.HasPrefix(name, "pets/test/") && strings.HasPrefix(k, "pets/test/")) {
			out[k] = v
		}
	}
	return out
}

func TestResize(t *testing.T) {
	src := []byte{10, 20, 30, 40, 50, 60, 70, 80, 90, 100, 110, 120, 130, 140, 150, 160}
	for _, c := range []struct {
		name   string
		box    resizer
		tw, th int
		want   []byte
	}{
		{"same", resizer{src, 4, 0, 0, 4, 4}, 4, 4, src},
		{"box", resizer{src, 4, 1, 2, 2, 2}, 2, 2, []byte{100, 110, 140, 150}},
		// Weights 3, 3 and 1 sevenths of the nearest three pixels, both ways.
		{"half", resizer{src, 4, 0, 0, 4, 4}, 2, 2, []byte{46, 62, 108, 124}},
		{"one", resizer{src, 4, 0, 0, 4, 4}, 1, 1, []byte{85}},
		{"double", resizer{src, 4, 0, 0, 2, 1}, 4, 1, []byte{10, 13, 18, 20}},
	} {
		got := make([]byte, c.tw*c.th)
		c.box.to(got, c.tw, c.th)
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, diff)
		}
	}
	flat := bytes.Repeat([]byte{255}, 7*5)
	for tw := 1; tw < 12; tw++ {
		got := make([]byte, tw*3)
		resizer{flat, 7, 0, 0, 7, 5}.to(got, tw, 3)
		if slices.Min(got) != 255 {
			t.Errorf("white becomes %d at width %d", slices.Min(got), tw)
		}
	}
}

func TestMiddle(t *testing.T) {
	for _, c := range [][8]int{
		{100, 50, 10, 10, 25, 0, 75, 50}, {50, 100, 10, 10, 0, 25, 50, 75},
		{10, 10, 30, 30, 0, 0, 10, 10}, {1, 100, 100, 1, 0, 49, 1, 50},
	} {
		x0, y0, x1, y1 := middle(c[0], c[1], c[2], c[3])
		if got := [4]int{x0, y0, x1, y1}; got != [4]int(c[4:]) {
			t.Errorf("middle of %d x %d for %d x %d: %v, want %v", c[0], c[1], c[2], c[3], got, c[4:])
		}
	}
}

// A JPEG of every size and kind of colour decodes near what was encoded.
func TestJPEG(t *testing.T) {
	for _, w := range []int{1, 2, 3, 8, 17, 32} {
		for _, ratio := range []image.YCbCrSubsampleRatio{image.YCbCrSubsampleRatio420, image.YCbCrSubsampleRatio422, image.YCbCrSubsampleRatio444} {
			src := image.NewYCbCr(image.Rect(0, 0, w, w+1), ratio)
			for i := range src.Y {
				src.Y[i] = 100
			}
			for i := range src.Cb {
				src.Cb[i], src.Cr[i] = 90, 160
			}
			rgb, gw, gh := planes(src)
			r, g, b := color.YCbCrToRGB(100, 90, 160)
			if gw != w || gh != w+1 || rgb[0][len(rgb[0])-1] != r || slices.Max(rgb[1]) != g || slices.Min(rgb[2]) != b {
				t.Errorf("%d wide, %v: %d x %d", w, ratio, gw, gh)
			}
		}
	}
}

func FuzzImage(f *testing.F) {
	img := image.NewYCbCr(image.Rect(0, 0, 5, 3), image.YCbCrSubsampleRatio420)
	var b bytes.Buffer
	if err := jpeg.Encode(&b, img, nil); err != nil {
		f.Fatal(err)
	}
	f.Add(b.Bytes(), false)
	f.Add(picture(f, 3, 7, plain(color.White)), true)
	f.Fuzz(func(t *testing.T, data []byte, inTar bool) {
		section := map[string]any{"format": "images", "train": map[string]any{"path": "p"}, "size": []any{3, 2}}
		root := t.TempDir()
		if inTar {
			data = archive(t, map[string][]byte{"a/x.png": data, "b/y.jpg": data})
		}
		if err := os.WriteFile(filepath.Join(root, "p"), data, 0o644); err != nil {
			t.Fatal(err)
		}
		_, _, _ = Build(t.Context(), decodeSpec(t, section), root) // must not panic
	})
}
