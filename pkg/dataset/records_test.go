package dataset

import (
	"image/color"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/lockstep-ml/lockstep/pkg/shard"
)

// fitOf returns what a model file says of the data that it was trained on.
func fitOf(m *shard.Manifest) *shard.Manifest { return &shard.Manifest{Input: m.Input, Fit: m.Fit} }

// New records are coded as the same ones were in training, from what a model file
// says, without their targets.
func TestOpenRecords(t *testing.T) {
	numbers := map[string]any{"format": "csv", "train": "houses.csv", "header": false, "target": "c2", "columns": map[string]any{"c3": "ignore"}}
	messages := map[string]any{"format": "csv", "train": "houses.csv", "header": false, "separator": "\t", "names": []any{"kind", "text"},
		"target": "kind", "columns": map[string]any{"kind": "category", "text": "text"}, "length": 3}
	ids := map[string]any{"format": "csv", "train": "houses.csv", "target": "r", "weight": "w", "columns": map[string]any{"u": "id", "i": "id"}}
	series := map[string]any{"format": "series", "train": "houses.csv", "target": "b", "window": 2, "horizon": 2}
	days := "a,b\n1,5\n2,7\n4,8\n8,6\n9,1\n"
	for name, c := range map[string]struct {
		section    map[string]any
		train, new string
		extra      int // records of new behind those of train
	}{
		"another order":      {csvSection, houses, "id,where,age,area\n7,north,10,100\n8,\"south, far\",20,200\n9,north,NA,300\n", 0},
		"with targets":       {csvSection, houses, houses, 0},
		"unreadable targets": {csvSection, houses, strings.NewReplacer("1000", "", "3000", "?").Replace(houses), 0},
		"classes": {with(csvSection, map[string]any{"target": "where", "missing": "drop"}),
			"area,where,age,price\n100,north,1,1000\n200,south,2,3000\n", "area,age,price\n100,1,1000\n200,2,3000\n", 0},
		"no names":          {numbers, "1,2,x,4\n5,6,y,8\n", "1,,,4\n5,,,8\n", 0},
		"no names, targets": {numbers, "1,2,x,4\n5,6,y,8\n", "1,x,4\n5,y,8\n", 0},
		"names":             {messages, "ham\tsee you soon\nspam\tyou won\n", "see you soon\nyou won\n", 0},
		"ids":               {ids, "u,i,r,w\n1,a,5,1\n2,b,4,1\n", "i,u\na,1\nb,2\n", 0},
		"series":            {series, days, days, 2},
	} {
		t.Run(name, func(t *testing.T) {
			root := writeFiles(t, map[string][]byte{"houses.csv": []byte(c.train), "new": []byte(c.new)})
			spec, train, _ := build(t, c.section, root)
			want := all(t, open(t, spec, root, train, ""))
			set, err := OpenRecords(t.Context(), spec, filepath.Join(root, "new"), fitOf(train))
			if err != nil {
				t.Fatal(err)
			}
			defer set.Close()
			got := all(t, set)
			if set.Manifest().Records != train.Records+int64(c.extra) {
				t.Fatalf("%d records, the training set has %d", set.Manifest().Records, train.Records)
			}
			if len(got.Y)+len(got.Classes)+len(got.Weights) > 0 {
				t.Errorf("there are targets: %v %v %v", got.Y, got.Classes, got.Weights)
			}
			if diff := cmp.Diff(want.X, got.X[:len(want.X)], cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("X (-training +new):\n%s", diff)
			}
			if diff := cmp.Diff(want.Tokens, got.Tokens, cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("tokens (-training +new):\n%s", diff)
			}
		})
	}
}

// Pictures need neither labels nor folders of classes.
func TestOpenPictures(t *testing.T) {
	red := picture(t, 4, 4, plain(color.NRGBA{200, 10, 20, 255}))
	loose := map[string][]byte{"a.png": red, "sub/b.png": red, "notes.txt": []byte("red")}
	root := folder(t, map[string][]byte{"train/red/a.png": red, "train/blue/b.png": red, "new/a.png": red, "new/sub/b.png": red,
		"new.tar": archive(t, loose), "images": idx(ramp(24), 3, 2, 4), "labels": idx(labels(3, 3), 3), "new.idx": idx(ramp(16), 2, 2, 4), "new.gz": packed(idx(ramp(16), 2, 2, 4))})
	folders := map[string]any{"format": "images", "train": "train", "size": 4}
	for name, c := range map[string]struct {
		section map[string]any
		file    string
		names   []string
	}{
		"folder":  {folders, "new", []string{"a.png", "sub/b.png"}},
		"archive": {folders, "new.tar", []string{"a.png", "sub/b.png"}},
		"picture": {folders, "new/a.png", []string{filepath.Join(root, "new/a.png")}},
		"classes": {folders, "train", []string{"blue/b.png", "red/a.png"}},
		"idx":     {idxSection, "new.idx", []string{"", ""}},
		"packed":  {idxSection, "new.gz", []string{"", ""}},
	} {
		t.Run(name, func(t *testing.T) {
			spec, train, _ := build(t, c.section, root)
			want := all(t, open(t, spec, root, train, ""))
			set, err := OpenRecords(t.Context(), spec, filepath.Join(root, c.file), fitOf(train))
			if err != nil {
				t.Fatal(err)
			}
			defer set.Close()
			var names []string
			for i := range set.Manifest().Records {
				names = append(names, set.Name(i))
			}
			if diff := cmp.Diff(c.names, names); diff != "" {
				t.Errorf("names (-want +got):\n%s", diff)
			}
			got := all(t, set)
			if n := len(c.names) * len(want.X) / int(train.Records); len(got.X) != n || !cmp.Equal(want.X[:n], got.X) || len(got.Classes) > 0 {
				t.Errorf("%d numbers %v, want %d as in training: %v; classes %v", len(got.X), got.X, n, want.X, got.Classes)
			}
		})
	}
}

