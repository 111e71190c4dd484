package job

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestResolve(t *testing.T) {
	for text, want := range map[string]any{
		"": nil, "~": nil, "null": nil, "true": true, "False": false, "yes": "yes", "on": "on",
		"0": int64(0), "-3": int64(-3), "+3": int64(3), "012": int64(12), "1_000": int64(1000),
		"0x1F": int64(31), "0o17": int64(15), "18446744073709551615": uint64(math.MaxUint64),
		"99999999999999999999": 1e20, "1e-4": 1e-4, "1.": 1.0, ".5": 0.5, "-.5e3": -500.0,
		"1e999": "1e999", "1e": "1e", ".": ".", "-": "-", "1.2.3": "1.2.3", "2020-01-01": "2020-01-01",
		".inf": math.Inf(1), "-.inf": math.Inf(-1), "relu": "relu",
	} {
		if got := resolve(text); got != want {
			t.Errorf("resolve(%q) = %T %v, want %T %v", text, got, got, want, want)
		}
	}
}

// What formatScalar writes is read as the same value, inside any structure.
func TestScalarsSurvive(t *testing.T) {
	for _, v := range []any{
		nil, true, int64(-5), int64(math.MinInt64), uint64(math.MaxUint64), 0.1, 1e300, 1.0, math.Copysign(0, -1), 5e-324, math.Inf(-1),
		"", "relu", "true", "12", "1e3", "a b", "a: b", "#x", "- x", "[x]", "{x}", "'", `"\`, "a\nb\tc", "é\u0085", "\u2028", "&a", "*a", "!t", "null", "~", "data/train.gz", "@", "`", "%", "?", "|", ">", "a #b", " x ", "\U0001f600",
	} {
		root := &node{kind: mappingKind, entries: []entry{{key: "k", value: &node{kind: listKind, items: []*node{
			{value: v}, {kind: mappingKind, entries: []entry{{key: "in", value: &node{value: v}}}}}}}}}
		ps := newProblems("f", nil)
		again := parse(render(root), "", ps)
		if err := ps.err(); err != nil {
			t.Errorf("%#v: %s: %v", v, render(root), err)
			continue
		}
		if got, want := plain(again), plain(root); !cmp.Equal(got, want) {
			t.Errorf("%s gives %#v, want %#v", render(root), got, want)
		}
	}
}

func TestLocate(t *testing.T) {
	root := parse([]byte("model:\n  - flatten\n  - dense: 128\n  - dense: {units: 10, bias: true}\nloss: mse\n"), "", newProblems("f", nil))
	for path, want := range map[string]string{
		"model":                "2:3",
		"model[0]":             "2:5",
		"model[1].dense.units": "3:12",
		"model[2].dense.bias":  "4:30",
		"model[2].dense":       "4:12",
		"model[7].dense":       "2:3",
		"loss.mse.weight":      "5:7",
		"nothing":              "1:1",
		"":                     "1:1",
	} {
		if got := root.locate(path).short(); got != want {
			t.Errorf("locate(%q) = %s, want %s", path, got, want)
		}
	}
}

func TestSplitPath(t *testing.T) {
	for path, want := range map[string]string{
		"a": "a", "a.b": "a.b", "a[3].b": "a[3].b", "a[0][1]": "a[0][1]", "[2]": "[2]",
	} {
		segs, ok := splitPath(path)
		if got := joinPath(segs); !ok || got != want {
			t.Errorf("splitPath(%q) = %s, %v", path, got, ok)
		}
	}
	for _, path := range []string{"", ".", "a.", ".a", "a..b", "a[", "a[]", "a[x]", "a[1", "a[1]b", "a[-1]", "a[99999999]", "a.[1]"} {
		if segs, ok := splitPath(path); ok {
			t.Errorf("splitPath(%q) = %v, want refusal", path, segs)
		}
	}
}

