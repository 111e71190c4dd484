package dataset

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/lockstep-ml/lockstep/pkg/nn"
)

const houses = `area,where,age,price
100,north,10,1000
200,"south, far",20,3000
300,north,,2000
`

var csvSection = map[string]any{
	"format": "csv", "train": "houses.csv", "target": "price",
	"columns": map[string]any{"where": "category"}, "missing": "mean",
}

// near compares floats: float32 has 24 bits.
var near = cmpopts.EquateApprox(1e-6, 1e-6)

func TestCSVRegression(t *testing.T) {
	root := writeFiles(t, map[string][]byte{"houses.csv": []byte(houses)})
	spec, m, _ := build(t, csvSection, root)
	want := nn.Input{Shape: []int{4}, Target: nn.Target{Kind: nn.TargetValue, Scale: 816.496580927726}}
	if diff := cmp.Diff(want, InputOf(m), near); diff != "" {
		t.Errorf("input (-want +got):\n%s", diff)
	}
	// Standardised by hand: area has mean 200 and deviation sqrt(20000/3), age
	// (two values) mean 15 and deviation 5, its missing value becomes the mean.
	s := float32(math.Sqrt(1.5))
	b := all(t, open(t, spec, root, m, ""))
	if diff := cmp.Diff([]float32{-s, 1, 0, -1, 0, 0, 1, 1, s, 1, 0, 0}, b.X, near); diff != "" {
		t.Errorf("X (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]float32{-s, s, 0}, b.Y, near); diff != "" {
		t.Errorf("Y (-want +got):\n%s", diff)
	}
	target := m.Fit.Target[0]
	if back := float64(b.Y[1])*target.Scale + target.Shift; math.Abs(back-3000) > 1e-3 {
		t.Errorf("the target's fit gives back %v, want 3000", back)
	}
}

func TestCSVOptions(t *testing.T) {
	files := map[string][]byte{
		"houses.csv": []byte(houses),
		"semi.csv":   []byte("\xef\xbb\xbfa;b\r\n1;2\r\n\r\n3;4\r\n"),
		"tab.tsv":    []byte("ham\t\"1\nspam\t2\nham\t3\n"),
		"one.csv":    []byte("a,b\n5,1\n5,2"),
		"houses.gz":  packed([]byte(houses)),
	}
	root := writeFiles(t, files)
	for name, c := range map[string]struct {
		section map[string]any
		x       []float32
		y       []float32
		classes []int32
	}{
		"drop":   {with(csvSection, map[string]any{"missing": "drop", "normalise": "none", "normalise_target": "none"}), []float32{100, 1, 0, 10, 200, 0, 1, 20}, []float32{1000, 3000}, nil},
		"zero":   {with(csvSection, map[string]any{"missing": "zero", "normalise": "none", "normalise_target": "minmax"}), []float32{100, 1, 0, 10, 200, 0, 1, 20, 300, 1, 0, 0}, []float32{0, 1, 0.5}, nil},
		"packed": {with(csvSection, map[string]any{"train": "houses.gz", "missing": "zero", "normalise": "none", "normalise_target": "none"}), []float32{100, 1, 0, 10, 200, 0, 1, 20, 300, 1, 0, 0}, []float32{1000, 3000, 2000}, nil},
		"take":   {with(csvSection, map[string]any{"train": map[string]any{"path": "houses.csv", "skip": 1, "take": 1}, "normalise": "none", "normalise_target": "none"}), []float32{200, 1, 20}, []float32{3000}, nil},
		"ignore": {with(csvSection, map[string]any{"columns": map[string]any{"where": "ignore", "age": "ignore"}, "normalise": "minmax"}), []float32{0, 0.5, 1}, []float32{-math.Sqrt2 * 0.8660254, math.Sqrt2 * 0.8660254, 0}, nil},
		"classes": {with(csvSection, map[string]any{"target": "where", "columns": map[string]any{"where": "category", "age": "ignore", "price": "ignore"}, "normalise": "none"}),
			[]float32{100, 200, 300}, nil, []int32{0, 1, 0}},
		"semicolon": {map[string]any{"format": "csv", "train": "semi.csv", "separator": ";", "target": "b", "normalise": "none", "normalise_target": "none"}, []float32{1, 3}, []float32{2, 4}, nil},
		"no header": {map[string]any{"format": "csv", "train": "tab.tsv", "separator": "\t", "quotes": false, "header": false, "names": []any{"kind", "n"}, "target": "kind",
			"columns": map[string]any{"kind": "category", "n": "category"}}, []float32{1, 0, 0, 0, 1, 0, 0, 0, 1}, nil, []int32{0, 1, 0}},
		"constant": {map[string]any{"format": "csv", "train": "one.csv", "target": "b", "normalise_target": "none"}, []float32{0, 0}, []float32{1, 2}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			spec, m, _ := build(t, c.section, root)
			b := all(t, open(t, spec, root, m, ""))
			if diff := cmp.Diff(c.x, b.X, near); diff != "" {
				t.Errorf("X (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(c.y, b.Y, near, cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("Y (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(c.classes, b.Classes, cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("classes (-want +got):\n%s", diff)
			}
		})
	}
}

// A fraction splits one file by record number: every record is in one of the
// sets, the split is the same each time, and the fit sees training records only.
func TestCSVFraction(t *testing.T) {
	var text strings.Builder
	text.WriteString("a,b\n")
	const n = 1000
	for i := range n {
		fmt.Fprintf(&text, "%d,0\n", i)
	}
	root := writeFiles(t, map[string][]byte{"t.csv": []byte(text.String())})
	section := map[string]any{"format": "csv", "train": "t.csv", "target": "b", "normalise": "none",
		"test": map[string]any{"fraction": 0.2, "seed": 3}}
	spec, train, test := build(t, section, root)
	_, again, _ := build(t, section, root)
	if again.Digest() != train.Digest() {
		t.Error("built twice, two manifests")
	}
	// The test set has a binomial count: mean 200, deviation sqrt(160) = 12.6.
	if test.Records < 150 || test.Records > 250 {
		t.Errorf("%d test records of 1000 for a fraction of 0.2", test.Records)
	}
	seen := map[float32]int{}
	for _, b := range []*nn.Batch{all(t, open(t, spec, root, train, "")), all(t, open(t, spec, root, test, ""))} {
		for _, v := range b.X {
			seen[v]++
		}
	}
	for i := range n {
		if seen[float32(i)] != 1 {
			t.Fatalf("record %d is in %d sets", i, seen[float32(i)])
		}
	}
	_, other, _ := build(t, with(section, map[string]any{"test": map[string]any{"fraction": 0.2, "seed": 4}}), root)
	if other.Digest() == train.Digest() {
		t.Error("two seeds, one split")
	}
	fitted := with(section, map[string]any{"normalise": "minmax", "train": map[string]any{"path": "t.csv", "take": 100}})
	_, train, test = build(t, fitted, root)
	if diff := cmp.Diff(train.Fit, test.Fit); diff != "" {
		t.Errorf("the test set was fitted anew (-train +test):\n%s", diff)
	}
}

// Test files are coded by the training fit, whatever the order of columns.
func TestCSVTestFile(t *testing.T) {
	root := writeFiles(t, map[string][]byte{"houses.csv": []byte(houses),
		"test.csv": []byte("price,age,where,area\n1000,10,east,100\n")})
	spec, m, test := build(t, with(csvSection, map[string]any{"test": "test.csv", "unknown": "zero"}), root)
	train := all(t, open(t, spec, root, m, ""))
	b := all(t, open(t, spec, root, test, ""))
	if diff := cmp.Diff([]float32{train.X[0], 0, 0, train.X[3]}, b.X); diff != "" {
		t.Errorf("X (-want +got):\n%s", diff)
	}
	if b.Y[0] != train.Y[0] {
		t.Errorf("Y %v, want %v", b.Y[0], train.Y[0])
	}
}

func TestSortedWords(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"10 9 1.5", "1.5 9 10"}, {"b a 10", "10 a b"}, {"NaN 3", "3 NaN"},
	} {
		words := map[string]bool{}
		for _, w := range strings.Fields(c.in) {
			words[w] = true
		}
		if got := strings.Join(sortedWords(words), " "); got != c.want {
			t.Errorf("%q sorted: %q, want %q", c.in, got, c.want)
		}
	}
}