func TestBadRecords(t *testing.T) {
	series := map[string]any{"format": "series", "train": "houses.csv", "target": "price", "window": 2, "columns": map[string]any{"where": "category"}, "missing": "zero"}
	strict := with(csvSection, map[string]any{"train": "whole.csv", "missing": "drop"})
	folders := map[string]any{"format": "images", "train": "pets", "size": 2}
	unnamed := map[string]any{"format": "csv", "train": "plain.csv", "header": false, "target": "c2"}
	for name, c := range map[string]struct {
		section map[string]any
		new     string
		want    string
	}{
		"no column":          {csvSection, "area,where\n1,north\n", `has no column "age"`},
		"unknown category":   {csvSection, "area,where,age\n1,nort,2\n", `line 2: column "where": category "nort" is not in the training set; did you mean "north"?`},
		"no number":          {csvSection, "area,where,age\n1,north,2\nbig,north,2\n", `line 3: column "area": "big" is not a number; correct it`},
		"missing":            {strict, "area,where,age\n1,north,\n", `line 2: column "age" is missing (""); fill it in`},
		"missing category":   {strict, "area,where,age\n1,NA,5\n", `line 2: column "where" is missing ("NA"); fill it in`},
		"fill by job only":   {with(strict, map[string]any{"missing": "error"}), "area,where,age\n1,north,\n", `column "age" is missing`},
		"no rows":            {csvSection, "area,where,age\n", "has no records"},
		"empty":              {csvSection, "", "is empty"},
		"no names":           {unnamed, "1\n", "gives 3 names, but new has 1 column"},
		"series too short":   {series, "area,where,age,price\n1,north,2,3\n", "has 1 row, but a record is a window of 2"},
		"series, no target":  {series, "area,where,age\n1,north,2\n", `has no column "price"`},
		"series, target gap": {series, "area,where,age,price\n1,north,2,\n", `target "price" is missing`},
		"other images":       {idxSection, string(idx(ramp(18), 2, 3, 3)), "has images of shape (1, 3, 3), the training images have (1, 2, 4)"},
		"no picture":         {folders, strings.Repeat("RIFF", 200), "is no tar archive and no folder; give a .jpg, .jpeg or .png file"},
		"running text":       {map[string]any{"format": "text", "train": "houses.csv", "length": 4}, "a house", "no list of records"},
	} {
		t.Run(name, func(t *testing.T) {
			root := writeFiles(t, map[string][]byte{"houses.csv": []byte(houses), "whole.csv": []byte(strings.Replace(houses, "north,,", "north,3,", 1)),
				"plain.csv": []byte("1,2,3\n4,5,6\n"), "new": []byte(c.new), "pets": archive(t, pets(t)), "images": idx(ramp(24), 3, 2, 4), "labels": idx(labels(3, 3), 3)})
			spec, train, _ := build(t, c.section, root)
			t.Chdir(root)
			_, err := OpenRecords(t.Context(), spec, "new", fitOf(train))
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want %s", err, c.want)
			}
			if _, err = OpenRecords(t.Context(), spec, "none", fitOf(train)); name != "running text" && (err == nil || err.Error() != "none: no such file") {
				t.Errorf("no file: %v", err)
			}
		})
	}
}

// What a model file says of its data may not fit the job, or be damaged.
func TestRecordsOfAnotherFit(t *testing.T) {
	root := writeFiles(t, map[string][]byte{"houses.csv": []byte(houses), "images": idx(ramp(24), 3, 2, 4), "labels": idx(labels(3, 3), 3)})
	for name, c := range map[string]struct {
		section, other map[string]any
		change         func(m *shard.Manifest)
		want           string
	}{
		"wider":  {csvSection, csvSection, func(m *shard.Manifest) { m.Input.Shape = []int{9} }, "trained on records of numbers of shape (9), but the job makes numbers of shape (4)"},
		"tokens": {csvSection, csvSection, func(m *shard.Manifest) { m.Input.Tokens = 7 }, "trained on records of 4 tokens of 7"},
		"window": {with(csvSection, map[string]any{"format": "series", "window": 2, "horizon": 1}), with(csvSection, map[string]any{"format": "series", "window": 1, "horizon": 1}), nil,
			"shape (2, 5), but the job makes numbers of shape (1, 5)"},
		"no channels": {idxSection, idxSection, func(m *shard.Manifest) { m.Fit.Columns = nil }, "cannot be decoded"},
		"no shape":    {idxSection, idxSection, func(m *shard.Manifest) { m.Input.Shape = nil }, "has images of shape"},
	} {
		t.Run(name, func(t *testing.T) {
			_, train, _ := build(t, c.section, root)
			m := fitOf(train)
			if c.change != nil {
				c.change(m)
			}
			file := filepath.Join(root, "houses.csv")
			if c.section["format"] == "idx" {
				file = filepath.Join(root, "images")
			}
			_, err := OpenRecords(t.Context(), decodeSpec(t, c.other), file, m)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want %s", err, c.want)
			}
		})
	}
}
