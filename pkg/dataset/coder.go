package dataset

import (
	"fmt"
	"slices"
	"unicode"
	"unicode/utf8"

	"github.com/lockstep-ml/lockstep/pkg/shard"
)

// FirstText is the first token of a vocabulary that stands for text.
const FirstText = tokenUnknown + 1

// Coder turns text into tokens and tokens into text, as a fit's vocabulary says.
type Coder struct {
	encoder    *encoder
	vocabulary []string
}

// Coder returns the coder for a manifest, of which it reads Input and Fit. These
// must be of text that is cut as o says.
func (o *Text) Coder(m *shard.Manifest) (*Coder, error) {
	t, words := o.Tokens.withDefaults("char", 128), m.Fit.Vocabulary
	if !slices.Equal(m.Input.Shape, []int{t.Length}) || m.Input.Tokens != len(words) || len(words) <= FirstText {
		return nil, fmt.Errorf("records of shape %v of %d tokens, of which %d have a name; expected %d tokens a record", m.Input.Shape, m.Input.Tokens, len(words), t.Length)
	}
	return &Coder{newEncoder(t, words), words}, nil
}

// Encode returns the tokens of a text. One that the vocabulary lacks is an error.
func (c *Coder) Encode(text string) ([]int32, error) {
	var tokens []int32
	var err error
	c.encoder.tokens.each(text, func(word string) bool {
		n := c.encoder.token(word)
		if n == tokenUnknown {
			kind := "word"
			if utf8.RuneCountInString(word) == 1 {
				kind = "character"
			}
			err = fmt.Errorf("the vocabulary of the training text has no %s %q", kind, word)
		}
		tokens = append(tokens, n)
		return err == nil
	})
	return tokens, err
}

// Beginning is the token after which a text most naturally begins: the end of a
// line or a sentence, or else the most frequent token.
func (c *Coder) Beginning() int32 {
	for _, end := range []string{"\n", "."} {
		if n := c.encoder.token(end); n != tokenUnknown {
			return n
		}
	}
	return FirstText
}

// Text is what a token adds to a text that ends in before: what it stands for, and
// between words a space.
func (c *Coder) Text(before string, token int32) string {
	word := c.vocabulary[token]
	begins, _ := utf8.DecodeRuneInString(word)
	ends, _ := utf8.DecodeLastRuneInString(before)
	if c.encoder.tokens.By == "word" && inWord(begins) && before != "" && !unicode.IsSpace(ends) {
		return " " + word
	}
	return word
}
