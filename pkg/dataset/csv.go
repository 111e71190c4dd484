package dataset

import "unicode/utf8"

// CSV is a table of text: one record a line, one column a feature.
type CSV struct {
	// Target is the column to predict. A column of type category gives classes, a
	// number gives values.
	Target string
	// Columns gives columns their type: number (which is what unlisted ones are),
	// category, id, text or ignore. Inputs are numbers and categories, which make
	// one input each or one a word; or ids, which make one token each; or one text,
	// which makes Text.Length tokens.
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
	// Weight names a column with the weight of each record in the loss; "" weighs
	// all alike.
	Weight string
	// Text says how a text column becomes tokens.
	Text Tokens

	echo       bool // the target is an input too: see Series
	unlabelled bool // of the split
}

// The types of columns.
const (
	colNumber   = "number"
	colCategory = "category"
	colID       = "id"
	colText     = "text"
	colIgnore   = "ignore"
)

// csvFormat is the catalogue's entry.
func csvFormat() Format {
	fields := append(filesFields("path"), csvFields(colNumber, colCategory, colID, colText, colIgnore)...)
	fields = append(fields,
		Field{Name: "weight", Type: typeText, Summary: "a column with the weight of each record in the loss"})
	return Format{
		Name:    "csv",
		Summary: "a table of text: one record a line, columns of numbers and categories, or of ids, or one of text; .gz or not",
		Fields:  append(fields, tokenFields("word", 64)...),
		decode: func(v values, bad func(field, format string, args ...any)) Options {
			return decodeCSV(v, bad)
		},
	}
}

// csvFields returns the fields of the formats that read tables with these types of
// columns.
func csvFields(types ...string) []Field {
	normal := []string{"standard", "minmax", "none"}
	return []Field{
		{Name: "target", Type: typeText, Required: true, Summary: "the column to predict; classes if its type is category, else a number"},
		{Name: "columns", Type: typeMap, Choices: types,
			Summary: "types of columns; unlisted ones are numbers. category: one input for each word; id: one token; text: tokens; ignore: left out"},
		{Name: "header", Type: typeBool, Default: true, Summary: "the first line names the columns"},
		{Name: "names", Type: typeTexts, Summary: "names of the columns if header is false; otherwise c1, c2, …"},
		{Name: "separator", Type: typeText, Default: ",", Summary: "the character between fields"},
		{Name: "quotes", Type: typeBool, Default: true, Summary: `fields may be put in quotes "…"; false takes quotes as they are`},
		{Name: "missing", Type: typeText, Default: "error", Choices: []string{"error", "drop", "mean", "zero"},
			Summary: "what a missing value becomes: an error, no record, the training mean, or 0"},
		{Name: "missing_words", Type: typeTexts, Default: []string{"", "NA", "NaN", "nan", "null"}, Summary: "the words that mean missing"},
		{Name: "unknown", Type: typeText, Default: "error", Choices: []string{"error", "zero"},
			Summary: "what a category or id becomes that the training set has not: an error, or no input set and token 0"},
		{Name: "normalise", Type: typeText, Default: "standard", Choices: normal,
			Summary: "numbers get mean 0 and deviation 1, or the range 0 to 1, as fitted on the training set"},
		{Name: "normalise_target", Type: typeText, Default: "standard", Choices: normal, Summary: "the same for a target of numbers"},
	}
}

func decodeCSV(v values, bad func(field, format string, args ...any)) *CSV {
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
		Weight:          v.text("weight"),
		Text:            decodeTokens(v),
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
	if k := o.kind(o.Target); k != colNumber && k != colCategory {
		bad("columns."+o.Target, "a target cannot be of type %s; expected number or category", k)
	}
	if o.Weight != "" && (o.Weight == o.Target || o.kind(o.Weight) != colNumber) {
		bad("weight", "column %q must be a number other than the target", o.Weight)
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
	c.Text = c.Text.withDefaults("word", 64)
	return &c
}
