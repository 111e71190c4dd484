package arch

import (
	"slices"
	"strings"
	"testing"
)

// allowed lists, for each package, the packages of this module that it may
// import directly, tests aside. ARCHITECTURE.md draws the same picture; change
// both or neither.
var allowed = map[string][]string{
	"proto/lockstep/v1":      {},
	"internal/arch":          {},
	"internal/build":         {},
	"internal/alloctest":     {},
	"internal/philox":        {},
	"internal/secure":        {},
	"internal/config":        {"internal/nearest"},
	"internal/nearest":       {},
	"internal/rescue":        {},
	"internal/safetensors":   {},
	"proto/onnx":             {},
	"internal/onnx/onnxtest": {},
	"internal/onnx":          {"internal/safetensors", "pkg/nn", "proto/onnx"},
	"internal/local":         {},
	"pkg/tensor":             {"internal/philox", "internal/rescue"},
	"pkg/shard":              {"internal/philox"},
	"pkg/nn":                 {"internal/nearest", "internal/philox", "pkg/tensor"},
	"pkg/dataset":            {"internal/nearest", "internal/philox", "internal/rescue", "pkg/nn", "pkg/shard"},
	"pkg/job":                {"internal/nearest", "pkg/dataset", "pkg/nn", "pkg/shard"},
	"pkg/weights":            {"internal/onnx", "internal/safetensors", "pkg/job", "pkg/nn"},
	"pkg/checkpoint":         {"internal/safetensors"},
	"pkg/allreduce":          {"pkg/tensor", "proto/lockstep/v1"},
	"pkg/allreduce/linktest": {"pkg/allreduce"},
	"pkg/cluster":            {"pkg/job", "pkg/shard"},
	"pkg/coordinator":        {"internal/build", "internal/rescue", "internal/secure", "pkg/cluster", "pkg/dataset", "pkg/job", "pkg/nn", "pkg/shard", "pkg/weights", "proto/lockstep/v1"},
	"pkg/worker": {"internal/build", "internal/rescue", "internal/secure", "pkg/allreduce", "pkg/checkpoint", "pkg/dataset", "pkg/job", "pkg/nn", "pkg/shard", "pkg/tensor", "pkg/weights",
		"proto/lockstep/v1"},
	"pkg/client": {"internal/secure", "proto/lockstep/v1"},
}

// wiring may import any package of the module: programs, and what builds them.
var wiring = []string{"bench", "cmd", "examples", "internal/cli", "pkg/lockstep", "internal/node", "internal/bench", "internal/e2e", "internal/simtest"}

// generators make source code and may import the packages they describe.
var generators = []string{"internal/asmgen", "internal/docgen"}

// libraries says which packages a library may appear in.
var libraries = map[string][]string{
	"google.golang.org/grpc": {"proto", "internal/cli", "internal/secure", "internal/node", "internal/bench", "internal/e2e", "pkg/allreduce",
		"pkg/coordinator", "pkg/worker", "pkg/client"},
	"github.com/hashicorp/raft": {"pkg/coordinator"},
	"go.etcd.io/bbolt":          {"pkg/coordinator"},
	"github.com/spf13/cobra":    {"cmd", "internal/cli", "internal/node", "internal/config"},
	"testing":                   {"pkg/allreduce/linktest", "internal/bench", "internal/e2e", "internal/onnx/onnxtest", "internal/alloctest"},
}

func TestImportsInsideTheModule(t *testing.T) {
	for _, s := range sources(t) {
		if s.test || within(s.pkg, wiring) || within(s.pkg, generators) {
			continue
		}
		may, known := allowed[s.pkg]
		if !known {
			t.Errorf("%s: package %s stands in no list: say in imports_test.go and ARCHITECTURE.md what it may import", s.name, s.pkg)
			continue
		}
		for _, path := range s.imports() {
			if inner, ok := strings.CutPrefix(path, module); ok && !slices.Contains(may, inner) {
				t.Errorf("%s: %s must not import %s", s.name, s.pkg, inner)
			}
		}
	}
}

func TestWhereLibrariesAppear(t *testing.T) {
	for _, s := range sources(t) {
		if s.test {
			continue
		}
		for _, path := range s.imports() {
			for lib, dirs := range libraries {
				if (path == lib || strings.HasPrefix(path, lib+"/")) && !within(s.pkg, dirs) {
					t.Errorf("%s: %s belongs in %s only", s.name, path, strings.Join(dirs, ", "))
				}
			}
		}
	}
}

func TestWorkerAndCoordinatorAreStrangers(t *testing.T) {
	for _, pair := range [][2]string{{"pkg/worker", "pkg/coordinator"}, {"pkg/coordinator", "pkg/worker"}} {
		for _, s := range sources(t) { // their tests too
			if s.pkg == pair[0] && slices.Contains(s.imports(), module+pair[1]) {
				t.Errorf("%s imports %s", s.name, pair[1])
			}
		}
	}
}
