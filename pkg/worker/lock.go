package worker

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// errLocked means that another process has the lock.
var errLocked = errors.New("locked by another process")

// lockDir takes a data directory for this process alone, for as long as the file
// that it returns is open: the operating system frees the lock when the process
// ends in any way. The file tells whoever comes later who has it.
func lockDir(root, id string) (*os.File, error) {
	path := filepath.Join(root, "lock")
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, fmt.Errorf("--data-dir: %w", err)
	}
	if err = lockFile(f); err == nil {
		if err = f.Truncate(0); err == nil {
			_, err = fmt.Fprintf(f, "worker %s, process %d\n", id, os.Getpid())
		}
	}
	switch {
	case err == nil:
		return f, nil
	case errors.Is(err, errLocked):
		err = fmt.Errorf("--data-dir %s is in use by %s: stop it, or give this worker a directory of its own", root, holder(path))
	default:
		err = fmt.Errorf("--data-dir: taking %s: %w", path, err)
	}
	return nil, errors.Join(err, f.Close())
}

// holder reads who has the lock, a courtesy.
func holder(path string) string {
	text, err := os.ReadFile(path)
	if text = bytes.TrimSpace(text); err != nil || len(text) == 0 {
		return "another worker"
	}
	return string(text)
}
