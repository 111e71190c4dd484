package cli

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// checkOut refuses what replaceFile could not write, before work is done for it.
func checkOut(path string) error {
	path, inPlace, err := target(path)
	if err != nil || inPlace {
		return err
	}
	f, err := besides(path)
	if err != nil {
		return err
	}
	return errors.Join(f.Close(), os.Remove(f.Name()))
}

// target follows links, so that they stay, and reports whether something is at path
// that is written to as it is, such as /dev/null. It refuses directories.
func target(path string) (file string, inPlace bool, err error) {
	info, err := os.Stat(path)
	if err == nil && info.IsDir() || path != "" && os.IsPathSeparator(path[len(path)-1]) {
		return "", false, usageError{fmt.Errorf("write %s: it is a folder; name a file in it", path)}
	}
	if err != nil { // besides tells what is wrong, if anything is
		return path, false, nil
	}
	if file, err = filepath.EvalSymlinks(path); err != nil { // what has no name, such as a pipe
		file = path
	}
	return file, !info.Mode().IsRegular(), nil
}

// besides makes an empty file in the folder of path, which it makes too.
func besides(path string) (*os.File, error) {
	err := os.MkdirAll(filepath.Dir(path), 0o755)
	if err == nil {
		var f *os.File
		if f, err = os.CreateTemp(filepath.Dir(path), ".lockstep-*"); err == nil {
			return f, nil
		}
	}
	return nil, usageError{fmt.Errorf("write %s: %w", path, err)}
}

// replaceFile writes a file through write; it is either whole or as it was.
func replaceFile(path string, write func(io.Writer) error) (err error) {
	path, inPlace, err := target(path)
	if err != nil {
		return err
	}
	if inPlace {
		f, err := os.OpenFile(path, os.O_WRONLY, 0)
		if err != nil {
			return usageError{err}
		}
		return errors.Join(write(f), f.Close())
	}
	f, err := besides(path)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = f.Close()
			_ = os.Remove(f.Name())
		}
	}()
	if err := write(f); err != nil {
		return err
	}
	if err := f.Chmod(0o644); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	if err := f.Close(); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return os.Rename(f.Name(), path)
}