func TestOverride(t *testing.T) {
	for name, c := range map[string]struct {
		set  []string
		want string // path, then what render gives for the field there
	}{
		"replace":            {[]string{"epochs=9"}, "epochs: 9"},
		"add":                {[]string{"steps=300"}, "steps: 300"},
		"add deep":           {[]string{"checkpoint.every=7"}, "checkpoint: {every: 7}"},
		"in a mapping":       {[]string{"optimizer.sgd.lr=0.5"}, "optimizer: {sgd: {lr: 0.5}}"},
		"open a word":        {[]string{"loss.mse.weight=0.5"}, "loss: {mse: {weight: 0.5}}"},
		"list element":       {[]string{"model[1].dropout=0.3"}, "  - {dropout: 0.3}"},
		"whole element":      {[]string{"model[0]={dense: {units: 4}}"}, "  - {dense: {units: 4}}"},
		"remove":             {[]string{"epochs=null", "steps=5"}, "steps: 5"},
		"remove element":     {[]string{"model[0]=null"}, "model:\n  - {dropout: 0.2}\nloss"},
		"remove what is not": {[]string{"nothing=null"}, "epochs: 2"},
		"later wins":         {[]string{"epochs=3", "epochs=4"}, "epochs: 4"},
		"equals in value":    {[]string{"name='a=b'"}, `name: "a=b"`},
		"spaces":             {[]string{" epochs = 4"}, "epochs: 4"},
	} {
		t.Run(name, func(t *testing.T) {
			ps := newProblems("f", nil)
			root := parse([]byte("name: x\nmodel: [dense: 3, dropout: 0.2]\nloss: mse\noptimizer: {sgd: {lr: 0.1}}\nepochs: 2\n"), "", ps)
			for _, set := range c.set {
				override(root, set, ps)
			}
			if err := ps.err(); err != nil {
				t.Fatal(err)
			}
			if got := string(render(root)); !strings.Contains(got, c.want) {
				t.Errorf("got\n%s\nwant in it %q", got, c.want)
			}
		})
	}
}

func TestCanonical(t *testing.T) {
	spec := decode(t, full, "optimizer.adam.lr=0.01", "model[4].dropout=0.5", "schedule=null")
	text := spec.Canonical()
	again := decode(t, string(text))
	if string(again.Canonical()) != string(text) {
		t.Errorf("the canonical form of\n%s\nis\n%s", text, again.Canonical())
	}
	if diff := cmp.Diff(spec, again, ignoreSource()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	golden(t, "testdata/canonical.yaml", string(text))
}

// fieldError is an error of another package that names a field.
type fieldError struct{ path, message string }

func (e fieldError) Error() string               { return e.path + ": " + e.message }
func (e fieldError) FieldPath() (string, string) { return e.path, e.message }

func TestExplain(t *testing.T) {
	spec := decode(t, full, "data.test.labels=none.gz")
	plainErr := errors.New("disk on fire")
	if got := spec.Explain(plainErr); got != plainErr {
		t.Errorf("an error without a field became %v", got)
	}
	if got := spec.Explain(nil); got != nil {
		t.Errorf("nil became %v", got)
	}
	err := fmt.Errorf("data: %w", errors.Join(
		fieldError{"data.test.labels", "none.gz: no such file"},
		plainErr,
		fieldError{"data.train.images", "train-images.gz: no such file"}))
	want := `job.yaml:2:1: disk on fire
   2 | name: digits
     | ^
job.yaml:7:19: data.train.images: train-images.gz: no such file
   7 |   train: {images: train-images.gz, labels: train-labels.gz}
     |                   ^
--set data.test.labels=none.gz: data.test.labels: none.gz: no such file`
	if diff := cmp.Diff(want, spec.Explain(err).Error()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	var ps Problems
	if !errors.As(spec.Explain(err), &ps) || len(ps) != 3 {
		t.Errorf("%v is not 3 Problems", spec.Explain(err))
	}
}
