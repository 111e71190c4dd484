package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/lockstep-ml/lockstep/internal/onnx"
)

// The weights of a model are in both files, and the safetensors file is the model
// itself.
func TestExport(t *testing.T) {
	dir, job, path := untrained(t)
	to, copied := filepath.Join(dir, "out", "m.onnx"), filepath.Join(dir, "copy.safetensors")
	out, err := typed(t, "export", path, "--job", job, "--onnx", to, "--safetensors", copied)
	if err != nil {
		t.Fatal(err)
	}
	if want := copied + ": 2 tensors\n" + to + ": input Nx1, output Nx1 for N records\n"; out != want {
		t.Errorf("said %q, want %q", out, want)
	}
	f, err := os.Open(to)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	m, err := onnx.Read(f)
	if err != nil || len(m.Tensors()) != 2 || m.Tensors()[0].Name != "price.weight" {
		t.Errorf("read %v, %v", m, err)
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(copied); err != nil || string(got) != string(want) {
		t.Errorf("the copy is not the model: %v", err)
	}
}

func TestExportRefuses(t *testing.T) {
	dir, job, path := untrained(t)
	for name, c := range map[string]struct {
		args []string
		want string
	}{
		"nothing to write": {[]string{path, "--job", job}, "give --onnx FILE or --safetensors FILE"},
		"no job":           {[]string{path, "--onnx", "x.onnx"}, "--job is missing"},
		"no model":         {[]string{"--job", job, "--onnx", "x.onnx"}, "MODEL is missing"},
		"a directory":      {[]string{path, "--job", job, "--onnx", dir}, dir},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := typed(t, append([]string{"export"}, c.args...)...)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want %q", err, c.want)
			}
		})
	}
}
