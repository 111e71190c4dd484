// Command asmgen writes the kernels of pkg/tensor: the assembly for AVX2 and
// AVX-512, and the plain Go of the element by element ones. It is a module of
// its own, so that the generator's dependencies are not the project's.
//
// # Use
//
//	cd internal/asmgen && go run . -out ../../pkg/tensor
//
// # How
//
// One description serves every instruction set:
//
//	tile.go    the inner loop of the matrix product, by register width
//	pack.go    copies into panels
//	ops.go     the list of element by element kernels, as expressions
//	lower*.go  expressions to assembly, and to Go
package main

import (
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"

	"github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/pass"
	"github.com/mmcloughlin/avo/printer"
)

func main() {
	flags := flag.NewFlagSet("asmgen", flag.ExitOnError) // avo has put its own on the global one
	out := flags.String("out", "", "directory of package tensor, read and written")
	if err := flags.Parse(os.Args[1:]); err != nil {
		os.Exit(2)
	}
	if err := run(*out); err != nil {
		fmt.Fprintln(os.Stderr, "asmgen:", err)
		os.Exit(1)
	}
}

func run(dir string) error {
	fields, err := structFields(filepath.Join(dir, "kernels.go"))
	if err != nil {
		return err
	}
	for _, isa := range []isa{avx2, avx512} {
		c := build.NewContext()
		c.ConstraintExpr("!purego")
		tiles(c, isa, fields["tile"])
		peak(c, isa, fields["pack"])
		if isa.name == "avx2" {
			packs(c, isa, fields["pack"])
		}
		if err := write(c, filepath.Join(dir, "gemm_"+isa.name+"_amd64"), tileTable(isa)); err != nil {
			return err
		}
	}
	return nil
}

// structFields reads the structs through which Go hands arguments to assembly.
// All their fields have 8 bytes, so that a place follows from the order alone.
func structFields(file string) (map[string]layout, error) {
	f, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
	if err != nil {
		return nil, err
	}
	all := map[string]layout{}
	ast.Inspect(f, func(n ast.Node) bool {
		spec, ok := n.(*ast.TypeSpec)
		if !ok {
			return true
		}
		if s, ok := spec.Type.(*ast.StructType); ok {
			l := layout{}
			for _, field := range s.Fields.List {
				for _, name := range field.Names {
					l[name.Name] = 8 * len(l)
				}
			}
			all[spec.Name.Name] = l
		}
		return true
	})
	return all, nil
}

// layout is the place of each field of a struct, in bytes.
type layout map[string]int

// write writes the assembly and the Go declarations, with more Go at their end.
func write(c *build.Context, base, more string) error {
	f, err := c.Result()
	if err != nil {
		return fmt.Errorf("%s: %w", base, err)
	}
	if err := pass.Compile.Execute(f); err != nil {
		return fmt.Errorf("%s: %w", base, err)
	}
	cfg := printer.Config{Name: "asmgen", Pkg: "tensor"}
	for ext, p := range map[string]printer.Printer{".s": printer.NewGoAsm(cfg), ".go": printer.NewStubs(cfg)} {
		text, err := p.Print(f)
		if err != nil {
			return err
		}
		if ext == ".go" {
			text = append(text, more...)
		}
		if err := os.WriteFile(base+ext, text, 0o644); err != nil {
			return err
		}
	}
	return nil
}
