package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A network that is exported and imported says the same, as a job of its own that
// starts from the weights of the file.
func TestImport(t *testing.T) {
	dir, job, path := untrained(t)
	file, to := filepath.Join(dir, "m.onnx"), filepath.Join(dir, "Net 1")
	if _, err := typed(t, "export", path, "--job", job, "--onnx", file); err != nil {
		t.Fatal(err)
	}
	out, err := typed(t, "import", file, "--out", to)
	if err != nil {
		t.Fatal(err)
	}
	if want := to + ".yaml: 1 layer that read Nx1\n" + to + ".safetensors: 2 tensors\n"; out != want {
		t.Errorf("said %q, want %q", out, want)
	}
	text, err := os.ReadFile(to + ".yaml")
	if err != nil {
		t.Fatal(err)
	}
	of := func(section string) string { // the line of the job
		_, rest, _ := strings.Cut(pricesJob, section+":")
		line, _, _ := strings.Cut(rest, "\n")
		return section + ":" + line + "\n"
	}
	again := filepath.Join(dir, "again.yaml")
	write(t, again, string(text)+of("data")+of("loss")+of("optimizer")+of("epochs")+of("global_batch")+of("lanes"))
	want, err := typed(t, "predict", path, "--job", job, "--data", "train")
	if err != nil {
		t.Fatal(err)
	}
	got, err := typed(t, "predict", "--job", again, "--data", "train")
	if err != nil || got != want || want == "" {
		t.Errorf("%v\nimported:\n%s\nexported:\n%s\n%s", err, got, want, text)
	}
}

func TestImportRefuses(t *testing.T) {
	dir := t.TempDir()
	bad := filepath.Join(dir, "bad.onnx")
	write(t, bad, "no protobuf")
	for file, want := range map[string]string{filepath.Join(dir, "none.onnx"): "no such file", bad: "not a usable ONNX file"} {
		if _, err := typed(t, "import", file, "--out", filepath.Join(dir, "x")); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want %q", file, err, want)
		}
	}
}
