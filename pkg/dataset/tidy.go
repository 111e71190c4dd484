package dataset

import (
	"cmp"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// Tidy bounds what a cache directory keeps. The tables of the sets in use stay, and
// count as used now. Of the others those go that were not used for longest, until
// they take limit bytes at most. No other set of the directory may be open.
func Tidy(cacheDir string, limit int64, now time.Time, inUse ...*Set) error {
	var errs []error
	used := map[string]bool{}
	for _, s := range inUse {
		for _, p := range s.t.planes {
			if used[p.kept] = true; p.kept != "" {
				errs = append(errs, os.Chtimes(p.kept, now, now))
			}
		}
	}
	for _, t := range tablesByUse(cacheDir) {
		if file := filepath.Join(cacheDir, t.Name()); !used[file] {
			if limit -= t.Size(); limit < 0 {
				errs = append(errs, os.Remove(file))
			}
		}
	}
	return errors.Join(errs...)
}

// tablesByUse lists the tables that a directory keeps, the last used first.
func tablesByUse(cacheDir string) []os.FileInfo {
	var all []os.FileInfo
	files, _ := filepath.Glob(filepath.Join(cacheDir, "*.table")) // the pattern is good
	for _, file := range files {
		if info, err := os.Stat(file); err == nil {
			all = append(all, info)
		}
	}
	slices.SortStableFunc(all, func(a, b os.FileInfo) int { return cmp.Compare(b.ModTime().UnixNano(), a.ModTime().UnixNano()) })
	return all
}
