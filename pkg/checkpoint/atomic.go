package checkpoint

import (
	"errors"
	"io"
	"os"
	"path/filepath"
)

// partial ends the names of files that are not yet whole.
const partial = ".partial"

// replaceFile writes a file through write, so that path has its old content or
// all of the new one whenever the machine stops. After an error the old content
// is untouched and nothing is left beside it.
func replaceFile(path string, write func(io.Writer) error) (err error) {
	f, err := os.OpenFile(path+partial, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o644)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			f.Close() // its error would follow from err; a second Close does nothing
			if rm := os.Remove(path + partial); rm != nil && !errors.Is(rm, os.ErrNotExist) {
				err = errors.Join(err, rm)
			}
		}
	}()
	if err := write(f); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	if err := os.Rename(path+partial, path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}
