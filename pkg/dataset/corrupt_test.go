package dataset

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write testdata anew")

// corrupt are damaged or unfit data files, each with the section that reads them.
func corrupt() map[string]struct {
	files   map[string][]byte
	section map[string]any
} {
	const n = 10
	good, tags := idx(ramp(n*6), n, 2, 3), idx(labels(n, 10), n)
	damaged := packed(good)
	damaged[len(damaged)/2] ^= 0x55
	type files = map[string][]byte
	pair := func(images, labels []byte) files { return files{"images": images, "labels": labels} }
	bigLabel := slices.Clone(tags)
	bigLabel[8+4] = 200
	ten := with(idxSection, map[string]any{"classes": 10})
	tested := with(idxSection, map[string]any{"test": map[string]any{"images": "images2", "labels": "labels2"}})
	table := func(text string) files { return files{"houses.csv": []byte(text)} }
	second := func(text string) files {
		return files{"houses.csv": []byte(houses), "test.csv": []byte(text)}
	}
	withTest := with(csvSection, map[string]any{"test": "test.csv"})
	strict := with(csvSection, map[string]any{"missing": "error"})
	head, row := "area,where,age,price\n", "100,north,10,1000\n"
	type damage = struct {
		files   map[string][]byte
		section map[string]any
	}
	return map[string]damage{
		"idx truncated":            {pair(good[:40], tags), idxSection},
		"idx truncated, packed":    {pair(packed(good[:40]), tags), idxSection},
		"idx longer than it says":  {pair(append(slices.Clone(good), 0), tags), idxSection},
		"idx packed, longer":       {pair(packed(append(slices.Clone(good), 0)), tags), idxSection},
		"idx ends in header":       {pair(good[:9], tags), idxSection},
		"idx empty file":           {pair(nil, tags), idxSection},
		"idx wrong magic":          {pair([]byte("\x89PNG\r\n\x1a\n...."), tags), idxSection},
		"idx floats":               {pair([]byte{0, 0, 0x0d, 1, 0, 0, 0, 1, 0, 0, 0, 0}, tags), idxSection},
		"idx exchanged":            {pair(tags, good), idxSection},
		"idx no records":           {pair(idx(nil, 0, 2, 3), tags), idxSection},
		"idx absurd size":          {pair(idx(nil, 1, 1<<30, 1<<30), tags), idxSection},
		"idx label count":          {pair(good, idx(labels(9, 9), 9)), idxSection},
		"idx label out of range":   {pair(good, bigLabel), ten},
		"idx test label":           {files{"images": good, "labels": tags, "images2": good, "labels2": bigLabel}, tested},
		"idx test shape":           {files{"images": good, "labels": tags, "images2": idx(ramp(60), 10, 3, 2), "labels2": tags}, tested},
		"idx gzip cut":             {pair(packed(good)[:30], tags), idxSection},
		"idx gzip damaged":         {pair(damaged, tags), idxSection},
		"idx missing file":         {files{"images": good}, idxSection},
		"idx mean of two channels": {pair(good, tags), with(idxSection, map[string]any{"mean": []any{1.0, 2.0}})},
		"idx nothing left":         {pair(good, tags), with(idxSection, map[string]any{"train": map[string]any{"images": "images", "labels": "labels", "skip": 10}})},
		"idx fraction of nothing":  {pair(good, tags), with(idxSection, map[string]any{"test": map[string]any{"fraction": 0.001}})},
		"csv empty file":           {table(""), csvSection},
		"csv header only":          {table(head), csvSection},
		"csv column count":         {table(head + row + "1,2,3\n"), csvSection},
		"csv bad number":           {table(head + row + "1O0,north,10,1000\n"), csvSection},
		"csv underscore":           {table(head + row + "2024_01,north,10,1000\n"), csvSection},
		"csv word for a number":    {table(head + row), with(csvSection, map[string]any{"columns": nil})},
		"csv infinite":             {table(head + row + "inf,north,10,1000\n"), csvSection},
		"csv too large":            {table(head + row + "1e39,north,10,1000\n"), csvSection},
		"csv NaN":                  {table(head + "NaN,north,10,1000\n"), strict},
		"csv missing":              {table(houses), strict},
		"csv missing target":       {table(head + row + "100,north,10,\n"), csvSection},
		"csv empty column":         {table(head + "1,n,,3\n2,n,,4\n"), csvSection},
		"csv open quote":           {table(head + "100,\"north,10,1000\n200,south,20,2000\n"), csvSection},
		"csv quote in field":       {table(head + row + "100,no\"rth,10,1000\n"), csvSection},
		"csv twice":                {table("area,where,area,price\n"), csvSection},
		"csv unnamed":              {table("area,where,,price\n"), csvSection},
		"csv no header":            {table("1,2,3,4\n5,6,7,8\n"), csvSection},
		"csv binary":               {table("\x00\x01\xff\xfe,\n"), csvSection},
		"csv no such column":       {table(head + row), with(csvSection, map[string]any{"target": "prize", "columns": map[string]any{"were": "category"}})},
		"csv invalid UTF-8":        {table(head + "100,nor\xffth,10,1000\n"), csvSection},
		"csv gzip cut":             {table(string(packed([]byte(houses))[:40])), csvSection},
		"csv test category":        {second(head + row + "100,nort,10,1000\n"), withTest},
		"csv test column missing":  {second("area,where,price\n1,north,3\n"), withTest},
		"csv test column more":     {second("area,where,age,price,pool\n"), withTest},
		"csv test far away":        {second(head + "3e38,north,10,1000\n"), with(withTest, map[string]any{"normalise": "none"})},
		"csv test class":           {second("area,where,age,price\n1,norht,1,1\n"), with(withTest, map[string]any{"target": "where"})},
		"csv only a target":        {table("price\n1\n"), with(csvSection, map[string]any{"columns": nil})},
		"csv no weight":            {table(head + "0,north,10,1000\n0,south,9,900\n"), with(csvSection, map[string]any{"weight": "area"})},
		"series missing target":    {table("t\n1\n\"\"\n3\n"), map[string]any{"format": "series", "train": "houses.csv", "target": "t", "window": 1}},
		"series missing":           {table("t,u\n1,\n2,3\n3,\n"), map[string]any{"format": "series", "train": "houses.csv", "target": "t", "window": 1}},
		"csv names":                {table("1,2\n"), map[string]any{"format": "csv", "train": "houses.csv", "target": "a", "header": false, "names": []any{"a", "b", "c"}}},
	}
}

