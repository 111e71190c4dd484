package job

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Problem is one thing that is wrong with a job file.
type Problem struct {
	File    string `json:"file"`             // as the user named it
	Line    int    `json:"line,omitempty"`   // from 1; 0 if Set is not empty
	Column  int    `json:"column,omitempty"` // likewise
	Set     string `json:"set,omitempty"`    // the override that brought it in, "path=value"; empty if the file did
	Message string `json:"message"`          // what is wrong, what was expected, the nearest valid word
	Source  string `json:"source,omitempty"` // the line of the file; empty if Set is not
}

// String gives "job.yaml:12:7: message", then the line with a caret under the
// column, or "--set path=value: message".
func (p Problem) String() string {
	if p.Set != "" {
		return fmt.Sprintf("--set %s: %s", p.Set, p.Message)
	}
	head := fmt.Sprintf("%s:%d:%d: %s", p.File, p.Line, p.Column, p.Message)
	if strings.TrimSpace(p.Source) == "" {
		return head
	}
	number := fmt.Sprintf("%4d", p.Line)
	return fmt.Sprintf("%s\n%s | %s\n%*s | %s^", head, number, p.Source, len(number), "", indent(p.Source, p.Column))
}

// indent gives the blanks that bring a caret under the column; tabs stay tabs.
func indent(source string, column int) string {
	var b strings.Builder
	for _, r := range source {
		if column--; column <= 0 {
			break
		}
		if r != '\t' {
			r = ' '
		}
		b.WriteRune(r)
	}
	return b.String() + strings.Repeat(" ", max(column-1, 0))
}

// Problems is everything that is wrong with a job file, in the order of the
// file. The caller shows it to the user and starts nothing.
type Problems []Problem

// Error lists the problems, one after the other.
func (ps Problems) Error() string {
	lines := make([]string, len(ps))
	for i, p := range ps {
		lines[i] = p.String()
	}
	return strings.Join(lines, "\n")
}

// problems collects what is wrong with one file.
type problems struct {
	file  string
	lines []string
	list  Problems
	more  int // that were found when the list was full
}

// maxProblems is how many problems are listed; further ones are counted.
const maxProblems = 100

func newProblems(file string, text []byte) *problems {
	return &problems{file: file, lines: strings.Split(strings.ReplaceAll(string(text), "\r\n", "\n"), "\n")}
}

func (ps *problems) add(at place, format string, args ...any) {
	p := Problem{File: ps.file, Line: at.line, Column: at.column, Message: fmt.Sprintf(format, args...)}
	if at.set != "" {
		p.Set, p.Line, p.Column = at.set, 0, 0
	} else if !at.whole && at.line >= 1 && at.line <= len(ps.lines) {
		p.Source = ps.lines[at.line-1]
	}
	switch {
	case slices.Contains(ps.list, p):
	case len(ps.list) == maxProblems:
		ps.more++
	default:
		ps.list = append(ps.list, p)
	}
}

// err returns the problems in the order of the file, overrides last, or nil.
func (ps *problems) err() error {
	if len(ps.list) == 0 {
		return nil
	}
	slices.SortStableFunc(ps.list, func(a, b Problem) int {
		if a.Set == "" != (b.Set == "") {
			return cmp.Compare(len(a.Set), len(b.Set))
		}
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	if ps.more > 0 {
		return append(ps.list, Problem{File: ps.file, Line: len(ps.lines), Column: 1, Message: fmt.Sprintf("and %d more problems", ps.more)})
	}
	return ps.list
}
