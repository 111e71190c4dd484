package dataset

import (
	"fmt"
	"strings"
)

// Error is one thing that is wrong with a data set: with what the job says about
// it, or with a file.
type Error struct {
	// Path is the field of the job that is wrong or names the file:
	// "data.train.images".
	Path string
	// File is the file as the job names it, "" if no file is to blame.
	File string
	// Line is the line of a text file, counted from 1; 0 if there is none.
	Line int
	// Record is the number of the record, counted from 0; it is given if HasRecord.
	Record    int64
	HasRecord bool
	// Msg says what is wrong and what to do.
	Msg string
	// Err is the cause, or nil. Msg says it already.
	Err error
}

// Error joins the place and the message.
func (e *Error) Error() string {
	if e.File == "" {
		return e.Path + ": " + e.Msg
	}
	return e.message()
}

// FieldPath returns the field of the job and the message without it.
func (e *Error) FieldPath() (path, message string) {
	return e.Path, e.message()
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

func (e *Error) message() string {
	var b strings.Builder
	if e.File != "" {
		b.WriteString(e.File + ": ")
	}
	if e.Line > 0 {
		fmt.Fprintf(&b, "line %d: ", e.Line)
	}
	if e.HasRecord {
		fmt.Fprintf(&b, "record %d: ", e.Record)
	}
	b.WriteString(e.Msg)
	return b.String()
}

// Errors is all that is wrong with the data section of a job.
type Errors []*Error

// Error lists the errors, one a line.
func (e Errors) Error() string {
	lines := make([]string, len(e))
	for i, err := range e {
		lines[i] = err.Error()
	}
	return strings.Join(lines, "\n")
}

// Unwrap lets errors.As find a single Error.
func (e Errors) Unwrap() []error {
	errs := make([]error, len(e))
	for i, err := range e {
		errs[i] = err
	}
	return errs
}
