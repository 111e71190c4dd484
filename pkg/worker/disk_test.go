package worker

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/lockstep-ml/lockstep/pkg/checkpoint"
)

func TestDirectoryOfOneWorker(t *testing.T) {
	root := t.TempDir()
	first, err := openDisk(root, "w1", zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	_, err = openDisk(root, "w2", zap.NewNop())
	for _, want := range []string{"--data-dir " + root, "in use by worker w1", "directory of its own"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("a second worker in the directory: error %v, want %q", err, want)
		}
	}
	if err := first.close(); err != nil {
		t.Fatal(err)
	}
	again, err := openDisk(root, "w2", zap.NewNop())
	if err != nil {
		t.Fatalf("after the first has gone: %v", err)
	}
	if err := again.close(); err != nil {
		t.Error(err)
	}
}

// A directory that can not be written to is refused at the start, not at the
// first checkpoint.
func TestReadOnlyDirectory(t *testing.T) {
	if runtime.GOOS == "windows" || os.Getuid() == 0 {
		t.Skip("permissions do not bind this user")
	}
	root := t.TempDir()
	d, err := openDisk(root, "w1", zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	if err := d.close(); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(root, "lock")); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(root, 0o500); err != nil {
		t.Fatal(err)
	}
	if _, err := openDisk(root, "w1", zap.NewNop()); err == nil || !strings.Contains(err.Error(), "--data-dir: ") {
		t.Errorf("error %v, want one of --data-dir", err)
	}
}

// A worker whose newest checkpoint is damaged says so and offers the one before.
func TestDamagedCheckpointAtStart(t *testing.T) {
	root := t.TempDir()
	for step := range 3 {
		entry, err := checkpoint.Save(filepath.Join(root, "checkpoints"), "toy-1", &checkpoint.State{Cursor: checkpoint.Cursor{Step: step}})
		if err != nil {
			t.Fatal(err)
		}
		if step == 2 {
			if err := os.Truncate(entry.Path, entry.Bytes/2); err != nil {
				t.Fatal(err)
			}
		}
	}
	core, logged := observer.New(zap.WarnLevel)
	d, err := openDisk(root, "w1", zap.New(core))
	if err != nil {
		t.Fatal(err)
	}
	defer d.close()
	held := d.held()
	if len(held) != 1 || held[0].JobId != "toy-1" || held[0].Cursor.Step != 1 {
		t.Errorf("held %v, want toy-1 at step 1", held)
	}
	if logged.FilterMessage("checkpoint skipped").Len() != 1 {
		t.Errorf("logged %v, want that one checkpoint was skipped", logged.All())
	}
}
