// Docgen writes the generated parts of docs/job-spec.md: tables of all that a
// job file can say, taken from the tables that its reader is driven by. Text
// outside the markers
//
//	<!-- begin NAME -->
//	<!-- end NAME -->
//
// is kept. A test of this package fails when the document is not current.
package main

//go:generate go run . ../../docs/job-spec.md

import (
	"bytes"
	"fmt"
	"os"
	"strings"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "docgen:", err)
		os.Exit(1)
	}
}

// run brings the document that args name up to date.
func run(args []string) error {
	if len(args) != 1 {
		return fmt.Errorf("usage: docgen docs/job-spec.md")
	}
	old, err := os.ReadFile(args[0])
	if err != nil {
		return err
	}
	text, err := fill(old, blocks())
	if err != nil {
		return fmt.Errorf("%s: %w", args[0], err)
	}
	if bytes.Equal(text, old) {
		return nil
	}
	return os.WriteFile(args[0], text, 0o644)
}

// fill replaces what stands between the markers of each block. A marker without
// a block, or a block without a marker, is an error.
func fill(text []byte, blocks []block) ([]byte, error) {
	for _, b := range blocks {
		begin, end := []byte("<!-- begin "+b.name+" -->\n"), []byte("<!-- end "+b.name+" -->\n")
		i, j := bytes.Index(text, begin), bytes.Index(text, end)
		if i < 0 || j < i {
			return nil, fmt.Errorf("no place for %s: expected a line %q and after it %q", b.name, begin, end)
		}
		var out bytes.Buffer
		out.Write(text[:i+len(begin)])
		out.WriteString("\n" + strings.TrimSpace(b.text) + "\n\n")
		out.Write(text[j:])
		text = out.Bytes()
	}
	if n := bytes.Count(text, []byte("<!-- begin ")); n != len(blocks) {
		return nil, fmt.Errorf("%d markers for %d blocks", n, len(blocks))
	}
	return text, nil
}
