package arch

import (
	"go/ast"
	"slices"
	"strings"
	"testing"
)

// least is how many characters a package's documentation must have: enough to
// name its terms.
const least = 120

// wellKnown are methods of the standard library's interfaces, which say enough.
var wellKnown = []string{"Error", "String", "Unwrap"}

func TestPackagesAreDocumented(t *testing.T) {
	docs, generated := map[string]string{}, map[string]bool{}
	for _, s := range sources(t) {
		if !s.test {
			docs[s.pkg] += s.file.Doc.Text()
			generated[s.pkg] = generated[s.pkg] || s.generated && strings.HasPrefix(s.pkg, "proto/")
		}
	}
	for pkg, doc := range docs {
		if len(doc) < least && !generated[pkg] {
			t.Errorf("%s: package documentation of %d characters: say what it is, its terms and its cost", pkg, len(doc))
		}
	}
}

func TestExportedNamesAreDocumented(t *testing.T) {
	for _, s := range sources(t) {
		if s.test || s.generated || s.file.Name.Name == "main" {
			continue
		}
		for _, d := range s.file.Decls {
			switch d := d.(type) {
			case *ast.FuncDecl:
				if d.Name.IsExported() && receiverExported(d) && d.Doc == nil && !slices.Contains(wellKnown, d.Name.Name) {
					t.Errorf("%s: %s has no comment", s.set.Position(d.Pos()), d.Name.Name)
				}
			case *ast.GenDecl:
				undocumented(t, s, d)
			}
		}
	}
}

// undocumented reports exported types, constants and variables that neither
// they nor their group explain.
func undocumented(t *testing.T, s source, d *ast.GenDecl) {
	t.Helper()
	for _, spec := range d.Specs {
		switch spec := spec.(type) {
		case *ast.TypeSpec:
			if spec.Name.IsExported() && d.Doc == nil && spec.Doc == nil {
				t.Errorf("%s: %s has no comment", s.set.Position(spec.Pos()), spec.Name.Name)
			}
		case *ast.ValueSpec:
			for _, name := range spec.Names {
				if name.IsExported() && d.Doc == nil && spec.Doc == nil && spec.Comment == nil {
					t.Errorf("%s: %s has no comment", s.set.Position(name.Pos()), name.Name)
				}
			}
		}
	}
}

func receiverExported(d *ast.FuncDecl) bool {
	if d.Recv == nil {
		return true
	}
	typ := d.Recv.List[0].Type
	if star, ok := typ.(*ast.StarExpr); ok {
		typ = star.X
	}
	if index, ok := typ.(*ast.IndexExpr); ok {
		typ = index.X
	}
	name, ok := typ.(*ast.Ident)
	return ok && name.IsExported()
}
