package cli

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"image"
	"image/png"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/lockstep-ml/lockstep/pkg/checkpoint"
)

const sidesJob = `name: sides
data: {format: csv, train: sides.csv, target: side, columns: {side: category}}
model: [MODEL]
loss: binary_cross_entropy
optimizer: adam
epochs: 1
global_batch: 4
lanes: 2
metrics: [accuracy]
`

// Of two classes that one number tells apart, predict names those that eval
// counts, whether sigmoid is in the network or in the loss only.
func TestPredictTwoClassesByOneNumber(t *testing.T) {
	for _, model := range []string{"{dense: {units: 1, bias: false}}", "{dense: {units: 1, bias: false}}, sigmoid"} {
		dir := t.TempDir()
		job := filepath.Join(dir, "job.yaml")
		write(t, job, strings.Replace(sidesJob, "MODEL", model, 1))
		text := "x,side\n"
		for i := range 9 {
			text += fmt.Sprintf("%d,%s\n", 2*i-8, []string{"left", "right"}[i%2])
		}
		write(t, filepath.Join(dir, "sides.csv"), text)
		path := begin(t, job)

		out, err := typed(t, "eval", path, "--job", job, "--data", "train", "--json")
		if err != nil {
			t.Fatal(err)
		}
		var e struct{ Confusion [][]float64 }
		if err := json.Unmarshal([]byte(out), &e); err != nil {
			t.Fatal(err)
		}
		if out, err = typed(t, "predict", path, "--job", job, "--data", "train", "--json"); err != nil {
			t.Fatal(err)
		}
		got := [][]float64{{0, 0}, {0, 0}}
		at := map[string]int{"left": 0, "right": 1}
		for line := range strings.Lines(out) {
			var p struct {
				Class, Target string
				Probability   float64
			}
			if err := json.Unmarshal([]byte(line), &p); err != nil {
				t.Fatal(err)
			}
			if p.Probability < 0.5 || p.Probability >= 1 {
				t.Errorf("%s: probability %v of the surer class", model, p.Probability)
			}
			got[at[p.Target]][at[p.Class]]++
		}
		if fmt.Sprint(got) != fmt.Sprint(e.Confusion) || got[0][0]+got[1][0] == 0 || got[0][1]+got[1][1] == 0 {
			t.Errorf("%s: predict took %v, eval %v", model, got, e.Confusion)
		}
	}
}

// A model of one part of a table is applied to new rows as it was to the other part,
// without the table. Weights that do not say how their data were coded need it.
func TestPredictNewRecords(t *testing.T) {
	dir := t.TempDir()
	job, table, rows := filepath.Join(dir, "job.yaml"), filepath.Join(dir, "prices.csv"), filepath.Join(dir, "new.csv")
	write(t, job, strings.Replace(pricesJob, "train: prices.csv", "train: prices.csv, test: {fraction: 0.4}", 1))
	write(t, table, pricesCSV(1))
	path := begin(t, job)
	out, err := typed(t, "predict", path, "--job", job, "--json")
	if err != nil {
		t.Fatal(err)
	}
	text, want := "area\n", ""
	for line := range strings.Lines(out) {
		var p struct {
			Record         int
			Values, Target []float64
		}
		if err := json.Unmarshal([]byte(line), &p); err != nil {
			t.Fatal(err)
		}
		text += fmt.Sprintf("%.0f\n", 9+p.Target[0]/1000)
		value, _, _ := strings.Cut(line, `,"target"`)
		want += value + "}\n"
	}
	write(t, rows, text)

	tensors, _, _, err := checkpoint.LoadModel(path)
	if err != nil {
		t.Fatal(err)
	}
	silent := filepath.Join(dir, "silent.safetensors")
	if _, err := checkpoint.SaveModel(silent, tensors, nil); err != nil {
		t.Fatal(err)
	}
	if out, err = typed(t, "predict", silent, "--job", job, "--records", rows, "--json"); err != nil || out != want || want == "" {
		t.Errorf("of another program: %v\n%swant\n%s", err, out, want)
	}
	if err := os.Remove(table); err != nil {
		t.Fatal(err)
	}
	if out, err = typed(t, "predict", path, "--job", job, "--records", rows, "--json"); err != nil || out != want {
		t.Errorf("without the table: %v\n%swant\n%s", err, out, want)
	}
	t.Chdir(dir)
	if out, err = typed(t, "predict", path, "--job", job, "--records", "new.csv", "--json", "--limit", "1"); err != nil || strings.SplitAfter(want, "\n")[0] != out {
		t.Errorf("one of a file in the working directory: %v\n%s", err, out)
	}
	write(t, "bad.csv", "area\n12\nbig\n")
	for args, want := range map[string]string{
		"--records new.csv --data train": "leave out --data",
		"--records=":                     "--records names no file",
		"--records none.csv":             "none.csv: no such file",
		"--records bad.csv":              `bad.csv: line 3: column "area": "big" is not a number`,
		"--data train":                   "prices.csv: no such file",
	} {
		_, err := typed(t, append([]string{"predict", path, "--job", job}, strings.Fields(args)...)...)
		var usage usageError
		if !errors.As(err, &usage) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want a usage error with %q", args, err, want)
		}
	}
	damaged := filepath.Join(dir, "damaged.safetensors")
	for _, input := range []string{"{", `{"shape":[2],"target":{"kind":"value"}}`} {
		if _, err := checkpoint.SaveModel(damaged, tensors, map[string]string{metaInput: input, metaFit: "{}"}); err != nil {
			t.Fatal(err)
		}
		if _, err := typed(t, "predict", damaged, "--job", job, "--records", rows); err == nil || !strings.Contains(err.Error(), "trained on") {
			t.Errorf("a model of %s: %v", input, err)
		}
	}
}

// What is said of new pictures stands beside their names.
func TestPredictNewPictures(t *testing.T) {
	dir := t.TempDir()
	job := filepath.Join(dir, "job.yaml")
	write(t, job, "name: pets\ndata: {format: images, train: pets, size: 2}\n"+
		"model: [flatten, {dense: 2}]\nloss: cross_entropy\noptimizer: adam\nepochs: 1\nglobal_batch: 4\nlanes: 2\n")
	for _, name := range []string{"pets/cat/a.png", "pets/dog/b.png", "new/c.png", "new/more/d.png"} {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		var b bytes.Buffer
		if err := png.Encode(&b, image.NewGray(image.Rect(0, 0, 3, 3))); err != nil {
			t.Fatal(err)
		}
		write(t, path, b.String())
	}
	path, photos := begin(t, job), filepath.Join(dir, "new")
	lines, err := typed(t, "predict", path, "--job", job, "--records", photos)
	if err != nil || !regexp.MustCompile(`^c\.png  (cat|dog)  \(\d.*\nmore/d\.png  (cat|dog)  \(\d.*\n$`).MatchString(lines) {
		t.Errorf("%v\n%s", err, lines)
	}
	lines, err = typed(t, "predict", path, "--job", job, "--records", filepath.Join(photos, "c.png"), "--json")
	var p struct{ File, Class string }
	if err == nil {
		err = json.Unmarshal([]byte(lines), &p)
	}
	if err != nil || p.File != filepath.Join(photos, "c.png") || p.Class == "" {
		t.Errorf("one picture: %v\n%s", err, lines)
	}
	if lines, err = typed(t, "predict", path, "--job", job, "--data", "train"); err != nil || !strings.HasPrefix(lines, "record 0  ") {
		t.Errorf("of the job: %v\n%s", err, lines)
	}
}
