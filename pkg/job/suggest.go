package job

import (
	"slices"
	"strings"

	"github.com/lockstep-ml/lockstep/internal/nearest"
)

// suggest ends a message about a word that is not one of valid: with the
// nearest of them, or if none is near, with all.
func suggest(word string, valid []string) string {
	if near := nearest.DidYouMean(word, valid); near != "" {
		return near
	}
	if len(valid) == 0 {
		return ""
	}
	sorted := slices.Clone(valid)
	slices.Sort(sorted)
	return "; expected one of " + strings.Join(sorted, ", ")
}
