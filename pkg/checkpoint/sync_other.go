//go:build !windows

package checkpoint

import (
	"errors"
	"os"
)

// syncDir makes the names in a directory safe from a power failure.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
