package dataset

import (
	"slices"
	"strings"
	"testing"

	"github.com/lockstep-ml/lockstep/pkg/shard"
)

// textManifest is of a text with a vocabulary.
func textManifest(length int, words ...string) *shard.Manifest {
	words = append([]string{"<pad>", "<unknown>"}, words...)
	return &shard.Manifest{Input: shard.Input{Shape: []int{length}, Tokens: len(words)}, Fit: shard.Fit{Vocabulary: words}}
}

func TestCoder(t *testing.T) {
	chars := &Text{Tokens: Tokens{Length: 4}}
	words := &Text{Tokens: Tokens{By: "word", Lower: true, Length: 4}}
	for _, c := range []struct {
		text       *Text
		vocabulary []string
		in         string
		tokens     []int32
		out        string // or what is wrong
	}{
		{chars, []string{"a", " ", "é"}, "é a", []int32{4, 3, 2}, "é a"},
		{chars, []string{"a"}, "", nil, ""},
		{chars, []string{"a"}, "aba", nil, `no character "b"`},
		{chars, []string{"a"}, "a\xff", nil, `no character "\xff"`},
		{words, []string{"the", ".", "king", "9"}, "The KING .\n9", []int32{2, 4, 3, 5}, "the king. 9"},
		{words, []string{"the"}, "the queen", nil, `no word "queen"`},
		{words, []string{"the"}, "<pad>", nil, `no character "<"`},
	} {
		coder, err := c.text.Coder(textManifest(4, c.vocabulary...))
		if err != nil {
			t.Fatal(err)
		}
		tokens, err := coder.Encode(c.in)
		if err != nil {
			if c.tokens != nil || !strings.Contains(err.Error(), c.out) {
				t.Errorf("%q: %v, want %q", c.in, err, c.out)
			}
			continue
		}
		out := ""
		for _, n := range tokens {
			out += coder.Text(out, n)
		}
		if !slices.Equal(tokens, c.tokens) || out != c.out {
			t.Errorf("%q: %v, %q; want %v, %q", c.in, tokens, out, c.tokens, c.out)
		}
	}
}

func TestTextBegins(t *testing.T) {
	for _, c := range []struct {
		words []string
		want  int32
	}{
		{[]string{"e", ".", "\n"}, 4},
		{[]string{"the", "."}, 3},
		{[]string{"e", "t"}, 2},
	} {
		coder, err := (&Text{}).Coder(textManifest(128, c.words...))
		if err != nil {
			t.Fatal(err)
		}
		if got := coder.Beginning(); got != c.want {
			t.Errorf("%q: token %d, want %d", c.words, got, c.want)
		}
	}
}

func TestCoderOfOtherData(t *testing.T) {
	text := &Text{Tokens: Tokens{Length: 4}}
	unnamed := textManifest(4, "a")
	unnamed.Input.Tokens++
	for name, m := range map[string]*shard.Manifest{"longer": textManifest(5, "a"), "unnamed": unnamed, "empty": textManifest(4), "none": {}} {
		if _, err := text.Coder(m); err == nil || !strings.Contains(err.Error(), "expected 4 tokens a record") {
			t.Errorf("%s: error %v", name, err)
		}
	}
}
