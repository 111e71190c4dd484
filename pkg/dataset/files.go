package dataset

import (
	"slices"
	"strings"

	"github.com/lockstep-ml/lockstep/internal/nearest"
)

// filesFields returns the fields train and test of a format whose splits have the
// given file keys.
func filesFields(keys ...string) []Field {
	keys = append(slices.Clone(keys), "skip", "take")
	return []Field{
		{Name: "train", Type: typeFiles, Required: true, Keys: keys,
			Summary: "the training files, and skip and take to use a part of their records"},
		{Name: "test", Type: typeFiles, Keys: append(slices.Clone(keys), "fraction", "seed"),
			Summary: "the test files, or fraction: 0.2 to set aside that share of the training files"},
	}
}

// files reads a split: one path, or a mapping of f.Keys.
func (d *decoder) files(f Field, path string, raw any) (Files, bool) {
	var out Files
	if s, ok := raw.(string); ok && slices.Contains(f.Keys, "path") {
		out.Path = s
		return out, true
	}
	m, ok := raw.(map[string]any)
	if !ok {
		d.bad(path, "expected a mapping of %s, got %s", strings.Join(f.Keys, ", "), describe(raw))
		return out, false
	}
	before := len(d.errs)
	for _, key := range sortedKeys(m) {
		if !slices.Contains(f.Keys, key) {
			d.bad(path+"."+key, "unknown field%s; expected one of %s", nearest.DidYouMean(key, f.Keys), strings.Join(f.Keys, ", "))
			continue
		}
		d.file(&out, path+"."+key, key, m[key])
	}
	return out, len(d.errs) == before
}

// file sets one field of a split.
func (d *decoder) file(out *Files, path, key string, raw any) {
	var good bool
	want := "text, the path of a file"
	switch key {
	case "path":
		out.Path, good = raw.(string)
	case "under":
		out.Under, good = raw.(string)
		want = "text, a folder"
	case "images":
		out.Images, good = raw.(string)
	case "labels":
		out.Labels, good = raw.(string)
	case "skip", "take":
		var n int64
		n, good = integer(raw)
		good = good && n >= 0
		want = "a number of records"
		if key == "skip" {
			out.Skip = n
		} else {
			out.Take = n
		}
	case "fraction":
		out.Fraction, good = number(raw)
		good = good && out.Fraction > 0 && out.Fraction < 1
		want = "a number above 0 and below 1"
	case "seed":
		var n int64
		n, good = integer(raw)
		out.Seed, want = uint64(n), "an integer"
	}
	if !good {
		d.bad(path, "expected %s, got %s", want, describe(raw))
	}
}

// checkFiles checks what the table can not say: which fields go together.
func (d *decoder) checkFiles(s Spec, section map[string]any) {
	if section["train"] != nil && s.Train.main() == "" && len(d.errs) == 0 {
		d.bad("train", "names no file")
	}
	if section["test"] == nil || len(d.errs) > 0 {
		return
	}
	switch named := s.Test.main() != "" || s.Test.Labels != ""; {
	case named && s.Test.Fraction != 0:
		d.bad("test.fraction", "the test set has files of its own; give fraction or files, not both")
	case !named && s.Test.Fraction == 0:
		d.bad("test", "names no file; give one, or fraction: 0.2 to set aside a part of the training files")
	case named && s.Test.main() == "":
		d.bad("test.images", "missing: labels need their images")
	case !named && (s.Test.Skip != 0 || s.Test.Take != 0):
		d.bad("test", "skip and take need files; train's apply before the fraction is set aside")
	}
}

// main returns the file that holds the inputs.
func (f Files) main() string {
	if f.Images != "" {
		return f.Images
	}
	return f.Path
}
