package job

import (
	"strings"
	"testing"
)

// Files that no one writes are answered soon, with a bounded message.
func TestLimits(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"bytes":    {"name: " + strings.Repeat("a", maxBytes), "job.yaml:1:1: the file has 131078 bytes; a job file has at most 131072"},
		"lines":    {strings.Repeat("\n", maxLines+1), "job.yaml:1:1: the file has 4001 lines; a job file has at most 4000"},
		"flow":     {"a: " + strings.Repeat("[", 1<<15), "job.yaml:1:36: values are nested more than 32 deep"},
		"mappings": {"a: " + strings.Repeat("{a: ", 1<<14), "nested more than 32 deep"},
		"dashes":   {strings.Repeat("- ", 1<<15), "job.yaml:1:65: values are nested more than 32 deep"},
		"keys":     {strings.Repeat("? ", 1<<15), "nested more than 32 deep"},
		"indent":   {stairs(200), "nested more than 32 deep"},
		"problems": {"model:\n" + strings.Repeat("  - rleu\n", 1000), "and 906 more problems"},
		"binary":   {"name: \x00", "job.yaml:1:7: not UTF-8 text"},
		"latin 1":  {"name: x\nseed: \xe9", "job.yaml:2:7: not UTF-8 text"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Decode("job.yaml", []byte(c.text), nil)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("error %.300v, want %q", err, c.want)
			}
			if name != "problems" && len(err.Error()) > 2*len(c.text)+200 {
				t.Errorf("the message has %d bytes", len(err.Error()))
			}
		})
	}
}

// stairs nests n mappings in block style.
func stairs(n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(strings.Repeat(" ", i) + "a:\n")
	}
	return b.String()
}

// Windows line ends, tabs in text and letters beyond ASCII do not shift places.
func TestPlaces(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"crlf":    {"name: x\r\nsead: 1\r\n", "job.yaml:2:1: unknown field \"sead\"; did you mean \"seed\"?\n   2 | sead: 1\n     | ^"},
		"unicode": {"name: 'é'\nworkers: {min: 'ü', max: x}\n", "job.yaml:2:26: workers.max: expected an integer from 1 to 1024, got the text \"x\"\n   2 | workers: {min: 'ü', max: x}\n     |                          ^"},
		"comment": {"# é\n\nsead: 1 # why\n", "job.yaml:3:1: unknown"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Decode("job.yaml", []byte(c.text), nil)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error\n%v\nwant in it\n%s", err, c.want)
			}
		})
	}
}
