//go:build unix

package cli

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// What is no file, such as /dev/null, is written to and stays what it is.
func TestOutIsNoFile(t *testing.T) {
	_, job, model := untrained(t)
	for _, to := range []string{"--onnx", "--safetensors"} {
		pipe := filepath.Join(t.TempDir(), "pipe")
		if err := syscall.Mkfifo(pipe, 0o600); err != nil {
			t.Skip(err)
		}
		read := make(chan int)
		go func() {
			f, err := os.Open(pipe)
			if err != nil {
				t.Error(err)
			}
			b, err := io.ReadAll(f)
			if err = errors.Join(err, f.Close()); err != nil {
				t.Error(err)
			}
			read <- len(b)
		}()
		if _, err := typed(t, "export", model, "--job", job, "--data-root", filepath.Dir(job), to, pipe); err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(pipe)
		if err != nil || info.Mode()&os.ModeNamedPipe == 0 {
			t.Fatalf("the pipe is %v now, %v", info.Mode(), err)
		}
		if n := <-read; n == 0 {
			t.Error("nothing was written")
		}
	}
}
