package dataset

import (
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/lockstep-ml/lockstep/pkg/nn"
)

func TestIDX(t *testing.T) {
	const n = 50
	pixels := ramp(n * 12)
	root := writeFiles(t, map[string][]byte{"images": idx(pixels, n, 3, 4), "labels": idx(labels(n, 7), n)})
	spec, m, test := build(t, idxSection, root)
	if test != nil {
		t.Error("a test set came from nowhere")
	}
	want := nn.Input{Shape: []int{1, 3, 4}, Target: nn.Target{Kind: nn.TargetClass, Classes: 7}}
	if diff := cmp.Diff(want, InputOf(m)); diff != "" {
		t.Errorf("input (-want +got):\n%s", diff)
	}
	b := all(t, open(t, spec, root, m, ""))
	for i, v := range b.X {
		if want := float32(float64(pixels[i]) / 255); v != want {
			t.Fatalf("pixel %d: %v, want %v", i, v, want)
		}
	}
	for i, c := range b.Classes {
		if c != int32(i%7) {
			t.Fatalf("label %d: %d", i, c)
		}
	}
}

// Packed files, a part of a file, and other numbers of dimensions.
func TestIDXForms(t *testing.T) {
	const n = 20
	pixels := ramp(n * 12)
	root := writeFiles(t, map[string][]byte{
		"images": idx(pixels, n, 3, 4), "images.gz": packed(idx(pixels, n, 3, 4)),
		"colour": idx(pixels, n, 3, 2, 2), "flat": idx(pixels, n, 12),
		"labels": idx(labels(n, 4), n), "labels.gz": packed(idx(labels(n, 4), n)),
		"middle": idx(pixels[5*12:9*12], 4, 3, 4), "middle-labels": idx(labels(n, 4)[5:9], 4),
	})
	files := func(images, labels string, more map[string]any) map[string]any {
		return map[string]any{"train": with(map[string]any{"images": images, "labels": labels}, more)}
	}
	_, plain, _ := build(t, idxSection, root)
	spec, gz, _ := build(t, with(idxSection, files("images.gz", "labels.gz", nil)), root)
	if plain.Digest() != gz.Digest() {
		t.Error("packed files are another data set")
	}
	if b := all(t, open(t, spec, root, gz, "")); b.X[13] != float32(float64(pixels[13])/255) {
		t.Error("packed pixels differ")
	}
	for _, name := range []string{"images", "images.gz"} {
		change := files(name, "labels.gz", map[string]any{"skip": uint64(5), "take": uint64(4)})
		change["classes"] = 4
		_, part, _ := build(t, with(idxSection, change), root)
		whole := files("middle", "middle-labels", nil)
		whole["classes"] = 4
		_, middle, _ := build(t, with(idxSection, whole), root)
		if part.Digest() != middle.Digest() {
			t.Errorf("%s: records 5 to 8 differ from a file of them", name)
		}
	}
	_, colour, _ := build(t, with(idxSection, files("colour", "labels", nil)), root)
	if diff := cmp.Diff([]int{3, 2, 2}, colour.Input.Shape); diff != "" || len(colour.Fit.Columns) != 3 {
		t.Errorf("colour: %s, %d channels", diff, len(colour.Fit.Columns))
	}
	_, flat, _ := build(t, with(idxSection, files("flat", "labels", nil)), root)
	if diff := cmp.Diff([]int{12}, flat.Input.Shape); diff != "" {
		t.Errorf("flat: %s", diff)
	}
	bare := map[string]any{"train": map[string]any{"images": "images"}}
	spec, alone, _ := build(t, with(idxSection, bare), root)
	if in := InputOf(alone); in.Target.Kind != nn.TargetNone {
		t.Errorf("no labels, but target %+v", in.Target)
	}
	if b := all(t, open(t, spec, root, alone, "")); b.Classes != nil || len(b.X) != n*12 {
		t.Error("no labels, but classes")
	}
}

func TestIDXFraction(t *testing.T) {
	const n = 10
	root := writeFiles(t, map[string][]byte{"images": idx(ramp(n*4), n, 2, 2), "labels": idx(labels(n, 2), n)})
	spec, train, test := build(t, with(idxSection, map[string]any{"test": map[string]any{"fraction": 0.3}}), root)
	if train.Records != 7 || test.Records != 3 {
		t.Fatalf("%d and %d records of 10 for a fraction of 0.3", train.Records, test.Records)
	}
	if b := all(t, open(t, spec, root, test, "")); b.X[0] != float32(float64(ramp(n * 4)[28])/255) {
		t.Error("the test set is not the end of the file")
	}
}

// Normalised pixels have mean 0 and deviation 1, channel by channel.
func TestIDXNormalise(t *testing.T) {
	const n = 40
	root := writeFiles(t, map[string][]byte{"images": idx(ramp(n*8), n, 2, 2, 2), "labels": idx(labels(n, 2), n)})
	spec, m, _ := build(t, with(idxSection, map[string]any{"normalise": true}), root)
	b := all(t, open(t, spec, root, m, ""))
	for c := range 2 {
		var sum, squares float64
		for i, v := range b.X {
			if i/4%2 == c {
				sum += float64(v)
				squares += float64(v) * float64(v)
			}
		}
		mean, std := sum/(n*4), math.Sqrt(squares/(n*4))
		// float32 rounds each of 160 values near 1 by up to 6e-8.
		if math.Abs(mean) > 1e-6 || math.Abs(std-1) > 1e-6 {
			t.Errorf("channel %d: mean %g, deviation %g", c, mean, std)
		}
	}
	spec, m, _ = build(t, with(idxSection, map[string]any{"mean": 0.5, "std": []any{0.25, 0.5}}), root)
	b = all(t, open(t, spec, root, m, ""))
	if want := float32((float64(ramp(8)[4])/255 - 0.5) / 0.5); math.Abs(float64(b.X[4]-want)) > 1e-6 {
		t.Errorf("given mean and std: %v, want %v", b.X[4], want)
	}
}