// Every damage gives an error that names the file, the place and the remedy.
func TestCorruptFiles(t *testing.T) {
	var got strings.Builder
	cases := corrupt()
	for _, name := range sortedKeys(cases) {
		c := cases[name]
		root := writeFiles(t, c.files)
		_, _, err := Build(t.Context(), decodeSpec(t, c.section), root)
		var e *Error
		if name == "csv test far away" {
			if err != nil {
				t.Errorf("%s: 3e38 fits a float32, but: %v", name, err)
			}
			continue
		}
		if err == nil {
			t.Errorf("%s: accepted", name)
			continue
		}
		if !errors.As(err, &e) {
			t.Errorf("%s: %v names no field of the job", name, err)
		} else if e.Path == "" {
			t.Errorf("%s: %v has no path", name, err)
		}
		fmt.Fprintf(&got, "# %s\n%s\n\n", name, strings.ReplaceAll(err.Error(), root, "ROOT"))
	}
	golden(t, "corrupt.txt", got.String())
}

// Every bad section gives its errors, all at once.
func TestBadSections(t *testing.T) {
	var got strings.Builder
	for _, c := range []struct {
		name    string
		section map[string]any
	}{
		{"no format", map[string]any{}},
		{"format", map[string]any{"format": "cvs"}},
		{"no train", map[string]any{"format": "idx"}},
		{"train is a number", map[string]any{"format": "idx", "train": 3}},
		{"train path for idx", map[string]any{"format": "idx", "train": "images"}},
		{"unknown fields", with(idxSection, map[string]any{"clases": 3, "norm": true})},
		{"types", with(idxSection, map[string]any{"classes": "ten", "normalise": 1, "mean": []any{"a"}, "scale": "units"})},
		{"range", with(idxSection, map[string]any{"classes": 300, "std": -1.0})},
		{"mean and normalise", with(idxSection, map[string]any{"normalise": true, "mean": 0.5})},
		{"files", with(idxSection, map[string]any{"train": map[string]any{"image": "a", "labels": 3, "skip": -1}})},
		{"test without files", with(idxSection, map[string]any{"test": map[string]any{}})},
		{"test both", with(idxSection, map[string]any{"test": map[string]any{"images": "a", "fraction": 0.5}})},
		{"test labels alone", with(idxSection, map[string]any{"test": map[string]any{"labels": "a"}})},
		{"fraction", with(csvSection, map[string]any{"test": map[string]any{"fraction": 1.5}})},
		{"take of a fraction", with(csvSection, map[string]any{"test": map[string]any{"fraction": 0.5, "take": 3}})},
		{"no target", with(csvSection, map[string]any{"target": nil})},
		{"column type", with(csvSection, map[string]any{"columns": map[string]any{"where": "categry", "age": 3}})},
		{"columns no map", with(csvSection, map[string]any{"columns": []any{"a"}})},
		{"target ignored", with(csvSection, map[string]any{"columns": map[string]any{"price": "ignore"}})},
		{"separator", with(csvSection, map[string]any{"separator": "ab"})},
		{"names and header", with(csvSection, map[string]any{"names": []any{"a"}})},
	} {
		_, err := Decode(c.section)
		if err == nil {
			t.Errorf("%s: accepted", c.name)
			continue
		}
		fmt.Fprintf(&got, "# %s\n%v\n\n", c.name, err)
	}
	golden(t, "sections.txt", got.String())
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", file, diff)
	}
}
