// Package examples gives programs the examples that they need to carry with
// them: `lockstep demo` works wherever the binary is copied. Each directory is one
// example; its job file is job.yaml, with data paths relative to it.
package examples

import (
	"embed"
	"io/fs"
)

//go:embed digits
var files embed.FS

// Digits returns the example of handwritten digits: job file, data and licence.
func Digits() fs.FS {
	digits, err := fs.Sub(files, "digits")
	if err != nil {
		panic("examples: " + err.Error()) // the name above is a valid path
	}
	return digits
}
