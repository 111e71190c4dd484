package arch

import (
	"go/ast"
	"testing"
)

// Caps, in lines. Files and functions should mostly stay well below: about 350
// and 40.
const (
	fileCap         = 400
	testFileCap     = 600
	functionCap     = 60
	testFunctionCap = 120
)

func TestSizes(t *testing.T) {
	for _, s := range sources(t) {
		if s.generated {
			continue
		}
		fileMax, funcMax := fileCap, functionCap
		if s.test {
			fileMax, funcMax = testFileCap, testFunctionCap
		}
		if s.lines > fileMax {
			t.Errorf("%s: %d lines, at most %d: split it", s.name, s.lines, fileMax)
		}
		for _, d := range s.file.Decls {
			f, ok := d.(*ast.FuncDecl)
			if !ok {
				continue
			}
			if n := s.set.Position(f.End()).Line - s.set.Position(f.Pos()).Line + 1; n > funcMax {
				t.Errorf("%s: %s has %d lines, at most %d: name its parts", s.set.Position(f.Pos()), f.Name.Name, n, funcMax)
			}
		}
	}
}
