package main

import (
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const document = "../../docs/job-spec.md"

func TestDocumentIsCurrent(t *testing.T) {
	text, err := os.ReadFile(document)
	if err != nil {
		t.Fatal(err)
	}
	want, err := fill(text, blocks())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(text)); diff != "" {
		t.Errorf("docs/job-spec.md is not current; run go generate ./internal/docgen (-want +got):\n%s", diff)
	}
}

func TestFill(t *testing.T) {
	a := []block{{"a", "new\n"}}
	for name, c := range map[string]struct{ text, want, err string }{
		"replace": {"x\n<!-- begin a -->\nold\n<!-- end a -->\ny\n", "x\n<!-- begin a -->\n\nnew\n\n<!-- end a -->\ny\n", ""},
		"missing": {"x\n", "", "no place for a"},
		"unknown": {"<!-- begin a -->\n<!-- end a -->\n<!-- begin b -->\n", "", "2 markers for 1 blocks"},
		"crossed": {"<!-- end a -->\n<!-- begin a -->\n", "", "no place for a"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := fill([]byte(c.text), a)
			if c.err != "" {
				if err == nil || !strings.Contains(err.Error(), c.err) {
					t.Errorf("error %v, want %q", err, c.err)
				}
				return
			}
			if err != nil || string(got) != c.want {
				t.Errorf("got %q, %v; want %q", got, err, c.want)
			}
			if again, err := fill(got, a); err != nil || string(again) != string(got) {
				t.Errorf("a second time gives %q, %v", again, err)
			}
		})
	}
}
