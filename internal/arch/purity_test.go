package arch

import (
	"go/ast"
	"slices"
	"testing"
)

// pure packages are functions of their arguments: they read no clock, start no
// goroutine, do no I/O and draw no chance.
var pure = []string{"internal/philox", "pkg/cluster", "pkg/job", "pkg/shard"}

// impure are the packages that would make them otherwise.
var impure = []string{"os", "net", "net/http", "os/exec", "syscall", "math/rand", "math/rand/v2", "crypto/rand", "log"}

// clock are the functions of package time that read or wait for the clock.
var clock = []string{"Now", "Since", "Until", "Sleep", "After", "AfterFunc", "Tick", "NewTimer", "NewTicker"}

func TestPurePackages(t *testing.T) {
	for _, s := range sources(t) {
		if s.test || !slices.Contains(pure, s.pkg) {
			continue
		}
		for _, path := range s.imports() {
			if slices.Contains(impure, path) {
				t.Errorf("%s: %s is pure and must not import %s", s.name, s.pkg, path)
			}
		}
		ast.Inspect(s.file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.GoStmt:
				t.Errorf("%s: %s is pure and must not start a goroutine", s.set.Position(n.Pos()), s.pkg)
			case *ast.SelectorExpr:
				if x, ok := n.X.(*ast.Ident); ok && x.Name == "time" && slices.Contains(clock, n.Sel.Name) {
					t.Errorf("%s: %s is pure and must be given the time", s.set.Position(n.Pos()), s.pkg)
				}
			}
			return true
		})
	}
}

// Work at start-up hides from whoever reads main.
func TestNoInit(t *testing.T) {
	for _, s := range sources(t) {
		if s.generated {
			continue
		}
		for _, d := range s.file.Decls {
			if f, ok := d.(*ast.FuncDecl); ok && f.Recv == nil && f.Name.Name == "init" {
				t.Errorf("%s: no init functions: let the caller say when", s.set.Position(f.Pos()))
			}
		}
	}
}
