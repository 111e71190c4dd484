package dataset

import (
	"testing"
)

// Whatever bytes the files hold: an error or records, never a panic. Records that
// Build accepts, Open reads.
func fuzzRead(t *testing.T, section map[string]any, files map[string][]byte) {
	spec := decodeSpec(t, section)
	root := writeFiles(t, files)
	train, test, err := Build(t.Context(), spec, root)
	if err != nil {
		return
	}
	all(t, open(t, spec, root, train, ""))
	if test != nil {
		all(t, open(t, spec, root, test, ""))
	}
}

func FuzzIDX(f *testing.F) {
	good, tags := idx(ramp(24), 4, 2, 3), idx(labels(4, 3), 4)
	f.Add(good, tags)
	f.Add(packed(good), packed(tags))
	f.Add(packed(good)[:20], tags)
	f.Add(idx(nil, 1<<31-1, 1<<20, 127), tags)
	f.Fuzz(func(t *testing.T, images, labels []byte) {
		files := map[string][]byte{"images": images, "labels": labels}
		fuzzRead(t, with(idxSection, map[string]any{"normalise": true, "test": map[string]any{"fraction": 0.5}}), files)
	})
}

func FuzzCSV(f *testing.F) {
	f.Add([]byte(houses), []byte(houses), true)
	f.Add([]byte("area,where,price\n1,a,2\n"), []byte("where,area,price\r\na,\"1\",3"), true)
	f.Add([]byte("area;where\tprice\n"), []byte{0x1f, 0x8b, 0}, false)
	f.Fuzz(func(t *testing.T, train, test []byte, quotes bool) {
		files := map[string][]byte{"houses.csv": train, "test.csv": test}
		fuzzRead(t, with(csvSection, map[string]any{"test": "test.csv", "unknown": "zero", "quotes": quotes}), files)
	})
}

func FuzzText(f *testing.F) {
	f.Add([]byte("To be, or not to be"), uint8(3), uint8(1), true)
	f.Add(packed([]byte("é\xff")), uint8(1), uint8(5), false)
	f.Fuzz(func(t *testing.T, text []byte, length, stride uint8, words bool) {
		section := map[string]any{"format": "text", "train": "t", "length": int(length) + 1, "stride": int(stride), "test": map[string]any{"fraction": 0.3}}
		if words {
			section["tokens"] = "word"
		}
		fuzzRead(t, section, map[string][]byte{"t": text})
	})
}

func FuzzSeries(f *testing.F) {
	f.Add([]byte("a,b\n1,x\n2,y\n3,x\n"), uint8(1), uint8(1), false)
	f.Fuzz(func(t *testing.T, data []byte, window, horizon uint8, ids bool) {
		section := map[string]any{"format": "series", "train": "t", "target": "a", "window": int(window) + 1, "horizon": int(horizon) + 1,
			"columns": map[string]any{"b": "category"}, "missing": "zero", "unknown": "zero", "test": map[string]any{"fraction": 0.3}}
		if ids {
			section = map[string]any{"format": "csv", "train": "t", "target": "a", "columns": map[string]any{"b": "id"}, "unknown": "zero",
				"missing": "mean", "test": map[string]any{"fraction": 0.3}}
		}
		fuzzRead(t, section, map[string][]byte{"t": data})
	})
}

func FuzzDecode(f *testing.F) {
	f.Add("format", "idx", 3.5, int64(-1))
	f.Fuzz(func(t *testing.T, key, word string, x float64, n int64) {
		for _, format := range Formats() {
			section := map[string]any{"format": format.Name, key: word}
			for i, field := range format.Fields {
				section[field.Name] = []any{x, n, word, []any{word, x}, map[string]any{key: n, "path": word}, nil}[(i+int(n&7))%6]
			}
			_, _ = Decode(section) // must not panic
		}
	})
}
