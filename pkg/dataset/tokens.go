package dataset

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/lockstep-ml/lockstep/pkg/shard"
)

// Tokens says how text becomes integers.
type Tokens struct {
	// By is word or char. A word is a run of letters, digits and apostrophes; any
	// other character that is not space is a token of its own.
	By string
	// Lower makes letters small first.
	Lower bool
	// Vocabulary is the most tokens that are told apart, the most frequent ones of
	// the training text; the rest are token 1.
	Vocabulary int
	// Length is the number of tokens of a record.
	Length int
}

// The tokens of every vocabulary that stand for no text.
const (
	tokenPad     = 0
	tokenUnknown = 1
)

// The bounds of a vocabulary: it travels in the manifest.
const (
	mostVocabulary = 100_000
	mostCounted    = 4_000_000
)

// tokenFields returns the fields of the formats that read text.
func tokenFields(by string, length int64) []Field {
	return []Field{
		{Name: "tokens", Type: typeText, Default: by, Choices: []string{"word", "char"}, Summary: "what a token is"},
		{Name: "lower", Type: typeBool, Default: by == "word", Summary: "letters are made small first"},
		{Name: "vocabulary", Type: typeInt, Default: int64(10_000), Min: 3, Max: mostVocabulary,
			Summary: "the most tokens that are told apart; token 0 is padding, 1 any other"},
		{Name: "length", Type: typeInt, Default: length, Min: 1, Max: 1 << 16, Summary: "tokens of a record"},
	}
}

func decodeTokens(v values) Tokens {
	return Tokens{By: v.text("tokens"), Lower: v.bool("lower"), Vocabulary: int(v.int("vocabulary")), Length: int(v.int("length"))}
}

// withDefaults returns t with what a program left empty set.
func (t Tokens) withDefaults(by string, length int) Tokens {
	if t.By == "" {
		t.By = by
	}
	if t.Vocabulary == 0 {
		t.Vocabulary = 10_000
	}
	if t.Length == 0 {
		t.Length = length
	}
	return t
}

// each calls f with the tokens of s, until f returns false.
func (t Tokens) each(s string, f func(token string) bool) {
	if t.Lower {
		s = strings.ToLower(s)
	}
	for s != "" {
		n := t.first(s)
		if tok := s[:n]; (t.By == "char" || strings.TrimSpace(tok) != "") && !f(tok) {
			return
		}
		s = s[n:]
	}
}

// first returns the length of the first token of s.
func (t Tokens) first(s string) int {
	r, n := utf8.DecodeRuneInString(s)
	if t.By == "char" || !inWord(r) {
		return n
	}
	if i := strings.IndexFunc(s, func(r rune) bool { return !inWord(r) }); i > 0 {
		return i
	}
	return len(s)
}

func inWord(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) || r == '\'' }

// counter counts the tokens of the training text.
type counter struct {
	tokens Tokens
	count  map[string]int64
}

// add counts the tokens of s.
func (c *counter) add(s string) error {
	if c.count == nil {
		c.count = map[string]int64{}
	}
	c.tokens.each(s, func(tok string) bool {
		if _, known := c.count[tok]; !known {
			tok = strings.Clone(tok)
		}
		c.count[tok]++
		return len(c.count) <= mostCounted
	})
	if len(c.count) > mostCounted {
		return fmt.Errorf("has more than %d different tokens; set tokens: char", mostCounted)
	}
	return nil
}

// vocabulary returns the tokens by frequency, then by letter.
func (c *counter) vocabulary() []string {
	words := sortedKeys(c.count)
	slices.SortStableFunc(words, func(a, b string) int { return cmp.Compare(c.count[b], c.count[a]) })
	words = words[:min(len(words), c.tokens.Vocabulary-2)]
	return append([]string{"<pad>", "<unknown>"}, words...)
}

// encoder turns text into tokens.
type encoder struct {
	tokens Tokens
	number map[string]int32
}

func newEncoder(t Tokens, vocabulary []string) *encoder {
	e := &encoder{tokens: t, number: make(map[string]int32, len(vocabulary))}
	for i, w := range vocabulary {
		if i > tokenUnknown {
			e.number[w] = int32(i)
		}
	}
	return e
}

// token returns the number of a token.
func (e *encoder) token(tok string) int32 {
	if n, ok := e.number[tok]; ok {
		return n
	}
	return tokenUnknown
}

// tokenType returns the type that holds a vocabulary of n.
func tokenType(n int) shard.Type {
	if n <= 1<<16 {
		return shard.U16
	}
	return shard.I32
}
