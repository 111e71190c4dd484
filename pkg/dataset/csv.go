package dataset

import (
	"unicode/utf8"

	"github.com/lockstep-ml/lockstep/pkg/shard"
)

// CSV is a table of text: one record a line, one column a feature.
type CSV struct {
	// Target is the column to predict. A column of type category gives classes, a
	// number gives values.
	Target string
	// Columns gives columns their type: number (which is what unlisted ones are),
	// category or ignore.
	Columns map[string]string
	// Header says that the first line names the columns. Names names them if not;
	// empty names are c1, c2, …
	Header bool
	Names  []string
	// Separator is between fields. Quotes says that a field may be put in quotes.
	Separator rune
	Quotes    bool
	// Missing says what becomes of a field that is one of MissingWords: error,
	// drop (the record), mean (of the training set) or zero. A category that is
	// missing sets none of its inputs.
	Missing      string
	MissingWords []string
	// Unknown says what becomes of a category that the training set has not:
	// error, or zero, which sets none of its inputs.
	Unknown string
	// Normalise brings numbers to mean 0 and deviation 1 (standard), to the range
	// from 0 to 1 (minmax), or leaves them (none). NormaliseTarget does so with a
	// target of numbers.
	Normalise, NormaliseTarget string
}

// The types of columns.
const (
	colNumber   = "number"
	colCategory = "category"
	colIgnore   = "ignore"
)

// csvFormat is the catalogue's entry.
func csvFormat() Format {
	normal := []string{"standard", "minmax", "none"}
	return Format{
		Name:    "csv",
		Summary: "a table of text: one record a line, columns of numbers and categories; .gz or not",
		Fields: append(filesFields("path"),
			Field{Name: "target", Type: typeText, Required: true, Summary: "the column to predict; classes if its type is category, else a number"},
			Field{Name: "columns", Type: typeMap, Choices: []string{colNumber, colCategory, colIgnore},
				Summary: "types of columns; unlisted ones are numbers. category: one input for each word; ignore: left out"},
			Field{Name: "header", Type: typeBool, Default: true, Summary: "the first line names the columns"},
			Field{Name: "names", Type: typeTexts, Summary: "names of the columns if header is false; otherwise c1, c2, …"},
			Field{Name: "separator", Type: typeText, Default: ",", Summary: "the character between fields"},
			Field{Name: "quotes", Type: typeBool, Default: true, Summary: `fields may be put in quotes "…"; false takes quotes as they are`},
			Field{Name: "missing", Type: typeText, Default: "error", Choices: []string{"error", "drop", "mean", "zero"},
				Summary: "what a missing value becomes: an error, no record, the training mean, or 0"},
			Field{Name: "missing_words", Type: typeTexts, Default: []string{"", "NA", "NaN", "nan", "null"}, Summary: "the words that mean missing"},
			Field{Name: "unknown", Type: typeText, Default: "error", Choices: []string{"error", "zero"},
				Summary: "what a category becomes that the training set has not: an error, or no input set"},
			Field{Name: "normalise", Type: typeText, Default: "standard", Choices: normal,
				Summary: "numbers get mean 0 and deviation 1, or the range 0 to 1, as fitted on the training set"},
			Field{Name: "normalise_target", Type: typeText, Default: "standard", Choices: normal, Summary: "the same for a target of numbers"},
		),
		decode: decodeCSV,
	}
}

func decodeCSV(v values, bad func(field, format string, args ...any)) Options {
	o := &CSV{
		Target:          v.text("target"),
		Columns:         v.words("columns"),
		Header:          v.bool("header"),
		Names:           v.texts("names"),
		Quotes:          v.bool("quotes"),
		Missing:         v.text("missing"),
		MissingWords:    v.texts("missing_words"),
		Unknown:         v.text("unknown"),
		Normalise:       v.text("normalise"),
		NormaliseTarget: v.text("normalise_target"),
	}
	sep := v.text("separator")
	r, n := utf8.DecodeRuneInString(sep)
	if n == 0 || n != len(sep) || r == utf8.RuneError || r == '"' || r == '\n' || r == '\r' {
		bad("separator", `%q is not one character other than a quote or line end; expected "," or ";" or "\t"`, sep)
	}
	o.Separator = r
	if o.Header && len(o.Names) > 0 {
		bad("names", "the header names the columns; set header: false if there is none")
	}
	if o.Columns[o.Target] == colIgnore {
		bad("columns."+o.Target, "the target cannot be ignored")
	}
	return o
}

// kind returns the type of a column.
func (o *CSV) kind(name string) string {
	if k := o.Columns[name]; k != "" {
		return k
	}
	return colNumber
}

// withDefaults returns o with what a program left empty set as a job file would.
func (o *CSV) withDefaults() *CSV {
	c := *o
	for _, f := range []struct {
		s *string
		v string
	}{{&c.Missing, "error"}, {&c.Unknown, "error"}, {&c.Normalise, "standard"}, {&c.NormaliseTarget, "standard"}} {
		if *f.s == "" {
			*f.s = f.v
		}
	}
	if c.Separator == 0 {
		c.Separator = ','
	}
	if c.MissingWords == nil {
		c.MissingWords = []string{"", "NA", "NaN", "nan", "null"}
	}
	return &c
}

// csvColumn is a used column of an open file.
type csvColumn struct {
	at   int // field of a row
	name string
	kind string
	fit  *shard.Column  // how it is coded; nil while fitting
	word map[string]int // index in fit.Categories
}
