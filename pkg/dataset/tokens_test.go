package dataset

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/lockstep-ml/lockstep/pkg/nn"
	"github.com/lockstep-ml/lockstep/pkg/shard"
)

func TestTokens(t *testing.T) {
	for _, c := range []struct {
		tokens Tokens
		text   string
		want   string
	}{
		{Tokens{By: "word", Lower: true}, "Don't  stop, É2 ok!", "don't|stop|,|é2|ok|!"},
		{Tokens{By: "word"}, "", ""},
		{Tokens{By: "char"}, "aé b", "a|é| |b"},
		{Tokens{By: "word"}, "\xff", "\xff"},
	} {
		var got []string
		c.tokens.each(c.text, func(tok string) bool { got = append(got, tok); return true })
		if s := strings.Join(got, "|"); s != c.want {
			t.Errorf("%q by %s: %q, want %q", c.text, c.tokens.By, s, c.want)
		}
	}
}

// decoded returns the words of tokens.
func decoded(m *shard.Manifest, tokens []int32) string {
	words := make([]string, len(tokens))
	for i, tok := range tokens {
		words[i] = m.Fit.Vocabulary[tok]
	}
	return strings.Join(words, " ")
}

func TestCSVText(t *testing.T) {
	root := writeFiles(t, map[string][]byte{
		"train.csv": []byte("text,kind\nthe cat sat,animal\n\"The dog, the cat\",animal\npay the bill,bank\n"),
		"test.csv":  []byte("text,kind\nthe cow sat on the cat,animal\n"),
	})
	section := map[string]any{"format": "csv", "train": "train.csv", "test": "test.csv", "target": "kind",
		"columns": map[string]any{"text": "text", "kind": "category"}, "length": 5, "vocabulary": 6}
	spec, m, test := build(t, section, root)
	want := nn.Input{Shape: []int{5}, Tokens: 6, Target: nn.Target{Kind: nn.TargetClass, Classes: 2}}
	if diff := cmp.Diff(want, InputOf(m)); diff != "" {
		t.Errorf("input (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"<pad>", "<unknown>", "the", "cat", ",", "bill"}, m.Fit.Vocabulary); diff != "" {
		t.Errorf("vocabulary (-want +got):\n%s", diff)
	}
	b := all(t, open(t, spec, root, m, ""))
	if got := decoded(m, b.Tokens[:10]); got != "the cat <unknown> <pad> <pad> the <unknown> , the cat" {
		t.Errorf("training tokens: %s", got)
	}
	if !slices.Equal(b.Classes, []int32{0, 0, 1}) {
		t.Errorf("classes %v", b.Classes)
	}
	if got := decoded(m, all(t, open(t, spec, root, test, "")).Tokens); got != "the <unknown> <unknown> <unknown> the" {
		t.Errorf("test tokens: %s", got)
	}
}

func TestCSVIds(t *testing.T) {
	root := writeFiles(t, map[string][]byte{"r.csv": []byte("user,film,stars,when\n7,100,4,1\n10,100,2,1\n7,30,5,1\n"),
		"s.csv": []byte("user,film,stars,when\n10,30,3,1\n8,100,3,1\n")})
	section := map[string]any{"format": "csv", "train": "r.csv", "test": "s.csv", "target": "stars", "unknown": "zero", "weight": "when",
		"columns": map[string]any{"user": "id", "film": "id"}, "normalise_target": "none"}
	spec, m, test := build(t, section, root)
	want := nn.Input{Shape: []int{2}, Tokens: 5, Target: nn.Target{Kind: nn.TargetValue, Scale: 1}}
	if diff := cmp.Diff(want, InputOf(m)); diff != "" {
		t.Errorf("input (-want +got):\n%s", diff)
	}
	b := all(t, open(t, spec, root, m, ""))
	if diff := cmp.Diff([]int32{1, 4, 2, 4, 1, 3}, b.Tokens); diff != "" {
		t.Errorf("tokens (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]float32{1, 1, 1}, b.Weights); diff != "" {
		t.Errorf("weights (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]int32{2, 3, 0, 4}, all(t, open(t, spec, root, test, "")).Tokens); diff != "" {
		t.Errorf("test tokens (-want +got):\n%s", diff)
	}
}

func TestTextFormat(t *testing.T) {
	root := writeFiles(t, map[string][]byte{"t.txt": []byte("\xef\xbb\xbfabcabcabé"), "w.gz": packed([]byte("One two. One three!\n"))})
	chars := map[string]any{"format": "text", "train": "t.txt", "length": 3}
	spec, m, _ := build(t, chars, root)
	want := nn.Input{Shape: []int{3}, Tokens: 6, Target: nn.Target{Kind: nn.TargetClass, Classes: 6, Shape: []int{3}}}
	if diff := cmp.Diff(want, InputOf(m)); diff != "" {
		t.Errorf("input (-want +got):\n%s", diff)
	}
	b := all(t, open(t, spec, root, m, ""))
	if got := decoded(m, b.Tokens); got != "a b c a b c" {
		t.Errorf("inputs %s", got)
	}
	if got := decoded(m, b.Classes); got != "b c a b c a" {
		t.Errorf("targets %s", got)
	}
	for stride, want := range map[int]string{1: "a b c b c a c a b a b c b c a c a b", 4: "a b c b c a", 7: "a b c"} {
		spec, m, _ := build(t, with(chars, map[string]any{"stride": stride}), root)
		if got := decoded(m, all(t, open(t, spec, root, m, "")).Tokens); got != want {
			t.Errorf("stride %d: %s, want %s", stride, got, want)
		}
	}
	spec, train, test := build(t, with(chars, map[string]any{"length": 1, "test": map[string]any{"fraction": 0.34}}), root)
	if got := decoded(train, all(t, open(t, spec, root, train, "")).Classes); got != "b c a b c" {
		t.Errorf("training targets %s", got)
	}
	if got := decoded(test, all(t, open(t, spec, root, test, "")).Classes); got != "b <unknown>" {
		t.Errorf("test targets %s", got)
	}
	spec, m, _ = build(t, map[string]any{"format": "text", "train": "w.gz", "tokens": "word", "lower": true, "length": 5}, root)
	if got := decoded(m, all(t, open(t, spec, root, m, "")).Classes); got != "two . one three !" {
		t.Errorf("words %s", got)
	}
}

func TestSeries(t *testing.T) {
	root := writeFiles(t, map[string][]byte{"s.csv": []byte("date,rain,temp\na,0,1\nb,1,2\nc,0,3\nd,1,4\ne,0,5\nf,1,6\n")})
	section := map[string]any{"format": "series", "train": "s.csv", "target": "temp", "window": 2, "normalise": "none", "normalise_target": "none",
		"columns": map[string]any{"date": "ignore"}}
	spec, m, _ := build(t, section, root)
	want := nn.Input{Shape: []int{2, 2}, Target: nn.Target{Kind: nn.TargetValue, Scale: 1}}
	if diff := cmp.Diff(want, InputOf(m)); diff != "" {
		t.Errorf("input (-want +got):\n%s", diff)
	}
	b := all(t, open(t, spec, root, m, ""))
	if diff := cmp.Diff([]float32{0, 1, 1, 2, 1, 2, 0, 3, 0, 3, 1, 4, 1, 4, 0, 5}, b.X); diff != "" {
		t.Errorf("X (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]float32{3, 4, 5, 6}, b.Y); diff != "" {
		t.Errorf("Y (-want +got):\n%s", diff)
	}
	far := with(section, map[string]any{"horizon": 3, "test": map[string]any{"fraction": 0.5}, "window": 1})
	if _, _, err := Build(t.Context(), decodeSpec(t, far), root); err == nil || !strings.Contains(err.Error(), "no records") {
		t.Errorf("a test set shorter than its windows: %v", err)
	}
	spec, m, test := build(t, with(far, map[string]any{"horizon": 1}), root)
	if diff := cmp.Diff([]float32{2, 3}, all(t, open(t, spec, root, m, "")).Y); diff != "" {
		t.Errorf("training Y (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]float32{5, 6}, all(t, open(t, spec, root, test, "")).Y); diff != "" {
		t.Errorf("test Y (-want +got):\n%s", diff)
	}
}
