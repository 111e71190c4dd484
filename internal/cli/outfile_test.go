package cli

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// What would come to nothing is refused before it is begun: no worker, no place for
// the model.
func TestTrainChecksFirst(t *testing.T) {
	dir, job, _ := untrained(t)
	for out, want := range map[string]string{dir: "it is a folder", filepath.Join(dir, "new") + "/": "it is a folder", filepath.Join(job, "m"): "not a directory"} {
		_, err := typed(t, "train", job, "--out", out)
		var usage usageError
		if !errors.As(err, &usage) || !strings.Contains(err.Error(), want) {
			t.Errorf("--out %s: %v, want a usage error with %q", out, err, want)
		}
	}
	for _, workers := range []string{"0", "-1"} {
		if _, err := typed(t, "train", job, "--workers", workers); err == nil || !strings.Contains(err.Error(), "at least one") {
			t.Errorf("%s workers: %v", workers, err)
		}
	}
	before, _ := os.ReadDir(dir)
	if err := checkOut(filepath.Join(dir, "new")); err != nil {
		t.Error(err)
	}
	if after, _ := os.ReadDir(dir); len(after) != len(before) {
		t.Errorf("checking left %v", after)
	}
}

// A link stays one, for /dev/stdout is one too; its file is replaced.
func TestOutIsALink(t *testing.T) {
	_, job, model := untrained(t)
	file, link := filepath.Join(t.TempDir(), "net.onnx"), filepath.Join(t.TempDir(), "link")
	if err := errors.Join(os.WriteFile(file, nil, 0o600), os.Symlink(file, link)); err != nil {
		t.Skip(err)
	}
	if _, err := typed(t, "export", model, "--job", job, "--onnx", link); err != nil {
		t.Fatal(err)
	}
	if to, err := os.Readlink(link); err != nil || to != file {
		t.Errorf("the link leads to %q, %v", to, err)
	}
	if info, err := os.Stat(file); err != nil || info.Size() == 0 {
		t.Errorf("the file is as it was, %v", err)
	}
}

func TestImportToAFolder(t *testing.T) {
	_, job, model := untrained(t)
	file := filepath.Join(t.TempDir(), "net.onnx")
	if _, err := typed(t, "export", model, "--job", job, "--onnx", file); err != nil {
		t.Fatal(err)
	}
	var usage usageError
	if _, err := typed(t, "import", file, "--out", t.TempDir()+"/"); !errors.As(err, &usage) || !strings.Contains(err.Error(), "name the files in it") {
		t.Errorf("error %v", err)
	}
}
