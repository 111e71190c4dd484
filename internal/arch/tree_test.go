package arch

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

const module = "github.com/lockstep-ml/lockstep/"

// source is one Go file of the module.
type source struct {
	pkg       string // directory, slash-separated, relative to the module
	name      string // path relative to the module
	test      bool
	generated bool
	lines     int
	file      *ast.File
	set       *token.FileSet
}

// sources returns all Go files of the module.
func sources(t *testing.T) []source {
	t.Helper()
	all, err := parsed()
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// parsed parses all Go files below the directory of go.mod, once.
var parsed = sync.OnceValues(func() ([]source, error) {
	root := filepath.Join("..", "..")
	if _, err := os.Stat(filepath.Join(root, "go.mod")); err != nil {
		return nil, err
	}
	var out []source
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && path != root && (strings.HasPrefix(d.Name(), ".") || d.Name() == "testdata" || d.Name() == "dist" || d.Name() == "out"):
			return filepath.SkipDir
		case d.IsDir() || !strings.HasSuffix(path, ".go"):
			return nil
		}
		s, err := parse(root, path)
		out = append(out, s)
		return err
	})
	return out, err
})

func parse(root, path string) (source, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return source{}, err
	}
	rel, err := filepath.Rel(root, path)
	if err != nil {
		return source{}, err
	}
	rel = filepath.ToSlash(rel)
	set := token.NewFileSet()
	file, err := parser.ParseFile(set, rel, text, parser.ParseComments)
	if err != nil {
		return source{}, err
	}
	return source{
		pkg: filepath.ToSlash(filepath.Dir(rel)), name: rel, test: strings.HasSuffix(rel, "_test.go"),
		generated: ast.IsGenerated(file), lines: strings.Count(string(text), "\n"), file: file, set: set,
	}, nil
}

// imports returns the import paths of a file.
func (s source) imports() []string {
	var out []string
	for _, i := range s.file.Imports {
		out = append(out, strings.Trim(i.Path.Value, `"`))
	}
	return out
}

// within reports whether pkg is one of, or below one of, the directories.
func within(pkg string, dirs []string) bool {
	return slices.ContainsFunc(dirs, func(d string) bool { return pkg == d || strings.HasPrefix(pkg, d+"/") })
}
